//! The same bytes on their way to several stores at once.

use crate::fault;
use bytes::Bytes;
use futures_util::future::join_all;
use image_model::{BackendError, Location, Store, Writer};
use platform_http::Fault;

/// Dropped before [`Copies::commit`], it leaves nothing behind.
pub(crate) struct Copies {
    going: Vec<(String, Box<dyn Writer>)>,
    /// Stores that have failed, where others go on without them.
    failed: Vec<String>,
    /// One that fails ends it for all.
    all: bool,
}

/// Nothing is, or will be, stored.
pub(crate) struct NotStored {
    pub(crate) fault: Fault,
    pub(crate) stores: Vec<String>,
}

impl Copies {
    /// One, which is there already.
    pub(crate) fn of(store: &str, writer: Box<dyn Writer>) -> Self {
        Self { going: vec![(store.to_owned(), writer)], failed: Vec::new(), all: true }
    }

    /// `expected`: how many bytes will come, if known.
    pub(crate) async fn open(stores: &[Store], key: &str, expected: Option<u64>, all: bool) -> Result<Self, NotStored> {
        let opened = join_all(stores.iter().map(|s| s.backend.create(key, expected))).await;
        let mut copies = Self { going: Vec::new(), failed: Vec::new(), all };
        let mut first = None;
        for (store, opened) in stores.iter().zip(opened) {
            match opened {
                Ok(writer) => copies.going.push((store.name.clone(), writer)),
                Err(error) => copies.lose(store.name.clone(), error, &mut first),
            }
        }
        match copies.goes_on(first) {
            Ok(()) => Ok(copies),
            Err(fault) => {
                let stores = copies.failed.clone();
                copies.abort().await;
                Err(NotStored { fault, stores })
            }
        }
    }

    fn lose(&mut self, store: String, error: BackendError, first: &mut Option<BackendError>) {
        tracing::warn!(store, %error, "image data does not go to store {store}");
        self.failed.push(store);
        first.get_or_insert(error);
    }

    /// Whether there is a reason to go on after `error`.
    fn goes_on(&self, error: Option<BackendError>) -> Result<(), Fault> {
        match error {
            Some(error) if self.all || self.going.is_empty() => Err(fault::of_backend(error)),
            _ => Ok(()),
        }
    }

    /// Returns when all have taken it.
    pub(crate) async fn write(&mut self, chunk: &Bytes) -> Result<(), Fault> {
        let written = join_all(self.going.iter_mut().map(|(_, writer)| writer.write(chunk.clone()))).await;
        if written.iter().all(Result::is_ok) {
            return Ok(());
        }
        let mut first = None;
        for ((store, writer), written) in std::mem::take(&mut self.going).into_iter().zip(written) {
            match written {
                Ok(()) => self.going.push((store, writer)),
                Err(error) => {
                    writer.abort().await;
                    self.lose(store, error, &mut first);
                }
            }
        }
        self.goes_on(first)
    }

    pub(crate) fn failed(&self) -> impl Iterator<Item = &str> {
        self.failed.iter().map(String::as_str)
    }

    /// Where the data is now, and which stores do not have it. After an error some may have it: whoever planned these
    /// locations leaves them to be deleted.
    pub(crate) async fn commit(mut self) -> Result<(Vec<Location>, Vec<String>), NotStored> {
        let (names, writers): (Vec<String>, Vec<_>) = std::mem::take(&mut self.going).into_iter().unzip();
        let committed = join_all(writers.into_iter().map(Writer::commit)).await;
        let mut at = Vec::new();
        let mut first = None;
        for (store, committed) in names.into_iter().zip(committed) {
            match committed {
                Ok(url) => at.push(Location { store, url }),
                Err(error) => self.lose(store, error, &mut first),
            }
        }
        match first {
            Some(error) if self.all || at.is_empty() => {
                Err(NotStored { fault: fault::of_backend(error), stores: self.failed })
            }
            _ => Ok((at, self.failed)),
        }
    }

    /// Returns when nothing is left.
    pub(crate) async fn abort(self) {
        join_all(self.going.into_iter().map(|(_, writer)| writer.abort())).await;
    }
}
