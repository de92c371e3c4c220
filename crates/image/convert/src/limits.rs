//! What a conversion may take, and how it is watched and ended.

use crate::Error;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Of one conversion.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest disk.
    pub virtual_size: u64,
    /// The most that is written to the target. Zeros are not.
    pub output: u64,
    /// `None`: it may take as long as it takes.
    pub deadline: Option<Instant>,
    /// Each takes about 8 MiB of memory.
    pub threads: usize,
}

impl Limits {
    /// Two threads a core, for one of them often waits for the disk or its turn; four at most.
    pub fn new(virtual_size: u64, output: u64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { virtual_size, output, deadline: None, threads: (cores * 2).min(4) }
    }
    pub(crate) fn check_disk(&self, virtual_size: u64) -> Result<(), Error> {
        // files have signed sizes
        let limit = self.virtual_size.min(i64::MAX as u64);
        if virtual_size <= limit {
            return Ok(());
        }
        Err(Error::TooLarge { what: "the disk in the image", asked: virtual_size, limit })
    }
}

/// How far a conversion is, in bytes of the disk.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// Asked at every piece.
pub(crate) struct Watch<'a> {
    deadline: Option<Instant>,
    progress: &'a (dyn Fn(Progress) -> ControlFlow<()> + Sync),
    done: AtomicU64,
    total: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(limits: &Limits, total: u64, progress: &'a (dyn Fn(Progress) -> ControlFlow<()> + Sync)) -> Self {
        Self { deadline: limits.deadline, progress, done: AtomicU64::new(0), total }
    }
    /// So many more bytes of the disk are done.
    pub(crate) fn advance(&self, by: u64) -> Result<(), Error> {
        let done = self.done.fetch_add(by, Ordering::Relaxed) + by;
        if (self.progress)(Progress { done, total: self.total }).is_break() {
            return Err(Error::Cancelled);
        }
        self.check_time()
    }
    pub(crate) fn check_time(&self) -> Result<(), Error> {
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(Error::TimedOut),
            _ => Ok(()),
        }
    }
}
