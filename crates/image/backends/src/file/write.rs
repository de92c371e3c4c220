//! Writing one image: chunks come through a bounded channel to a thread that does nothing but write. What is written goes
//! to the disk while more comes, so that the final sync has little left to do.

use super::mount::{MountId, TO_COMPLETE, too_slow};
use super::output::Output;
use super::{Folder, PARTIAL, failed, sweep};
use async_trait::async_trait;
use bytes::Bytes;
use image_model::{BackendError, Writer};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Chunks on their way to the writing thread. With hyper's chunks of at most 400 KiB this is a few MiB.
const QUEUE: usize = 16;
/// Most chunks that go to the kernel in one call.
const GATHER: usize = 16;
/// Bytes after which it is looked whether the disk has room for more.
const CHECK_SPACE_EVERY: usize = 16 << 20;

/// The file before it has its name. Dropped, it is gone.
pub(super) struct Partial {
    folder: Arc<Folder>,
    path: PathBuf,
    target: PathBuf,
    /// `None`: it has its name.
    output: Option<Output>,
    /// Where the folder is a mount: the one that the file is on.
    on: Option<MountId>,
}

impl Partial {
    pub(super) fn create(folder: &Arc<Folder>, key: &str, expected: Option<u64>) -> Result<Self, BackendError> {
        let on = folder.mounted()?;
        folder.check_space(expected.unwrap_or(0))?;
        let target = folder.file(key)?;
        let path = folder.path.join(format!("{PARTIAL}{key}"));
        // a server behind a mount answers each write by itself: its client must be free to gather them
        let output = Some(Output::new(sweep::create_locked(folder, &path)?, on.is_none()));
        let partial = Self { folder: folder.clone(), path, target, output, on };
        // lost in this very moment, it was made in the folder beneath: dropped, it is gone
        partial.same_mount()?;
        Ok(partial)
    }

    fn same_mount(&self) -> Result<(), BackendError> {
        let path = self.folder.path.display();
        if self.folder.mounted()? == self.on {
            return Ok(());
        }
        Err(BackendError::Unavailable(format!(
            "what was mounted at {path} when the upload began is not there any more"
        )))
    }

    fn output(&mut self) -> io::Result<&mut Output> {
        self.output.as_mut().ok_or_else(|| io::Error::other("the file is closed"))
    }

    fn write(&mut self, chunks: &[Bytes]) -> Result<(), BackendError> {
        self.output().and_then(|output| output.write(chunks)).map_err(|e| failed("write", &self.path, e))
    }

    /// The bytes, then the name, then the folder: on disk in this order.
    fn finish(mut self) -> Result<(), BackendError> {
        self.same_mount()?;
        let mut sync = || -> io::Result<()> {
            self.output()?.finish()?;
            fs::rename(&self.path, &self.target)?;
            File::open(&self.folder.path)?.sync_all()
        };
        if let Err(e) = sync() {
            // it may have its name already, but not durably
            let _not_there = fs::remove_file(&self.target);
            return Err(failed("complete", &self.path, e));
        }
        self.output = None;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // while it is still locked; after a rename there is nothing left to remove
        if self.output.is_some()
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "an unfinished image is left until the next sweep");
        }
    }
}

enum Order {
    Write(Bytes),
    Commit,
}

pub(super) struct FileWriter {
    location: String,
    /// How long a chunk may wait to be taken. `None`: as long as it must.
    patience: Option<Duration>,
    orders: mpsc::Sender<Order>,
    /// How it ended. `None` once that is known.
    outcome: Option<oneshot::Receiver<Result<(), BackendError>>>,
}

impl FileWriter {
    /// `thread`: its place among those of the mount.
    pub(super) fn start(partial: Partial, thread: Option<OwnedSemaphorePermit>) -> Self {
        let patience = partial.folder.mount.as_ref().map(|m| m.patience());
        let location = format!("file://{}", partial.target.display());
        let (orders, incoming) = mpsc::channel(QUEUE);
        let (tell, outcome) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let _thread = thread;
            let result = run(partial, incoming);
            if let Err(Err(error)) = tell.send(result) {
                tracing::debug!(%error, "an abandoned image could not be written");
            }
        });
        Self { location, patience, orders, outcome: Some(outcome) }
    }

    /// The thread is told; an error if that takes too long.
    async fn order(&self, order: Order) -> Result<Result<(), mpsc::error::SendError<Order>>, BackendError> {
        self.in_time(self.orders.send(order), 1).await
    }

    /// What takes more than so many times the patience fails.
    async fn in_time<T>(&self, what: impl Future<Output = T>, times: u32) -> Result<T, BackendError> {
        let Some(patience) = self.patience else { return Ok(what.await) };
        let path = Path::new(self.location.trim_start_matches("file://"));
        tokio::time::timeout(patience * times, what).await.map_err(|_| too_slow(path.parent().unwrap_or(path)))
    }

    /// Waits for the writing thread to end.
    async fn ended(&mut self) -> Result<(), BackendError> {
        let told = match self.outcome.take() {
            Some(outcome) => self.in_time(outcome, TO_COMPLETE).await?.ok(),
            None => None,
        };
        told.unwrap_or_else(|| {
            let source = io::Error::other("the writing thread has stopped");
            Err(BackendError::Io { operation: "write an image".into(), source })
        })
    }
}

#[async_trait]
impl Writer for FileWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), BackendError> {
        match self.order(Order::Write(chunk)).await? {
            Ok(()) => Ok(()),
            Err(_) => self.ended().await,
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<String, BackendError> {
        // a thread that takes no orders any more has failed, and says why
        let _failed = self.order(Order::Commit).await?;
        self.ended().await.map(|()| self.location)
    }

    async fn abort(self: Box<Self>) {
        let Self { orders, outcome, patience, .. } = *self;
        drop(orders);
        match (outcome, patience) {
            (None, _) => {}
            (Some(outcome), None) => drop(outcome.await),
            // a thread that hangs removes the file when it hangs no more
            (Some(outcome), Some(patience)) => drop(tokio::time::timeout(patience, outcome).await),
        }
    }
}

/// The writing thread: until told to commit, or until nobody can tell it any more.
fn run(mut partial: Partial, mut orders: mpsc::Receiver<Order>) -> Result<(), BackendError> {
    let mut batch = Vec::with_capacity(GATHER);
    let mut unchecked = 0;
    let mut commit = false;
    while !commit {
        let Some(first) = orders.blocking_recv() else { return Ok(()) };
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                Order::Write(chunk) => batch.push(chunk),
                Order::Commit => commit = true,
            }
            if !commit && batch.len() < GATHER {
                next = orders.try_recv().ok();
            }
        }
        partial.write(&batch)?;
        unchecked += batch.iter().map(Bytes::len).sum::<usize>();
        batch.clear();
        if unchecked >= CHECK_SPACE_EVERY {
            unchecked = 0;
            partial.folder.check_space(0)?;
        }
    }
    partial.finish()
}
