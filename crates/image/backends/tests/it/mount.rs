//! Folders that are mounts, and what can become of those.

use crate::servers::is_root;
use crate::suite::{conforms, pattern, read, store};
use bytes::Bytes;
use image_backends::FileBackend;
use image_backends::file::MountSettings;
use image_model::{Backend, BackendError};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(500);

pub(crate) struct Mounted {
    pub(crate) dir: tempfile::TempDir,
}

impl Mounted {
    pub(crate) fn new() -> Self {
        let mounted = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(mounted.point()).unwrap();
        mounted
    }
    pub(crate) fn point(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("mnt")
    }
    /// `size`: as mount takes it.
    fn tmpfs(&self, size: &str) {
        let options = format!("size={size}");
        mount(Some("tmpfs"), &self.point(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
    }
    pub(crate) fn unmount(&self) {
        umount2(&self.point(), MntFlags::MNT_DETACH).unwrap();
    }
    fn read_only(&self) {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &self.point(), None::<&str>, flags, None::<&str>).unwrap();
    }
    fn backend(&self, filesystem: &str) -> FileBackend {
        self.patient(filesystem, PATIENCE)
    }
    pub(crate) fn patient(&self, filesystem: &str, patience: Duration) -> FileBackend {
        let settings = MountSettings { filesystem: filesystem.into(), patience };
        FileBackend::on_mount(self.point(), 0, settings)
    }
    fn beneath(&self) -> usize {
        std::fs::read_dir(self.point()).unwrap().count()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // not all tests leave it mounted
        while umount2(&self.point(), MntFlags::MNT_DETACH).is_ok() {}
    }
}

pub(crate) fn is_unavailable(error: &BackendError, why: &str) {
    assert!(matches!(error, BackendError::Unavailable(text) if text.contains(why)), "{error}");
}

#[tokio::test]
async fn a_mount_is_a_store_like_others() {
    if !is_root() {
        return;
    }
    let m = Mounted::new();
    m.tmpfs("64m");
    conforms(&m.backend("tmpfs"), 3_000_000).await;
}

#[tokio::test]
async fn what_is_not_mounted_is_not_touched() {
    if !is_root() {
        return;
    }
    let m = Mounted::new();
    let backend = m.backend("");
    let nothing = "nothing is mounted at ";
    is_unavailable(&backend.create("x", None).await.err().unwrap(), nothing);
    assert_eq!(m.beneath(), 0);
    m.tmpfs("64m");
    let location = store(&backend, "image", b"data", 4).await;
    let mut writer = backend.create("half", None).await.unwrap();
    writer.write(Bytes::from_static(b"half")).await.unwrap();
    m.unmount();
    is_unavailable(&writer.commit().await.err().unwrap(), nothing);
    for error in [
        backend.create("x", None).await.err().unwrap(),
        backend.open(&location, None).await.err().unwrap(),
        backend.size(&location).await.err().unwrap(),
        backend.list().await.err().unwrap(),
        backend.delete(&location).await.err().unwrap(),
        backend.sweep().await.err().unwrap(),
    ] {
        is_unavailable(&error, nothing);
    }
    assert_eq!(m.beneath(), 0, "nothing was written to the folder beneath");
    // another one at the same place is not the one that the upload began on
    m.tmpfs("64m");
    let mut writer = backend.create("half", None).await.unwrap();
    writer.write(Bytes::from_static(b"half")).await.unwrap();
    m.unmount();
    m.tmpfs("64m");
    is_unavailable(&writer.commit().await.err().unwrap(), "is not there any more");
    assert_eq!(m.beneath(), 0);
    store(&backend, "again", b"data", 4).await;
}

#[tokio::test]
async fn another_kind_of_file_system_is_not_the_right_one() {
    if !is_root() {
        return;
    }
    let m = Mounted::new();
    m.tmpfs("1m");
    is_unavailable(&m.backend("nfs4").create("x", None).await.err().unwrap(), "is tmpfs, not nfs4");
    assert_eq!(m.beneath(), 0);
}

#[tokio::test]
async fn full_and_read_only() {
    if !is_root() {
        return;
    }
    let m = Mounted::new();
    m.tmpfs("1m");
    let backend = m.backend("tmpfs");
    let mut writer = backend.create("image", None).await.unwrap();
    let mut error = None;
    for _ in 0..64 {
        if let Err(e) = writer.write(Bytes::from(vec![1; 1 << 16])).await {
            error = Some(e);
            break;
        }
    }
    let error = match error {
        Some(error) => error,
        None => writer.commit().await.err().unwrap(),
    };
    assert!(matches!(error, BackendError::Full(_)), "{error}");
    let location = store(&backend, "small", &pattern(1000), 100).await;
    m.read_only();
    let error = backend.create("x", None).await.err().unwrap();
    assert!(matches!(error, BackendError::Denied(_)), "{error}");
    assert!(read(&backend, &location, None).await.unwrap() == pattern(1000));
}

/// A file system that hangs: frozen, so that whoever writes waits in the kernel.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn freeze(point: &'a Path) -> Self {
        assert!(Command::new("fsfreeze").arg("-f").arg(point).status().unwrap().success());
        Self(point)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // or the test would hang for ever
        let _thawed = Command::new("fsfreeze").arg("-u").arg(self.0).status();
    }
}

/// `None`, and a line that says so: there are no loop devices here.
fn ext4(m: &Mounted) -> Option<PathBuf> {
    let (image, point) = (m.dir.path().join("image"), m.point());
    std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
    assert!(Command::new("mkfs.ext4").arg("-q").arg(&image).status().unwrap().success());
    let mounted = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&point).output().unwrap();
    if !mounted.status.success() {
        eprintln!("skipped: no loop device: {}", String::from_utf8_lossy(&mounted.stderr));
        return None;
    }
    Some(point)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_mount_keeps_only_its_own_waiting() {
    if !is_root() {
        return;
    }
    let m = Mounted::new();
    let Some(point) = ext4(&m) else { return };
    let backend = m.backend("ext4");
    let other = tempfile::tempdir().unwrap();
    let healthy = FileBackend::open(other.path(), 0).unwrap();
    let mut writer = backend.create("half", None).await.unwrap();
    let frozen = Frozen::freeze(&point);
    // more than there are threads for
    let began = Instant::now();
    let tries: Vec<_> = (0..100)
        .map(|n| {
            let backend = backend.clone();
            tokio::spawn(async move { backend.create(&format!("n{n}"), None).await.err().unwrap() })
        })
        .collect();
    // nobody else waits
    let location = store(&healthy, "image", &pattern(100_000), 1000).await;
    assert!(read(&healthy, &location, None).await.unwrap() == pattern(100_000));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let (mut slow, mut busy) = (0, 0);
    for error in tries {
        match error.await.unwrap() {
            BackendError::Unavailable(why) if why.contains("does not answer") => slow += 1,
            BackendError::Unavailable(why) if why.contains("wait for the store's file system already") => busy += 1,
            other => panic!("{other}"),
        }
    }
    assert!(slow > 0 && busy > 0, "{slow} waited, {busy} were refused at once");
    // an upload that was under way ends, too
    let mut error = None;
    for _ in 0..200 {
        if let Err(e) = writer.write(Bytes::from(vec![1; 1 << 16])).await {
            error = Some(e);
            break;
        }
    }
    is_unavailable(&error.expect("its queue is full at some time"), "does not answer");
    writer.abort().await;
    drop(frozen);
    // and everything goes on, with nothing left of what was given up
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let entries = std::fs::read_dir(&point).unwrap().map(|e| e.unwrap().file_name());
        if !entries.into_iter().any(|n| n.to_string_lossy().starts_with(".partial")) {
            break;
        }
    }
    store(&backend, "image", b"data", 4).await;
}
