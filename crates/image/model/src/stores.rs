//! The stores of one site, by name.

use crate::{Backend, BackendError, ByteStream, Location};
use futures_util::{StreamExt, stream};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// The name of the store of a site that names none.
pub const ONLY_STORE: &str = "file";

/// A place for image data with the name that clients call it by.
#[derive(Clone)]
pub struct Store {
    pub name: String,
    /// For clients; may be empty.
    pub description: String,
    /// Of an image's copies, that in the heaviest store is read first.
    pub weight: i64,
    pub backend: Arc<dyn Backend>,
}

/// All stores of a site. There is at least one. Cheap to clone.
#[derive(Clone)]
pub struct Stores(Arc<All>);

struct All {
    stores: Vec<Store>,
    default: usize,
}

/// Nothing here is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Store for identifier {0} not found")]
pub struct NoStore(pub String);

impl Stores {
    /// In the order in which they are shown. `default` takes what names no store.
    pub fn new(stores: Vec<Store>, default: &str) -> Result<Self, NoStore> {
        let default = stores.iter().position(|s| s.name == default).ok_or_else(|| NoStore(default.to_owned()))?;
        Ok(Self(Arc::new(All { stores, default })))
    }

    /// One, called [`ONLY_STORE`].
    pub fn only(backend: Arc<dyn Backend>) -> Self {
        let store = Store { name: ONLY_STORE.to_owned(), description: String::new(), weight: 0, backend };
        Self(Arc::new(All { stores: vec![store], default: 0 }))
    }

    pub fn all(&self) -> &[Store] {
        &self.0.stores
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all().iter().map(|s| s.name.as_str())
    }

    /// What takes data that is to go to no store in particular.
    pub fn default_store(&self) -> &Store {
        &self.0.stores[self.0.default]
    }

    pub fn get(&self, name: &str) -> Result<&Store, NoStore> {
        self.all().iter().find(|s| s.name == name).ok_or_else(|| NoStore(name.to_owned()))
    }

    /// The store that has this location. One that was renamed is known by its URLs. `None`: no store of this site.
    pub fn of(&self, location: &Location) -> Option<&Store> {
        let by_url = || self.all().iter().find(|s| s.backend.holds(&location.url));
        self.get(&location.store).ok().or_else(by_url)
    }

    /// What the store of a location is called: here, or else where it was written.
    pub fn name_of<'a>(&'a self, location: &'a Location) -> &'a str {
        self.of(location).map_or(location.store.as_str(), |s| s.name.as_str())
    }

    /// The locations that can be read from here, best first: those in the stores `first` as they are named there, then by
    /// weight.
    pub fn readable(&self, locations: &[Location], first: &[String]) -> Vec<(Store, String)> {
        let here = locations.iter().filter_map(|l| Some((self.of(l)?.clone(), l.url.clone())));
        let mut here: Vec<(Store, String)> = here.collect();
        let named = |store: &Store| first.iter().position(|name| *name == store.name).unwrap_or(first.len());
        here.sort_by_key(|(store, _)| (named(store), std::cmp::Reverse(store.weight)));
        here
    }

    /// The bytes of `range`, from the stores `first` if they have them. Where a copy cannot be read, or not to its end, the
    /// next one goes on at the same byte: they are all the same. Fails only when none can be opened.
    pub async fn open(
        &self,
        locations: &[Location],
        first: &[String],
        range: Range<u64>,
    ) -> Result<ByteStream, BackendError> {
        let mut reading = Reading { copies: self.readable(locations, first).into(), at: range.start, end: range.end };
        let (stream, from) = reading.next().await?;
        Ok(Box::pin(stream::unfold(Some((reading, stream, from)), follow)))
    }

    /// The bytes of `range` as `first` gives them, and where it breaks off as [`Stores::open`] does. `called` is for the
    /// log.
    pub fn after(&self, first: ByteStream, called: &str, locations: &[Location], range: Range<u64>) -> ByteStream {
        let reading = Reading { copies: self.readable(locations, &[]).into(), at: range.start, end: range.end };
        Box::pin(stream::unfold(Some((reading, first, called.to_owned())), follow))
    }

    /// Deletes one copy. What is in no store of this site is left to those that have it: [`BackendError::BadLocation`].
    pub async fn delete(&self, location: &Location) -> Result<(), BackendError> {
        let store = self.of(location).ok_or_else(|| BackendError::BadLocation(location.url.clone()))?;
        store.backend.delete(&location.url).await
    }
}

/// Copies that have not been tried, and how far the last one has come.
struct Reading {
    copies: VecDeque<(Store, String)>,
    at: u64,
    end: u64,
}

/// A copy's bytes, and the name of its store.
type Opened = (ByteStream, String);

impl Reading {
    /// Opens the next copy that can be opened, at the byte that comes next.
    async fn next(&mut self) -> Result<Opened, BackendError> {
        let mut last = None;
        while let Some((store, url)) = self.copies.pop_front() {
            match store.backend.open(&url, Some(self.at..self.end)).await {
                Ok(stream) => return Ok((stream, store.name)),
                Err(error) => {
                    tracing::warn!(store = store.name, url, %error, "image data in store {} cannot be read", store.name);
                    // that one copy is gone says less than that another cannot be reached
                    if last.is_none() || !matches!(error, BackendError::NotFound(_)) {
                        last = Some(error);
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| BackendError::NotFound("any store of this site".to_owned())))
    }
}

type Following = Option<(Reading, ByteStream, String)>;

/// The next chunk, from the next copy if need be.
async fn follow(state: Following) -> Option<(Result<bytes::Bytes, BackendError>, Following)> {
    let (mut reading, mut stream, mut from) = state?;
    loop {
        match stream.next().await {
            None => return None,
            Some(Ok(chunk)) => {
                reading.at += chunk.len() as u64;
                return Some((Ok(chunk), Some((reading, stream, from))));
            }
            Some(Err(error)) => {
                tracing::warn!(store = from, at = reading.at, %error, "reading image data from store {from} was cut off");
                match reading.next().await {
                    Ok(next) => (stream, from) = next,
                    Err(_) => return Some((Err(error), None)),
                }
            }
        }
    }
}
