//! Making a cloud of a backup.
//!
//! The rows are put back as they were, under the schema that they were taken from, and read again to see that they are;
//! then the schema is brought up to this version's, and what cannot be as it was is put right:
//!
//! - Locations of image data name the folder they are in then; of several copies one is left. Without image data in the backup, copies
//!   in stores that are no folders stay where they are.
//! - Of what was being written to stores, or deleted from them, nothing is known any more: where the backed up cloud goes
//!   on, that data is its own.
//! - An image whose data was gone when the backup was taken is deleted: it was.
//! - Everything that is counted goes on from a far higher number ([`platform_db::leap`]). Hosts have gone on since, under
//!   the generations that come next here, and would take a new order for one they have carried out.
//! - Nobody holds an operation: whoever worked on it does so in the cloud that was backed up.

use crate::places::Places;
use crate::row::parse;
use crate::{BackupError, FILES, Manifest, clock, io, verify};
use base::Timestamp;
use flate2::read::GzDecoder;
use futures_util::TryStreamExt;
use platform_db::transfer::{self, Table};
use platform_db::{Content, Contracts, Db, DbError, Migration, Tx, args, migrations};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Rows put in at once.
const ROWS: usize = 1000;

/// What has come of a restore.
#[derive(Clone, Debug)]
pub struct Restored {
    pub manifest: Manifest,
    /// Migrations applied after the rows were back.
    pub migrated: Vec<&'static str>,
}

/// Fills `db`, which must be empty, and the folder `data`, which must have nothing of a cloud in it. `images` is the full
/// name of the folder that image-apis will have image data in: records of images name it. It must be empty where the
/// backup brings image data.
pub async fn restore(
    input: &Path,
    db: &Db,
    data: &Path,
    images: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<Restored, BackupError> {
    say("every hash");
    let manifest = verify::verify(input)?;
    if let Some(name) = FILES.iter().find(|name| data.join(name).exists()) {
        return Err(BackupError::NotEmpty(data.join(name)));
    }
    // a store's own lock may be there
    let is_data = |entry: std::io::Result<std::fs::DirEntry>| entry.is_ok_and(|e| e.file_name() != ".lock");
    if manifest.images && images.read_dir().is_ok_and(|mut entries| entries.any(is_data)) {
        return Err(BackupError::NotEmpty(images.to_owned()));
    }
    if !transfer::tables(&mut db.snapshot().await?).await?.is_empty() {
        return Err(BackupError::DatabaseNotEmpty);
    }
    db.migrate_to(&schema_of(&manifest)?, Contracts::Apply).await?;
    let sums = fill(input, db, data, images, &manifest, say).await?;
    say("every row");
    compare(db, &sums).await?;
    let migrated = db.migrate().await?;
    let now = clock(db).await?;
    let mut tx = db.begin().await?;
    put_right(&mut tx, &manifest, images, now).await?;
    tx.commit().await?;
    Ok(Restored { manifest, migrated })
}

/// The migrations that made the schema which the rows are of.
fn schema_of(manifest: &Manifest) -> Result<Vec<Migration>, BackupError> {
    let known = migrations();
    if let Some(name) = manifest.migrations.iter().find(|n| !known.iter().any(|m| m.name == **n)) {
        return Err(BackupError::NotABackup(format!("a newer skyiron wrote it: {name} is not known here")));
    }
    Ok(known.into_iter().filter(|m| manifest.migrations.iter().any(|n| n == m.name)).collect())
}

/// Everything of the file, rows in one transaction. What the tables must add up to then.
async fn fill(
    input: &Path,
    db: &Db,
    data: &Path,
    images: &Path,
    manifest: &Manifest,
    say: &mut dyn FnMut(&str),
) -> Result<BTreeMap<String, Content>, BackupError> {
    let tables = transfer::tables(&mut db.snapshot().await?).await?;
    if let Some(name) = manifest.tables.keys().find(|name| !tables.iter().any(|t| t.name == **name)) {
        return Err(BackupError::Damaged(format!("its schema has no table {name}")));
    }
    let mut tx = db.begin().await?;
    transfer::clear(&mut tx, &tables).await?;
    let mut sums = BTreeMap::new();
    let mut archive = verify::open(input)?;
    for entry in archive.entries().map_err(io(input.display()))? {
        let entry = entry.map_err(io(input.display()))?;
        let name = verify::name_of(&entry)?;
        if let Some(table) = name.strip_prefix("tables/").and_then(|n| n.strip_suffix(".jsonl.gz")) {
            say(&format!("table {table}"));
            let sum = rows(&mut tx, entry, table, &tables, manifest, images).await?;
            sums.insert(table.to_owned(), sum);
        } else if let Some(inner) = name.strip_prefix("files/") {
            file(entry, &data.join(inner), 0o700, 0o600)?;
        } else if let Some(key) = name.strip_prefix("images/") {
            say(&format!("image {key}"));
            file(entry, &images.join(key), 0o750, 0o640)?;
        }
    }
    transfer::filled(&mut tx).await?;
    tx.commit().await?;
    Ok(sums)
}

async fn rows(
    tx: &mut Tx,
    entry: impl Read,
    name: &str,
    tables: &[Table],
    manifest: &Manifest,
    images: &Path,
) -> Result<Content, BackupError> {
    let damaged = |why: &str| BackupError::Damaged(format!("table {name}: {why}"));
    let table = tables.iter().find(|t| t.name == name);
    let (Some(table), Some(expected)) = (table, manifest.tables.get(name)) else {
        return Err(damaged("its manifest or its schema does not know it"));
    };
    if !table.columns.iter().map(|(column, _)| column).eq(&expected.columns) {
        return Err(damaged("it has other columns"));
    }
    let mut places = Places::of(table, manifest, images);
    let (mut taken, mut put) = (Content::default(), Content::default());
    let mut waiting = Vec::with_capacity(ROWS);
    for text in BufReader::new(GzDecoder::new(entry)).lines() {
        let text = text.map_err(io(name))?;
        let mut row = parse(table, &text)?;
        taken.add(&row);
        if !places.put_right(&mut row) {
            continue;
        }
        put.add(&row);
        waiting.push(row);
        if waiting.len() == ROWS {
            transfer::insert(tx, table, &waiting).await?;
            waiting.clear();
        }
    }
    transfer::insert(tx, table, &waiting).await?;
    if (taken.rows, taken.hash_text()) != (expected.rows, expected.hash.clone()) {
        return Err(damaged("its rows are not those that were taken"));
    }
    Ok(put)
}

fn file(mut from: impl Read, to: &Path, folder_mode: u32, mode: u32) -> Result<(), BackupError> {
    let folder = to.parent().map_or_else(PathBuf::new, Path::to_owned);
    std::fs::DirBuilder::new().recursive(true).mode(folder_mode).create(&folder).map_err(io(folder.display()))?;
    let file = OpenOptions::new().create_new(true).write(true).mode(mode).open(to);
    let mut file = file.map_err(io(to.display()))?;
    std::io::copy(&mut from, &mut file).and_then(|_| file.sync_all()).map_err(io(to.display()))
}

/// Reads everything back.
async fn compare(db: &Db, sums: &BTreeMap<String, Content>) -> Result<(), BackupError> {
    let mut snapshot = db.snapshot().await?;
    for table in transfer::tables(&mut snapshot).await? {
        let mut is = Content::default();
        let mut rows = transfer::rows(&mut snapshot, &table);
        while let Some(row) = rows.try_next().await? {
            is.add(&row);
        }
        let wanted = sums.get(&table.name).copied().unwrap_or_default();
        if is != wanted {
            let why = format!("{} rows of {}, or their values differ", is.rows, wanted.rows);
            return Err(BackupError::Differs { table: table.name.clone(), why });
        }
    }
    Ok(())
}

async fn put_right(tx: &mut Tx, manifest: &Manifest, images: &Path, now: Timestamp) -> Result<(), DbError> {
    platform_db::leap(tx, now).await?;
    for key in &manifest.gone {
        let url = format!("file://{}", images.join(key).display());
        let image: Option<(String,)> = tx
            .fetch_optional(
                "UPDATE images SET status = 'deleted', deleted_at = $2, updated_at = $2, revision = revision + 1
                 WHERE deleted_at IS NULL AND id IN (SELECT image_id FROM image_locations WHERE url = $1) RETURNING id",
                args![&url, now],
            )
            .await?;
        let Some((id,)) = image else { continue };
        for table in ["image_locations", "image_properties", "image_tags", "image_members"] {
            let sql = platform_db::built(format!("DELETE FROM {table} WHERE image_id = $1"));
            tx.execute(sql, args![&id]).await?;
        }
        let why = "its data was gone when the backup was taken";
        platform_engine::record(tx, &id, None, now, "image.delete", why).await?;
    }
    Ok(())
}
