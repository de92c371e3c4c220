//! Writing to a store that takes objects in parts, each of known size: gathered in memory, a few on their way at a time.

use async_trait::async_trait;
use bytes::Bytes;
use image_model::{BackendError, Writer};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Parts that are being sent while the next one is gathered: an upload holds one more than this in memory.
const UNDER_WAY: usize = 2;
/// After so many parts they become twice as large: 10,000 of them, S3's limit, then hold 8,184 GiB from 8 MiB on.
const DOUBLE_EVERY: u32 = 1000;
/// How often a part is sent again after a failure that may pass, and how long is waited before: each time twice as long.
const RETRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Bytes a second below which a part is believed to be stuck, and how long the answer to it may take.
const SLOWEST: u64 = 128 << 10;
const ANSWER: Duration = Duration::from_secs(60);

/// The bytes of a part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    chunks: Vec<Bytes>,
    pub(crate) size: u64,
}

impl Part {
    /// How long it may take to be sent, and answered.
    pub(crate) fn patience(&self) -> Duration {
        ANSWER + Duration::from_secs(self.size / SLOWEST)
    }

    /// As the body of a request.
    pub(crate) fn body(&self) -> reqwest::Body {
        let chunks = self.chunks.clone();
        reqwest::Body::wrap_stream(futures_util::stream::iter(chunks.into_iter().map(Ok::<_, io::Error>)))
    }
}

/// Where the parts of one object go.
#[async_trait]
pub(crate) trait Sink: Send + Sync + 'static {
    /// Everything in one request: there is only one part.
    async fn put_whole(&self, part: &Part) -> Result<(), BackendError>;
    /// Called once, before the first part.
    async fn begin(&self) -> Result<(), BackendError>;
    /// `number` counts from 1. Returns what [`Sink::complete`] needs to know of it. May be called again for the same part.
    async fn put(&self, number: u32, part: &Part) -> Result<String, BackendError>;
    /// Makes one object of the parts, in order. `size`: of them all.
    async fn complete(&self, parts: &[String], size: u64) -> Result<(), BackendError>;
    /// Removes what there is of the object.
    async fn abandon(&self);
}

pub(crate) struct PartWriter<S: Sink> {
    sink: Arc<S>,
    location: String,
    part_bytes: u64,
    gathered: Part,
    sending: JoinSet<(u32, Result<String, BackendError>)>,
    sent: BTreeMap<u32, String>,
    /// Parts begun.
    count: u32,
    size: u64,
    /// Nothing is left to be removed.
    settled: bool,
}

impl<S: Sink> PartWriter<S> {
    pub(crate) fn new(sink: S, location: String, part_bytes: u64) -> Self {
        Self {
            sink: Arc::new(sink),
            location,
            part_bytes,
            gathered: Part::default(),
            sending: JoinSet::new(),
            sent: BTreeMap::new(),
            count: 0,
            size: 0,
            settled: false,
        }
    }

    /// How large the part that is being gathered becomes.
    fn wanted(&self) -> u64 {
        self.part_bytes << (self.count / DOUBLE_EVERY)
    }

    async fn send(&mut self) -> Result<(), BackendError> {
        if self.count == 0 {
            self.sink.begin().await?;
        }
        while self.sending.len() >= UNDER_WAY {
            self.one_sent().await?;
        }
        self.count += 1;
        let (sink, number, part) = (self.sink.clone(), self.count, std::mem::take(&mut self.gathered));
        self.sending.spawn(async move { (number, patiently(|| sink.put(number, &part)).await) });
        Ok(())
    }

    async fn one_sent(&mut self) -> Result<(), BackendError> {
        match self.sending.join_next().await {
            Some(Ok((number, put))) => {
                self.sent.insert(number, put?);
                Ok(())
            }
            Some(Err(e)) => {
                Err(BackendError::Io { operation: "a part was cut off".into(), source: io::Error::other(e) })
            }
            None => Ok(()),
        }
    }

    async fn finish(&mut self) -> Result<(), BackendError> {
        if self.count == 0 {
            let part = std::mem::take(&mut self.gathered);
            return patiently(|| self.sink.put_whole(&part)).await;
        }
        if self.gathered.size > 0 {
            self.send().await?;
        }
        while !self.sending.is_empty() {
            self.one_sent().await?;
        }
        let parts: Vec<String> = self.sent.values().cloned().collect();
        self.sink.complete(&parts, self.size).await
    }
}

/// Again, if it may pass.
async fn patiently<T, F: Future<Output = Result<T, BackendError>>>(attempt: impl Fn() -> F) -> Result<T, BackendError> {
    let mut wait = FIRST_WAIT;
    for _ in 0..RETRIES {
        match attempt().await {
            Err(BackendError::Unavailable(why)) => tracing::debug!(why, "sending again"),
            other => return other,
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    attempt().await
}

#[async_trait]
impl<S: Sink> Writer for PartWriter<S> {
    async fn write(&mut self, mut chunk: Bytes) -> Result<(), BackendError> {
        self.size += chunk.len() as u64;
        while !chunk.is_empty() {
            let room = self.wanted() - self.gathered.size;
            let fits = chunk.split_to(usize::try_from(room).unwrap_or(usize::MAX).min(chunk.len()));
            self.gathered.size += fits.len() as u64;
            self.gathered.chunks.push(fits);
            // the last part must not be empty: a full one waits for what comes after it
            if !chunk.is_empty() && self.gathered.size == self.wanted() {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<String, BackendError> {
        let finished = self.finish().await;
        if finished.is_err() {
            self.sending.shutdown().await;
            self.sink.abandon().await;
        }
        self.settled = true;
        finished.map(|()| self.location.clone())
    }

    async fn abort(mut self: Box<Self>) {
        self.sending.shutdown().await;
        if self.count > 0 {
            self.sink.abandon().await;
        }
        self.settled = true;
    }
}

impl<S: Sink> Drop for PartWriter<S> {
    fn drop(&mut self) {
        if self.settled || self.count == 0 {
            return;
        }
        let (sink, mut sending) = (self.sink.clone(), std::mem::take(&mut self.sending));
        // outside of a runtime the process is ending: what is left is a leftover
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                sending.shutdown().await;
                sink.abandon().await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What has arrived, part by part.
    #[derive(Default)]
    struct Seen {
        parts: Mutex<BTreeMap<u32, u64>>,
        whole: Mutex<Option<u64>>,
        complete: Mutex<Option<(usize, u64)>>,
        /// Requests that still fail.
        failures: AtomicU32,
        for_good: bool,
        abandoned: AtomicU32,
    }

    struct Fake(Arc<Seen>);

    impl Fake {
        fn fail(&self) -> Result<(), BackendError> {
            let left = self.0.failures.load(Ordering::SeqCst);
            if left == 0 {
                return Ok(());
            }
            self.0.failures.store(left - 1, Ordering::SeqCst);
            let why = "no".to_owned();
            Err(if self.0.for_good { BackendError::Denied(why) } else { BackendError::Unavailable(why) })
        }
    }

    #[async_trait]
    impl Sink for Fake {
        async fn put_whole(&self, part: &Part) -> Result<(), BackendError> {
            self.fail()?;
            *self.0.whole.lock().unwrap() = Some(part.size);
            Ok(())
        }
        async fn begin(&self) -> Result<(), BackendError> {
            Ok(())
        }
        async fn put(&self, number: u32, part: &Part) -> Result<String, BackendError> {
            self.fail()?;
            let bytes: usize = part.chunks.iter().map(Bytes::len).sum();
            assert_eq!(bytes as u64, part.size);
            self.0.parts.lock().unwrap().insert(number, part.size);
            Ok(format!("tag{number}"))
        }
        async fn complete(&self, parts: &[String], size: u64) -> Result<(), BackendError> {
            let wanted: Vec<String> = (1..=parts.len()).map(|n| format!("tag{n}")).collect();
            assert_eq!(parts, wanted);
            *self.0.complete.lock().unwrap() = Some((parts.len(), size));
            Ok(())
        }
        async fn abandon(&self) {
            self.0.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn writer(seen: &Arc<Seen>, part_bytes: u64) -> Box<PartWriter<Fake>> {
        Box::new(PartWriter::new(Fake(seen.clone()), "at".into(), part_bytes))
    }

    async fn write(writer: &mut PartWriter<Fake>, size: usize) -> Result<(), BackendError> {
        writer.write(Bytes::from(vec![7; size])).await
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_of_any_size_become_parts() {
        for (pieces, whole, parts) in [
            (vec![], Some(0), vec![]),
            (vec![3, 7], Some(10), vec![]),
            (vec![10, 1], None, vec![10, 1]),
            (vec![25], None, vec![10, 10, 5]),
            (vec![1; 31], None, vec![10, 10, 10, 1]),
            (vec![20], None, vec![10, 10]),
        ] {
            let seen = Arc::new(Seen::default());
            let mut w = writer(&seen, 10);
            for piece in &pieces {
                write(&mut w, *piece).await.unwrap();
            }
            assert_eq!(w.commit().await.unwrap(), "at");
            assert_eq!(*seen.whole.lock().unwrap(), whole, "{pieces:?}");
            let sent: Vec<u64> = seen.parts.lock().unwrap().values().copied().collect();
            assert_eq!(sent, parts, "{pieces:?}");
            let total = pieces.iter().sum::<usize>() as u64;
            let complete = (!parts.is_empty()).then_some((parts.len(), total));
            assert_eq!(*seen.complete.lock().unwrap(), complete, "{pieces:?}");
            assert_eq!(seen.abandoned.load(Ordering::SeqCst), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn parts_grow_before_their_number_runs_out() {
        let seen = Arc::new(Seen::default());
        let mut w = writer(&seen, 1);
        for _ in 0..30 {
            write(&mut w, 100).await.unwrap();
        }
        w.commit().await.unwrap();
        let parts = seen.parts.lock().unwrap();
        assert_eq!((parts[&1000], parts[&1001], parts.len()), (1, 2, 2000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_passes_is_not_noticed() {
        let seen = Arc::new(Seen { failures: AtomicU32::new(RETRIES), ..Seen::default() });
        let mut w = writer(&seen, 10);
        write(&mut w, 25).await.unwrap();
        w.commit().await.unwrap();
        assert_eq!(*seen.complete.lock().unwrap(), Some((3, 25)));
        let seen = Arc::new(Seen { failures: AtomicU32::new(RETRIES), ..Seen::default() });
        let mut w = writer(&seen, 10);
        write(&mut w, 5).await.unwrap();
        w.commit().await.unwrap();
        assert_eq!(*seen.whole.lock().unwrap(), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_ends_an_upload_early_leaves_nothing() {
        let failing = || Arc::new(Seen { failures: AtomicU32::new(99), for_good: true, ..Seen::default() });
        let seen = failing();
        let mut w = writer(&seen, 10);
        write(&mut w, 25).await.unwrap();
        assert!(matches!(w.commit().await, Err(BackendError::Denied(_))));
        assert_eq!(seen.abandoned.load(Ordering::SeqCst), 1);

        let seen = failing();
        let mut w = writer(&seen, 10);
        let mut failed = false;
        for _ in 0..10 {
            failed |= write(&mut w, 10).await.is_err();
            tokio::task::yield_now().await;
        }
        assert!(failed, "told before the end");
        w.abort().await;
        assert_eq!(seen.abandoned.load(Ordering::SeqCst), 1);

        let seen = Arc::new(Seen::default());
        let mut w = writer(&seen, 10);
        write(&mut w, 25).await.unwrap();
        drop(w);
        while seen.abandoned.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }
}
