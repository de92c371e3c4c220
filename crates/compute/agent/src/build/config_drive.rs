//! The config drive: an ISO 9660 image, label `config-2`, with Joliet and Rock Ridge names.

use crate::files;
use compute_model::metadata::GuestMetadata;
use compute_model::spec::InstanceSpec;
use hadris_iso::read::PathSeparator;
use hadris_iso::write::options::{CreationFeatures, IsoFormatOptions};
use hadris_iso::write::{InputEntry, InputMetadata, InputTree, IsoImageWriter};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::path::Path;

const LABEL: &str = "config-2";
const PUBLISHER: &str = concat!("Skyiron ", env!("CARGO_PKG_VERSION"));
const FILE_MODE: u32 = 0o444;
const DIR_MODE: u32 = 0o555;

pub(crate) fn make(path: &Path, spec: &InstanceSpec, dhcp_domain: &str) -> io::Result<()> {
    let image = iso(GuestMetadata::new(spec, dhcp_domain).config_drive(rand::random))?;
    let mut file = files::create(path)?;
    file.write_all(&image)?;
    file.sync_all()
}

/// `paths` are relative, with slashes.
fn iso(paths: Vec<(String, Vec<u8>)>) -> io::Result<Vec<u8>> {
    let mut root = Dir::default();
    for (path, content) in paths {
        root.put(&path, content);
    }
    let tree = InputTree::new(PathSeparator::ForwardSlash, root.entries());
    let options = IsoFormatOptions {
        volume_name: LABEL.to_owned(),
        system_id: None,
        volume_set_id: None,
        publisher_id: Some(PUBLISHER.to_owned()),
        preparer_id: None,
        application_id: None,
        sector_size: 2048,
        path_separator: PathSeparator::ForwardSlash,
        features: CreationFeatures::extensions(),
        strict_charset: false,
    };
    let written = IsoImageWriter::create(Cursor::new(Vec::new()), tree, options).map_err(io::Error::other)?;
    Ok(written.into_inner())
}

#[derive(Default)]
struct Dir {
    files: BTreeMap<String, Vec<u8>>,
    dirs: BTreeMap<String, Dir>,
}

impl Dir {
    fn put(&mut self, path: &str, content: Vec<u8>) {
        match path.split_once('/') {
            Some((dir, rest)) => self.dirs.entry(dir.to_owned()).or_default().put(rest, content),
            None => drop(self.files.insert(path.to_owned(), content)),
        }
    }

    fn entries(self) -> Vec<InputEntry> {
        let mode = |mode| InputMetadata { mode: Some(mode), uid: Some(0), gid: Some(0), ..InputMetadata::default() };
        let dirs = self
            .dirs
            .into_iter()
            .map(|(name, dir)| InputEntry::directory(name, dir.entries()).with_metadata(mode(DIR_MODE)));
        let files = self
            .files
            .into_iter()
            .map(|(name, content)| InputEntry::file(name, content).with_metadata(mode(FILE_MODE)));
        dirs.chain(files).collect()
    }
}
