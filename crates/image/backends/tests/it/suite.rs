//! What every backend must do.

use bytes::Bytes;
use futures_util::TryStreamExt;
use image_backends::file::DEFAULT_RESERVE;
use image_backends::{FileBackend, MemoryBackend};
use image_model::{Backend, BackendError};
use std::ops::Range;

pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 253) as u8).collect()
}

pub(crate) async fn store(backend: &dyn Backend, key: &str, bytes: &[u8], chunk: usize) -> String {
    let mut writer = backend.create(key, Some(bytes.len() as u64)).await.unwrap();
    for piece in bytes.chunks(chunk) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.commit().await.unwrap()
}

pub(crate) async fn read(
    backend: &dyn Backend,
    location: &str,
    range: Option<Range<u64>>,
) -> Result<Vec<u8>, BackendError> {
    let chunks: Vec<Bytes> = backend.open(location, range).await?.try_collect().await?;
    Ok(chunks.concat())
}

/// All of it. `big` is the size of an image that takes several parts where the backend has such.
pub(crate) async fn conforms(backend: &dyn Backend, big: usize) {
    assert!(backend.list().await.unwrap().is_empty());
    what_is_stored_comes_back(backend, big).await;
    parts_of_it(backend, big).await;
    what_is_listed(backend).await;
    deleted_data_is_gone_and_may_be_deleted_again(backend).await;
    nothing_of_an_upload_that_does_not_end(backend, big).await;
    locations_of_other_stores_are_refused(backend).await;
    assert_eq!(backend.sweep().await.unwrap(), 0);
    for stored in backend.list().await.unwrap() {
        backend.delete(&stored.location).await.unwrap();
    }
    assert!(backend.list().await.unwrap().is_empty());
}

async fn what_is_stored_comes_back(backend: &dyn Backend, big: usize) {
    for (key, len, chunk) in [("empty", 0, 1), ("one", 1, 1), ("odd", 100_003, 7_001), ("big", big, 65_536)] {
        let bytes = pattern(len);
        let location = store(backend, key, &bytes, chunk).await;
        assert_eq!(location, backend.location(key));
        assert!(backend.holds(&location));
        assert_eq!(backend.size(&location).await.unwrap(), len as u64, "{key}");
        assert!(read(backend, &location, None).await.unwrap() == bytes, "{key}");
    }
}

async fn parts_of_it(backend: &dyn Backend, big: usize) {
    let (bytes, location, size) = (pattern(big), backend.location("big"), big as u64);
    for range in [0..1, 0..size, 9_999..10_001, size / 3..size / 3 * 2, size - 1..size, 5..5] {
        let part = read(backend, &location, Some(range.clone())).await.unwrap();
        assert!(part == bytes[range.start as usize..range.end as usize], "{range:?}");
    }
    assert!(read(backend, &location, Some(size - 1..size + 1)).await.is_err(), "less than was asked for is an error");
}

async fn what_is_listed(backend: &dyn Backend) {
    let mut listed: Vec<(String, u64)> =
        backend.list().await.unwrap().into_iter().map(|s| (s.location, s.size)).collect();
    listed.sort();
    let keys: Vec<&str> = vec!["big", "empty", "odd", "one"];
    let locations: Vec<String> = keys.iter().map(|k| backend.location(k)).collect();
    assert_eq!(listed.iter().map(|(l, _)| l).collect::<Vec<_>>(), locations.iter().collect::<Vec<_>>());
    for (location, size) in &listed {
        assert_eq!(backend.size(location).await.unwrap(), *size, "{location}");
    }
}

async fn deleted_data_is_gone_and_may_be_deleted_again(backend: &dyn Backend) {
    for key in ["one", "big"] {
        let location = backend.location(key);
        backend.delete(&location).await.unwrap();
        backend.delete(&location).await.unwrap();
        for error in [read(backend, &location, None).await.unwrap_err(), backend.size(&location).await.unwrap_err()] {
            assert!(matches!(error, BackendError::NotFound(_)), "{key}: {error}");
        }
    }
    assert_eq!(backend.list().await.unwrap().len(), 2);
}

async fn nothing_of_an_upload_that_does_not_end(backend: &dyn Backend, big: usize) {
    for key in ["aborted", "dropped"] {
        let mut writer = backend.create(key, None).await.unwrap();
        for piece in pattern(big).chunks(65_536) {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let location = backend.location(key);
        assert!(
            matches!(backend.size(&location).await, Err(BackendError::NotFound(_))),
            "{key} is seen before its end"
        );
        if key == "aborted" {
            writer.abort().await;
        } else {
            drop(writer);
        }
        assert!(matches!(backend.size(&location).await, Err(BackendError::NotFound(_))), "{key}");
    }
    assert_eq!(backend.list().await.unwrap().len(), 2);
}

async fn locations_of_other_stores_are_refused(backend: &dyn Backend) {
    let own = backend.location("x");
    let above = format!("{}../x", own.strip_suffix('x').unwrap());
    for location in ["http://example.org/x", "file:///etc/passwd", "nonsense", "", &above, &format!("{own}/y")] {
        assert!(!backend.holds(location), "{location}");
        assert!(matches!(backend.open(location, None).await, Err(BackendError::BadLocation(_))), "{location}");
        assert!(matches!(backend.delete(location).await, Err(BackendError::BadLocation(_))), "{location}");
        assert!(matches!(backend.size(location).await, Err(BackendError::BadLocation(_))), "{location}");
    }
    for key in ["", "..", "a/b", "a b"] {
        assert!(backend.create(key, None).await.is_err(), "{key:?}");
    }
}

/// A figure of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How much more memory than before, in MiB, the process held at once. Each test has one of its own.
async fn growth(work: impl Future<Output = ()>) -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    work.await;
    status("VmHWM:").saturating_sub(before) >> 10
}

/// Of `mib` MiB up and down, by a client who is as slow as the store.
pub(crate) async fn a_large_image_takes_little(backend: &dyn Backend, mib: u64, most_mib: u64) {
    store(backend, "warm", &pattern(11 << 20), 65_536).await;
    let up = growth(async {
        let mut writer = backend.create("large", None).await.unwrap();
        // as hyper gives them at most
        for _ in 0..mib * 4 {
            writer.write(Bytes::from(vec![7; 256 << 10])).await.unwrap();
        }
        writer.commit().await.unwrap();
    });
    let up = up.await;
    assert!(up < most_mib, "an upload of {mib} MiB took {up} MiB more");
    download_takes_little(backend, &backend.location("large"), mib, most_mib).await;
}

pub(crate) async fn download_takes_little(backend: &dyn Backend, location: &str, mib: u64, most_mib: u64) {
    assert_eq!(backend.size(location).await.unwrap(), mib << 20);
    let down = growth(async {
        let mut stream = backend.open(location, None).await.unwrap();
        let mut came = 0;
        while let Some(chunk) = stream.try_next().await.unwrap() {
            came += chunk.len() as u64;
            tokio::task::yield_now().await;
        }
        assert_eq!(came, mib << 20);
    });
    let down = down.await;
    assert!(down < most_mib, "a download of {mib} MiB took {down} MiB more");
}

#[tokio::test]
async fn a_large_file_takes_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    a_large_image_takes_little(&FileBackend::open(dir.path().join("images"), 0).unwrap(), 256, 32).await;
}

#[tokio::test]
async fn files() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&FileBackend::open(dir.path().join("images"), DEFAULT_RESERVE).unwrap(), 3_000_000).await;
}

#[tokio::test]
async fn memory() {
    conforms(&MemoryBackend::new(64 << 20), 3_000_000).await;
}

#[tokio::test]
async fn what_cannot_fit_is_refused_before_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let file = FileBackend::open(dir.path().join("images"), DEFAULT_RESERVE).unwrap();
    for backend in [&file as &dyn Backend, &MemoryBackend::new(64 << 20)] {
        let error = backend.create("image", Some(u64::MAX)).await.err().unwrap();
        assert!(matches!(error, BackendError::Full(_)), "{error}");
        assert_eq!(backend.sweep().await.unwrap(), 0);
    }
}
