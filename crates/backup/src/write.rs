//! Taking a backup.

use crate::manifest::{self, FORMAT};
use crate::row::line;
use crate::{BackupError, FILES, FileSum, KEYS, Manifest, TableSum, clock, io};
use base::ImageId;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt;
use image_model::{BackendError, Location, Stores, data_key};
use platform_db::{Content, Db, Snapshot, args, transfer};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, EntryWriter, Header};

/// In the folder of keys: without these no token means anything.
const TOKEN_KEYS: &str = "fernet-keys";

/// What is backed up.
pub struct Source {
    pub db: Db,
    /// The data folder.
    pub data: PathBuf,
    /// The keys of tokens and stored secrets, wherever they are. `None`: another Keystone has them.
    pub keys: Option<PathBuf>,
    /// `None`: image data is left out.
    pub images: Option<Stores>,
    /// The running version.
    pub version: &'static str,
}

/// Writes `output` whole or not at all, readable by its owner only. `say` is told each step.
pub async fn write(source: &Source, output: &Path, say: &mut dyn FnMut(&str)) -> Result<Manifest, BackupError> {
    if output.exists() {
        return Err(BackupError::Exists(output.to_owned()));
    }
    if let Some(keys) = &source.keys
        && !keys.join(TOKEN_KEYS).is_dir()
    {
        return Err(BackupError::NoKeys(keys.clone()));
    }
    let mut name = output.as_os_str().to_owned();
    name.push(".partial");
    let partial = Partial(PathBuf::from(name));
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&partial.0);
    let file = file.map_err(io(partial.0.display()))?;
    let mut archive = Archive {
        tar: Builder::new(BufWriter::with_capacity(1 << 20, file)),
        header: Header::new_gnu(),
        sums: BTreeMap::new(),
    };
    let (mut manifest, images) = tables(source, &mut archive, say).await?;
    for name in FILES {
        say(name);
        match &source.keys {
            Some(keys) if *name == KEYS => files(&mut archive, keys, Path::new(name))?,
            _ => files(&mut archive, &source.data.join(name), Path::new(name))?,
        }
    }
    if let Some(stores) = &source.images {
        for (id, locations) in images {
            let key = copy_key(stores, &id, &locations);
            say(&format!("image {key}"));
            if !image(&mut archive, stores, &locations, &key).await? {
                manifest.gone.push(key.clone());
            }
            manifest.copies.insert(id, key);
        }
    }
    manifest.files = std::mem::take(&mut archive.sums);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| io(manifest::NAME)(e.into()))?;
    let mut entry = archive.entry(manifest::NAME)?;
    entry.add(&text)?;
    entry.finish()?;
    let file = archive.tar.into_inner().and_then(|b| b.into_inner().map_err(|e| e.into_error()));
    file.and_then(|f| f.sync_all()).map_err(io(partial.0.display()))?;
    std::fs::rename(&partial.0, output).map_err(io(output.display()))?;
    let folder = output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(io(folder.display()))?;
    Ok(manifest)
}

/// Removed unless it has got its name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// Locations by image.
type Images = BTreeMap<String, Vec<Location>>;

/// All tables as of one moment, and where the data of images was then.
async fn tables(
    source: &Source,
    archive: &mut Archive,
    say: &mut dyn FnMut(&str),
) -> Result<(Manifest, Images), BackupError> {
    let taken_at = clock(&source.db).await?;
    let mut snapshot = source.db.snapshot().await?;
    let names: Vec<(String,)> = snapshot.fetch_all("SELECT name FROM schema_migrations ORDER BY name", args![]).await?;
    let mut tables = BTreeMap::new();
    for table in transfer::tables(&mut snapshot).await? {
        say(&format!("table {}", table.name));
        let sum = one_table(&mut snapshot, &table, archive).await?;
        tables.insert(table.name, sum);
    }
    let rows: Vec<(String, String, String)> = snapshot
        .fetch_all(
            "SELECT i.id, l.store, l.url FROM image_locations l JOIN images i ON i.id = l.image_id
             WHERE i.deleted_at IS NULL ORDER BY i.id, l.position, l.url",
            args![],
        )
        .await?;
    let mut images = Images::new();
    for (id, store, url) in rows {
        images.entry(id).or_default().push(Location { store, url });
    }
    let manifest = Manifest {
        format: FORMAT,
        skyiron: source.version.to_owned(),
        taken_at,
        migrations: names.into_iter().map(|(name,)| name).collect(),
        tables,
        files: BTreeMap::new(),
        images: source.images.is_some(),
        copies: BTreeMap::new(),
        gone: Vec::new(),
    };
    Ok((manifest, images))
}

/// What a copy is called in the file: as its file is, if it is in one.
fn copy_key(stores: &Stores, id: &str, locations: &[Location]) -> String {
    let file = locations.iter().find(|l| stores.of(l).is_some() && l.url.starts_with("file://"));
    match (file, id.parse::<ImageId>()) {
        (Some(file), _) => key_of(&file.url).to_owned(),
        (None, Ok(id)) => data_key(id, "backup"),
        (None, Err(_)) => id.to_owned(),
    }
}

/// The last part of a location: what the data is stored under, in whatever folder.
pub(crate) fn key_of(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, key)| key)
}

async fn one_table(
    snapshot: &mut Snapshot,
    table: &transfer::Table,
    archive: &mut Archive,
) -> Result<TableSum, BackupError> {
    let path = format!("tables/{}.jsonl.gz", table.name);
    let mut content = Content::default();
    let mut text = GzEncoder::new(archive.entry(&path)?, Compression::fast());
    let mut rows = transfer::rows(snapshot, table);
    while let Some(row) = rows.try_next().await? {
        let line = line(&row);
        content.add(&row);
        text.write_all(line.as_bytes()).and_then(|()| text.write_all(b"\n")).map_err(io(&path))?;
    }
    text.finish().map_err(io(&path))?.finish()?;
    let columns = table.columns.iter().map(|(name, _)| name.clone()).collect();
    Ok(TableSum { columns, rows: content.rows, hash: content.hash_text() })
}

/// A file, or everything in a folder, under that name. What is not there is left out.
fn files(archive: &mut Archive, path: &Path, name: &Path) -> Result<(), BackupError> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(io(path.display()))?;
        let mut names =
            entries.map(|e| e.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>().map_err(io(path.display()))?;
        names.sort();
        return names.iter().try_for_each(|inner| files(archive, &path.join(inner), &name.join(inner)));
    }
    match std::fs::read(path) {
        Ok(bytes) => {
            let mut entry = archive.entry(&format!("files/{}", name.display()))?;
            entry.add(&bytes)?;
            entry.finish()
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(io(path.display())(e)),
    }
}

/// One copy of an image's data. `false`: it has been deleted since.
async fn image(archive: &mut Archive, stores: &Stores, locations: &[Location], key: &str) -> Result<bool, BackupError> {
    let failed = |e| BackupError::Image(key.to_owned(), e);
    let (mut bytes, mut why) = (None, None);
    for (store, url) in stores.readable(locations, &[]) {
        match store.backend.open(&url, None).await {
            Ok(opened) => {
                bytes = Some(opened);
                break;
            }
            Err(BackendError::NotFound(_)) => {}
            Err(e) => why = Some(e),
        }
    }
    let mut bytes = match (bytes, why) {
        (Some(bytes), _) => bytes,
        (None, Some(why)) => return Err(failed(why)),
        (None, None) => return Ok(false),
    };
    let mut entry = archive.entry(&format!("images/{key}"))?;
    while let Some(chunk) = bytes.try_next().await.map_err(failed)? {
        entry.add(&chunk)?;
    }
    entry.finish()?;
    Ok(true)
}

struct Archive {
    tar: Builder<BufWriter<File>>,
    /// Of the entry being written.
    header: Header,
    sums: BTreeMap<String, FileSum>,
}

impl Archive {
    fn entry(&mut self, path: &str) -> Result<Entry<'_>, BackupError> {
        let Self { tar, header, sums } = self;
        *header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        let writer = tar.append_writer(header, path).map_err(io(path))?;
        Ok(Entry { path: path.to_owned(), writer, hash: Sha256::new(), size: 0, sums })
    }
}

/// An entry being written; its hash grows with it.
struct Entry<'a> {
    path: String,
    writer: EntryWriter<'a>,
    hash: Sha256,
    size: u64,
    sums: &'a mut BTreeMap<String, FileSum>,
}

impl Entry<'_> {
    fn add(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.write_all(bytes).map_err(io(&self.path))
    }

    fn finish(self) -> Result<(), BackupError> {
        let Self { path, writer, hash, size, sums } = self;
        writer.finish().map_err(io(&path))?;
        sums.insert(path, FileSum { size, sha256: hex(&hash.finalize()) });
        Ok(())
    }
}

impl Write for Entry<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.writer.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
