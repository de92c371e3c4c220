//! Kernel modules: which ones the guest needs, what they depend on, which devices they drive.
//!
//! The package brings no `modules.dep` (depmod makes it when a kernel is installed), so it is made here from what every
//! module says about itself in its `.modinfo` section.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// What the guest wants, without what these depend on. The cloud kernel has no AHCI: a SATA disk or CD-ROM (machine
/// type q35) needs [`crate::Kernel::Generic`].
const WANTED: &[(&str, &[&str])] = &[
    ("disks", &["virtio_pci", "virtio_blk", "virtio_scsi", "ata_piix", "ahci", "sd_mod", "sr_mod"]),
    ("file systems", &["isofs", "vfat", "nls_ascii", "nls_cp437", "nls_utf8", "nls_iso8859_1"]),
    ("network cards", &["virtio_net", "e1000"]),
    ("power button", &["button", "evdev"]),
    ("the machine", &["virtio_rng", "virtio_balloon"]),
];

/// Modules without which there is no guest. Of the others a kernel may have some built in, or not at all.
const REQUIRED: &[&str] = &["virtio_pci", "virtio_blk", "ata_piix", "sr_mod", "isofs", "vfat", "button", "evdev"];

/// A module, by its name with underscores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) name: String,
    depends: Vec<String>,
    aliases: Vec<String>,
    /// The file, without its signature.
    pub(crate) image: Vec<u8>,
}

impl Module {
    fn parse(name: &str, mut image: Vec<u8>) -> Result<Self> {
        image.truncate(without_signature(&image));
        let info = modinfo(&image).with_context(|| format!("module {name} is not a module"))?;
        let (mut depends, mut aliases) = (Vec::new(), Vec::new());
        for entry in info.split(|byte| *byte == 0) {
            match std::str::from_utf8(entry).ok().and_then(|entry| entry.split_once('=')) {
                Some(("depends", list)) => depends.extend(list.split(',').filter(|d| !d.is_empty()).map(canonical)),
                Some(("alias", alias)) => aliases.push(alias.to_owned()),
                _ => {}
            }
        }
        Ok(Self { name: name.to_owned(), depends, aliases, image })
    }
}

/// Everything wanted from the kernel in `folder` (`/lib/modules/RELEASE`), with dependencies, dependencies first.
pub(crate) fn select(folder: &Path) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    find(&folder.join("kernel"), &mut files)?;
    if let Some(missing) = REQUIRED.iter().find(|name| !files.contains_key(**name)) {
        bail!("the kernel in {} has no module {missing}", folder.display());
    }
    let read = |name: &str| -> Result<Option<Module>> {
        let Some(path) = files.get(name) else { return Ok(None) };
        Module::parse(name, fs::read(path)?).map(Some)
    };
    let mut chosen = Vec::new();
    for name in WANTED.iter().flat_map(|(_, names)| *names) {
        choose(name, &read, &mut chosen)?;
    }
    Ok(chosen)
}

fn choose(name: &str, read: &impl Fn(&str) -> Result<Option<Module>>, chosen: &mut Vec<Module>) -> Result<()> {
    if chosen.iter().any(|module| module.name == name) {
        return Ok(());
    }
    // Not a file of its own: built in, or not in this kernel.
    let Some(module) = read(name)? else { return Ok(()) };
    for dependency in &module.depends {
        choose(dependency, read, chosen)?;
    }
    chosen.push(module);
    Ok(())
}

fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".ko")) {
            files.insert(canonical(name), path);
        }
    }
    Ok(())
}

fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// `modules.dep` as modprobe reads it: `FILE: FILES IT NEEDS`, to be loaded from the last to the first. `modules` are
/// as [`select`] gives them, dependencies first.
pub(crate) fn dep_file(modules: &[Module]) -> String {
    let lines = modules.iter().map(|module| {
        let mut needed: BTreeSet<&str> = module.depends.iter().map(String::as_str).collect();
        let mut needs = String::new();
        for other in modules.iter().rev().filter(|other| other.name != module.name) {
            if needed.contains(other.name.as_str()) {
                needs = format!("{needs} {}.ko", other.name);
                needed.extend(other.depends.iter().map(String::as_str));
            }
        }
        format!("{}.ko:{needs}\n", module.name)
    });
    lines.collect()
}

/// `modules.alias` as modprobe reads it.
pub(crate) fn alias_file(modules: &[Module]) -> String {
    let lines = modules.iter().flat_map(|m| m.aliases.iter().map(|alias| format!("alias {alias} {}\n", m.name)));
    lines.collect()
}

/// Debian signs its modules. Without secure boot the kernel takes them unsigned too, and checking a signature costs
/// an emulated processor about as much as the rest of loading.
fn without_signature(image: &[u8]) -> usize {
    const MAGIC: &[u8] = b"~Module signature appended~\n";
    // `struct module_signature`: eight bytes of kinds and lengths that are zero here, then the signature's length.
    const TRAILER: usize = 12;
    let signed = || {
        let rest = image.strip_suffix(MAGIC)?;
        let length = u32::from_be_bytes(rest.get(rest.len().checked_sub(4)?..)?.try_into().ok()?);
        rest.len().checked_sub(TRAILER)?.checked_sub(usize::try_from(length).ok()?)
    };
    signed().unwrap_or(image.len())
}

/// The `.modinfo` section of a 64-bit little-endian ELF file: strings `key=value`, each ended by a zero.
fn modinfo(elf: &[u8]) -> Option<&[u8]> {
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = elf.get(at..at.checked_add(size)?)?;
        usize::try_from(bytes.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte))).ok()
    };
    elf.starts_with(b"\x7fELF\x02\x01").then_some(())?;
    let (table, entry, count, names) = (number(40, 8)?, number(58, 2)?, number(60, 2)?, number(62, 2)?);
    let section = |index: usize| -> Option<(usize, &[u8])> {
        let header = table.checked_add(entry.checked_mul(index)?)?;
        let (offset, size) = (number(header + 24, 8)?, number(header + 32, 8)?);
        Some((number(header, 4)?, elf.get(offset..offset.checked_add(size)?).unwrap_or_default()))
    };
    let (_, names) = section(names)?;
    let is_modinfo = |at: usize| names.get(at..).is_some_and(|name| name.starts_with(b".modinfo\0"));
    (0..count).filter_map(section).find(|(name, _)| is_modinfo(*name)).map(|(_, bytes)| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, depends: &[&str], aliases: &[&str]) -> Module {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Module { name: name.to_owned(), depends: own(depends), aliases: own(aliases), image: Vec::new() }
    }

    /// An ELF file with two sections: the names of sections, and `.modinfo`.
    fn elf(info: &[u8]) -> Vec<u8> {
        let names = b"\0.modinfo\0.shstrtab\0";
        let (names_at, info_at) = (64, 64 + names.len());
        let table = info_at + info.len();
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[40..48].copy_from_slice(&(table as u64).to_le_bytes());
        file[58..64].copy_from_slice(&[64, 0, 2, 0, 0, 0]);
        file.extend_from_slice(names);
        file.extend_from_slice(info);
        for (name, at, size) in [(10_u8, names_at, names.len()), (1, info_at, info.len())] {
            let mut header = [0; 64];
            header[0] = name;
            header[24..32].copy_from_slice(&(at as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
            file.extend_from_slice(&header);
        }
        file
    }

    #[test]
    fn a_module_tells_what_it_needs_and_drives_and_loses_its_signature() {
        let bare = elf(b"license=GPL\0alias=pci:v00001AF4d*\0alias=virtio:d2\0depends=virtio-ring,virtio\0");
        let mut signed = bare.clone();
        signed.extend_from_slice(b"SIGNATURE");
        signed.extend_from_slice(&[0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        signed.extend_from_slice(b"~Module signature appended~\n");
        let module = Module::parse("virtio_blk", signed).unwrap();
        assert_eq!(module.depends, ["virtio_ring", "virtio"]);
        assert_eq!(module.aliases, ["pci:v00001AF4d*", "virtio:d2"]);
        assert_eq!(module.image, bare);
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let whole = elf(b"depends=\0");
        for bad in [&b"text"[..], b"\x7fELF\x02\x01", &whole[..whole.len() - 30], b""] {
            assert!(Module::parse("bad", bad.to_vec()).is_err());
        }
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let all = [module("a", &["b", "c"], &[]), module("b", &["c"], &[]), module("c", &["builtin"], &[])];
        let read = |name: &str| Ok(all.iter().find(|m| m.name == name).cloned());
        let mut chosen = Vec::new();
        for name in ["a", "b", "absent"] {
            choose(name, &read, &mut chosen).unwrap();
        }
        let names: Vec<_> = chosen.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"]);
    }

    #[test]
    fn the_files_for_modprobe() {
        let all = [module("c", &["builtin"], &[]), module("b", &["c"], &["pci:v1*"]), module("a", &["c", "b"], &[])];
        assert_eq!(dep_file(&all), "c.ko:\nb.ko: c.ko\na.ko: b.ko c.ko\n");
        assert_eq!(alias_file(&all), "alias pci:v1* b\n");
    }
}
