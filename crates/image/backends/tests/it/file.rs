use crate::suite::{pattern, read, store};
use bytes::Bytes;
use image_backends::FileBackend;
use image_backends::file::DEFAULT_RESERVE;
use image_model::{Backend, BackendError};
use std::path::Path;
use std::time::{Duration, Instant};

/// Names of the folder's files, but for the lock.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    entries.filter(|n| n != ".lock").collect()
}

async fn until_empty(dir: &Path) {
    let started = Instant::now();
    while !names(dir).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "left: {:?}", names(dir));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nothing_has_its_name_before_it_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FileBackend::open(dir.path(), DEFAULT_RESERVE).unwrap();
    let mut writer = backend.create("image", None).await.unwrap();
    writer.write(Bytes::from(pattern(100_000))).await.unwrap();
    assert_eq!(names(dir.path()), [".partial-image"]);
    assert!(matches!(backend.open(&backend.location("image"), None).await, Err(BackendError::NotFound(_))));
    writer.commit().await.unwrap();
    assert_eq!(names(dir.path()), ["image"]);
}

#[tokio::test]
async fn an_abandoned_writer_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FileBackend::open(dir.path(), DEFAULT_RESERVE).unwrap();
    let mut writer = backend.create("image", None).await.unwrap();
    writer.write(Bytes::from(pattern(100_000))).await.unwrap();
    drop(writer);
    until_empty(dir.path()).await;
    let mut writer = backend.create("image", None).await.unwrap();
    writer.write(Bytes::from(pattern(100_000))).await.unwrap();
    writer.abort().await;
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn a_sweep_takes_only_what_nobody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FileBackend::open(dir.path(), DEFAULT_RESERVE).unwrap();
    store(&backend, "whole", b"data", 4).await;
    let mut writer = backend.create("alive", None).await.unwrap();
    writer.write(Bytes::from_static(b"more")).await.unwrap();
    // as a killed process leaves it
    std::fs::write(dir.path().join(".partial-dead"), b"half").unwrap();
    assert_eq!(backend.sweep().await.unwrap(), 1);
    let again = FileBackend::open(dir.path(), DEFAULT_RESERVE).unwrap();
    let location = writer.commit().await.unwrap();
    assert_eq!(read(&again, &location, None).await.unwrap(), b"more");
    let mut left = names(dir.path());
    left.sort();
    assert_eq!(left, ["alive", "whole"]);
}

#[tokio::test]
async fn a_disk_that_fills_up_on_the_way_is_said_so_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FileBackend::open(dir.path(), 0).unwrap();
    let mut writer = backend.create("image", None).await.unwrap();
    writer.write(Bytes::from_static(b"it still fits")).await.unwrap();
    backend.set_reserve(u64::MAX);
    let chunk = Bytes::from(vec![1; 1 << 20]);
    let mut error = None;
    for _ in 0..512 {
        if let Err(e) = writer.write(chunk.clone()).await {
            error = Some(e);
            break;
        }
    }
    let error = error.expect("the store is full");
    assert!(writer.write(chunk).await.is_err(), "and stays so");
    writer.abort().await;
    assert!(matches!(&error, BackendError::Full(m) if m.contains("not enough disk space")), "{error}");
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn a_damaged_file_is_an_error_not_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FileBackend::open(dir.path(), DEFAULT_RESERVE).unwrap();
    let location = store(&backend, "image", &pattern(10_000), 1000).await;
    std::fs::OpenOptions::new().write(true).open(dir.path().join("image")).unwrap().set_len(5000).unwrap();
    assert!(read(&backend, &location, Some(0..10_000)).await.is_err());
}

#[tokio::test]
async fn keys_cannot_leave_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let backend = FileBackend::open(dir.path().join("images"), DEFAULT_RESERVE).unwrap();
    std::fs::write(dir.path().join("secret"), "x").unwrap();
    for key in ["../secret", "/etc/passwd", "", ".lock", "a/b", "a\0b"] {
        assert!(backend.create(key, None).await.is_err(), "{key}");
    }
    let outside = format!("{}/../secret", backend.location("x").trim_end_matches("/x"));
    assert!(matches!(backend.delete(&outside).await, Err(BackendError::BadLocation(_))));
    assert!(dir.path().join("secret").exists());
}
