//! A mount whose server says nothing, has forgotten every file, fails or dies: a file system of the test's own, over FUSE.

use crate::mount::{Mounted, is_unavailable};
use crate::servers::{is_root, tools};
use crate::suite::{pattern, read, store};
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use image_backends::FileBackend;
use image_model::{Backend, BackendError, ByteStream, Writer};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/moody_mount.py");
/// More than is read ahead, or waits to be written.
const LARGE: usize = 6 << 20;
/// Its server is no fast one.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is mounted, and its server.
struct Moody {
    server: Child,
    at: Mounted,
}

impl Moody {
    /// `None`, and a line that says so: that takes root, FUSE and what `./test` installs.
    fn start() -> Option<Self> {
        let python = tools()?.join("python");
        if !is_root() {
            return None;
        }
        if !Path::new("/dev/fuse").exists() {
            eprintln!("skipped: there is no FUSE here");
            return None;
        }
        let at = Mounted::new();
        let server = serve(&python, &at);
        Some(Self { server, at })
    }

    fn backend(&self) -> FileBackend {
        self.at.patient("fuse", PATIENCE)
    }

    fn feels(&self, mood: &str) {
        feels(&self.at, mood);
    }

    /// At once, as by `kill -9`.
    fn dies(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    fn comes_back(&mut self) {
        self.at.unmount();
        self.server = serve(&tools().unwrap().join("python"), &self.at);
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        // whoever waits for it is let go
        feels(&self.at, "");
        let _ended_already = self.server.kill();
        let _ended_already = self.server.wait();
    }
}

/// At once: half of it is never read.
fn feels(at: &Mounted, mood: &str) {
    let (state, new) = (at.dir.path().join("state"), at.dir.path().join("state.new"));
    std::fs::write(&new, mood).unwrap();
    std::fs::rename(new, state).unwrap();
}

fn serve(python: &Path, at: &Mounted) -> Child {
    let folder = at.dir.path().join("folder");
    std::fs::create_dir_all(&folder).unwrap();
    feels(at, "");
    let mut command = Command::new(python);
    command.arg(SERVER).arg(folder).arg(at.point()).arg(at.dir.path().join("state"));
    let mut server = command.stdin(Stdio::null()).spawn().unwrap();
    let (began, point) = (Instant::now(), at.point().display().to_string());
    while !std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&point) {
        let ended = server.try_wait().unwrap();
        assert!(ended.is_none() && began.elapsed() < Duration::from_secs(60), "{command:?} mounts nothing: {ended:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

/// What each thing that one can want of a store ends with.
async fn errors(backend: &FileBackend, location: &str) -> Vec<(&'static str, BackendError)> {
    let tries: Vec<std::pin::Pin<Box<dyn Future<Output = _> + Send>>> = vec![
        Box::pin(async { ("create", backend.create("new", None).await.err()) }),
        Box::pin(async { ("open", backend.open(location, None).await.err()) }),
        Box::pin(async { ("size", backend.size(location).await.err()) }),
        Box::pin(async { ("list", backend.list().await.err()) }),
        Box::pin(async { ("delete", backend.delete(location).await.err()) }),
        Box::pin(async { ("sweep", backend.sweep().await.err()) }),
    ];
    let ended = join_all(tries).await;
    ended.into_iter().map(|(what, error)| (what, error.unwrap_or_else(|| panic!("{what} is done")))).collect()
}

/// The rest of a download.
async fn rest(stream: ByteStream) -> Result<usize, BackendError> {
    stream.try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) }).await
}

/// What an upload ends with that goes on all the same.
async fn written(mut writer: Box<dyn Writer>) -> BackendError {
    for _ in 0..LARGE >> 16 {
        if let Err(error) = writer.write(Bytes::from(vec![1; 1 << 16])).await {
            writer.abort().await;
            return error;
        }
    }
    writer.commit().await.expect_err("it cannot be complete")
}

/// An image, a download of it and an upload beside it, both under way.
async fn under_way(backend: &FileBackend) -> (String, ByteStream, Box<dyn Writer>) {
    let location = store(backend, "image", &pattern(LARGE), 1 << 20).await;
    let mut download = backend.open(&location, None).await.unwrap();
    assert!(download.try_next().await.unwrap().is_some());
    let mut upload = backend.create("half", None).await.unwrap();
    upload.write(Bytes::from_static(b"half")).await.unwrap();
    (location, download, upload)
}

/// Everything goes on, and in the end nothing is left of what was given up.
async fn well_again(backend: &FileBackend, location: &str) {
    assert!(read(backend, location, None).await.unwrap() == pattern(LARGE));
    let again = store(backend, "again", &pattern(1000), 100).await;
    let began = Instant::now();
    loop {
        // what a writer could not remove goes with the next sweep; what still hangs is not abandoned yet
        backend.sweep().await.unwrap();
        let folder = Path::new(again.strip_prefix("file://").unwrap()).parent().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.retain(|n| n != ".lock");
        names.sort();
        if names == ["again", "image"] {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{names:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_keeps_only_its_own_waiting() {
    let Some(moody) = Moody::start() else { return };
    let backend = moody.backend();
    let (location, download, upload) = under_way(&backend).await;
    let folder = tempfile::tempdir().unwrap();
    let healthy = FileBackend::open(folder.path(), 0).unwrap();
    moody.feels("hang");
    let began = Instant::now();
    let hanging = async { tokio::join!(errors(&backend, &location), rest(download), written(upload)) };
    let others = async {
        for n in 0..10 {
            let location = store(&healthy, &format!("image{n}"), &pattern(100_000), 1000).await;
            assert!(read(&healthy, &location, None).await.unwrap() == pattern(100_000));
        }
        began.elapsed()
    };
    let ((errors, download, upload), others) = tokio::join!(hanging, others);
    for (what, error) in errors {
        assert!(matches!(&error, BackendError::Unavailable(why) if why.contains("does not answer")), "{what}: {error}");
    }
    is_unavailable(&download.unwrap_err(), "does not answer");
    is_unavailable(&upload, "does not answer");
    // one wait for what was asked, and at most one more for what was under way
    let took = began.elapsed();
    assert!(took >= PATIENCE && took < 10 * PATIENCE, "{took:?}");
    assert!(others < 10 * PATIENCE, "others waited {others:?}");
    moody.feels("");
    // what waited in the kernel is done now: the image is deleted, as was asked
    let began = Instant::now();
    while backend.size(&location).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let location = store(&backend, "image", &pattern(LARGE), 1 << 20).await;
    // and so may be the file that was asked for
    let began = Instant::now();
    while backend.create("new", None).await.map(drop).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    well_again(&backend, &location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_handles_are_said_so_and_end_with_the_server() {
    let Some(moody) = Moody::start() else { return };
    let backend = moody.backend();
    let (location, download, upload) = under_way(&backend).await;
    moody.feels("stale");
    for (what, error) in errors(&backend, &location).await {
        assert!(matches!(&error, BackendError::Unavailable(why) if why.contains("Stale")), "{what}: {error}");
    }
    is_unavailable(&rest(download).await.unwrap_err(), "Stale");
    is_unavailable(&written(upload).await, "Stale");
    moody.feels("");
    well_again(&backend, &location).await;
}

/// The disk behind it fails: that is no end of the data, and not the file system's being away.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_disk_are_errors() {
    let Some(moody) = Moody::start() else { return };
    let backend = moody.backend();
    let (location, download, upload) = under_way(&backend).await;
    moody.feels("broken");
    for (what, error) in errors(&backend, &location).await {
        assert!(matches!(&error, BackendError::Io { .. }), "{what}: {error}");
    }
    assert!(matches!(rest(download).await.unwrap_err(), BackendError::Io { .. }));
    assert!(matches!(written(upload).await, BackendError::Io { .. }));
    moody.feels("");
    well_again(&backend, &location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_away_until_it_is_mounted_again() {
    let Some(mut moody) = Moody::start() else { return };
    let backend = moody.backend();
    let (location, download, upload) = under_way(&backend).await;
    moody.dies();
    for (what, error) in errors(&backend, &location).await {
        assert!(matches!(&error, BackendError::Unavailable(why) if why.contains("not connected")), "{what}: {error}");
    }
    is_unavailable(&rest(download).await.unwrap_err(), "");
    is_unavailable(&written(upload).await, "");
    moody.comes_back();
    well_again(&backend, &location).await;
}
