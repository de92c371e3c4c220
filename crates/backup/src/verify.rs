//! Whether a backup is whole: every entry is what the manifest says, and nothing is missing or too much.

use crate::manifest;
use crate::write::hex;
use crate::{BackupError, FileSum, Manifest, io};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path};
use tar::Archive;

pub(crate) fn open(input: &Path) -> Result<Archive<BufReader<File>>, BackupError> {
    let file = File::open(input).map_err(io(input.display()))?;
    Ok(Archive::new(BufReader::with_capacity(1 << 20, file)))
}

/// The name of an entry: one that stays inside whatever folder it is put into.
pub(crate) fn name_of(entry: &tar::Entry<'_, impl Read>) -> Result<String, BackupError> {
    let path = entry.path().map_err(io("an entry's name"))?;
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    match path.to_str() {
        Some(name) if plain && entry.header().entry_type().is_file() => Ok(name.to_owned()),
        _ => Err(BackupError::NotABackup(format!("it has an entry {}", path.display()))),
    }
}

fn sum_of(from: &mut impl Read) -> std::io::Result<FileSum> {
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(FileSum { size, sha256: hex(&hash.finalize()) }),
            n => {
                hash.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
}

/// Reads all of it.
pub fn verify(input: &Path) -> Result<Manifest, BackupError> {
    let mut archive = open(input)?;
    let mut manifest = None;
    let mut found: BTreeMap<String, FileSum> = BTreeMap::new();
    let not_a_tar = |e: std::io::Error| BackupError::NotABackup(e.to_string());
    for entry in archive.entries().map_err(not_a_tar)? {
        let mut entry = entry.map_err(not_a_tar)?;
        let name = name_of(&entry)?;
        if name == manifest::NAME {
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(io(&name))?;
            manifest = Some(Manifest::parse(&text)?);
            continue;
        }
        let sum = sum_of(&mut entry).map_err(io(&name))?;
        if found.insert(name.clone(), sum).is_some() {
            return Err(BackupError::Damaged(format!("{name} is in it twice")));
        }
    }
    let manifest = manifest.ok_or_else(|| BackupError::Damaged("it has no manifest: it was cut off".into()))?;
    for (name, sum) in &manifest.files {
        match found.remove(name) {
            None => return Err(BackupError::Damaged(format!("{name} is missing"))),
            Some(is) if is != *sum => return Err(BackupError::Damaged(format!("{name} is not what was written"))),
            Some(_) => {}
        }
    }
    match found.keys().next() {
        Some(name) => Err(BackupError::Damaged(format!("{name} is not in its manifest"))),
        None => Ok(manifest),
    }
}
