//! What every backend must do.

use bytes::Bytes;
use futures_util::TryStreamExt;
use image_backends::file::DEFAULT_RESERVE;
use image_backends::{FileBackend, MemoryBackend};
use image_model::{Backend, BackendError};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

async fn on_each<F, Fut>(test: F)
where
    F: Fn(Arc<dyn Backend>) -> Fut,
    Fut: Future<Output = ()>,
{
    let dir = tempfile::tempdir().unwrap();
    test(Arc::new(FileBackend::open(dir.path().join("images"), DEFAULT_RESERVE).unwrap())).await;
    test(Arc::new(MemoryBackend::new(64 << 20))).await;
}

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

#[tokio::test]
async fn what_is_stored_comes_back() {
    on_each(|backend| async move {
        for (key, len, chunk) in [("empty", 0, 1), ("one", 1, 1), ("odd", 100_003, 7), ("big", 3_000_000, 65_536)] {
            let bytes = pattern(len);
            let location = store(&*backend, key, &bytes, chunk).await;
            assert_eq!(location, backend.location(key));
            assert!(backend.holds(&location));
            assert_eq!(read(&*backend, &location, None).await.unwrap(), bytes, "{key}");
        }
    })
    .await;
}

#[tokio::test]
async fn parts_of_it() {
    on_each(|backend| async move {
        let bytes = pattern(1_500_000);
        let location = store(&*backend, "image", &bytes, 10_000).await;
        for range in [0..1, 0..1_500_000, 9_999..10_001, 600_000..1_400_000, 1_499_999..1_500_000, 5..5] {
            let part = read(&*backend, &location, Some(range.clone())).await.unwrap();
            assert_eq!(part, bytes[range.start as usize..range.end as usize], "{range:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn deleted_data_is_gone_and_may_be_deleted_again() {
    on_each(|backend| async move {
        let location = store(&*backend, "image", b"data", 4).await;
        backend.delete(&location).await.unwrap();
        backend.delete(&location).await.unwrap();
        let error = read(&*backend, &location, None).await.unwrap_err();
        assert!(matches!(error, BackendError::NotFound(_)), "{error}");
    })
    .await;
}

#[tokio::test]
async fn locations_of_other_stores_are_refused() {
    on_each(|backend| async move {
        for location in ["http://example.org/x", "file:///etc/passwd", "nonsense"] {
            assert!(matches!(backend.open(location, None).await, Err(BackendError::BadLocation(_))), "{location}");
            assert!(matches!(backend.delete(location).await, Err(BackendError::BadLocation(_))), "{location}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_fit_is_refused_before_it_is_sent() {
    on_each(|backend| async move {
        let error = backend.create("image", Some(u64::MAX)).await.err().unwrap();
        assert!(matches!(error, BackendError::Full(_)), "{error}");
        assert_eq!(backend.sweep().await.unwrap(), 0);
    })
    .await;
}
