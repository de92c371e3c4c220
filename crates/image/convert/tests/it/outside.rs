//! Files that name other files: those are never opened, whatever becomes of the image.

use super::to_raw;
use image_convert::testing::{fuzz, seeds};
use image_convert::{Disk, Format};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A file that somebody would like to read, under guard.
struct Victim {
    dir: tempfile::TempDir,
    guard: OwnedFd,
}

impl Victim {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let guard = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let victim = Self { dir, guard };
        std::fs::write(victim.path(), "a secret of the host").unwrap();
        inotify::add_watch(&victim.guard, victim.path(), WatchFlags::OPEN).unwrap();
        victim
    }
    fn path(&self) -> PathBuf {
        self.dir.path().join("secret")
    }
    fn was_opened(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.guard, &mut buffer);
        events.next().is_ok_and(|e| e.events().contains(ReadFlags::OPEN))
    }
}

fn whole(name: &str) -> Vec<u8> {
    seeds().into_iter().find(|(n, ..)| *n == name).unwrap().2
}

/// Offset and length of the name, and the name.
fn qcow2_over(path: &Path) -> Vec<u8> {
    let (mut file, name) = (whole("qcow2"), path.as_os_str().as_encoded_bytes());
    file[8..16].copy_from_slice(&4096u64.to_be_bytes());
    file[16..20].copy_from_slice(&(name.len() as u32).to_be_bytes());
    file[4096..4096 + name.len()].copy_from_slice(name);
    file
}

/// The feature bit, and the header extension with the name.
fn qcow2_beside(path: &Path) -> Vec<u8> {
    let (mut file, name) = (whole("qcow2"), path.as_os_str().as_encoded_bytes());
    file[79] |= 1 << 2;
    let extension = u32::from_be_bytes(file[100..104].try_into().unwrap()) as usize;
    file[extension..extension + 4].copy_from_slice(b"DATA");
    file[extension + 4..extension + 8].copy_from_slice(&(name.len() as u32).to_be_bytes());
    file[extension + 8..extension + 8 + name.len()].copy_from_slice(name);
    file
}

fn descriptor(create_type: &str, extent: &str) -> String {
    format!("# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"{create_type}\"\n{extent}\n")
}

#[test]
fn s01_s03_nothing_outside_of_the_image_is_opened() {
    let victim = Victim::new();
    let path = victim.path();
    let mut vmdk = whole("monolithicSparse VMDK");
    let flat = descriptor("monolithicFlat", &format!("RW 1024 FLAT \"{}\" 0", path.display()));
    vmdk[512..512 + 20 * 512].fill(0);
    vmdk[512..512 + flat.len()].copy_from_slice(flat.as_bytes());
    for (what, format, bytes) in [
        ("a backing file", Format::Qcow2, qcow2_over(&path)),
        ("a data file", Format::Qcow2, qcow2_beside(&path)),
        ("an extent of a sparse VMDK", Format::Vmdk, vmdk),
        ("a descriptor that is a file", Format::Vmdk, flat.into_bytes()),
    ] {
        fuzz::inspect(&bytes);
        assert!(Disk::open(&bytes, format, &super::limits()).is_err(), "{what} is opened");
        assert!(to_raw(&bytes, format).is_err(), "{what} is converted");
        assert!(!victim.was_opened(), "{what} was followed");
    }
    // the guard is awake
    std::fs::read(&path).unwrap();
    assert!(victim.was_opened());
}
