//! One copy of each image on this host, shared by all guests.
//!
//! `<dir>/<image id>.<start of its hash>` is the data, `….json` beside it says what it is; without that file the data
//! counts as not there. Data is fetched into `….part`, checked while it streams, made durable and only then renamed.
//! Guests hold hard links to the data, so that what is dropped from the cache stays with the guests that use it.

mod demand;
mod digest;
mod error;
mod fetch;
mod proof;
mod write;

pub(crate) use demand::Demand;
pub use demand::Demands;
pub use error::CacheError;

use crate::config::AgentConfig;
use crate::files;
use base::{Clock, ImageId, RequestContext};
pub(crate) use digest::Expected;
use image_model::ImageSource;
use image_signatures::Signed;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, watch};

/// What a build knows of an image it wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub id: ImageId,
    /// Algorithm and digest, if the server was asked for with them; otherwise the image service is asked.
    pub hash: Option<(String, String)>,
    /// What it must prove.
    pub demand: Option<Demand>,
}

/// What must be true of an image's data.
struct Asked {
    expected: Option<Expected>,
    /// It was signed so.
    signed: Option<Signed>,
}

/// An image in the cache, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedImage {
    pub id: ImageId,
    pub path: PathBuf,
    pub about: About,
}

/// What stands in the file beside the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// `raw`, `qcow2`, `aki`, …
    pub disk_format: String,
    pub size_bytes: u64,
    /// Size of the disk inside.
    pub virtual_size_bytes: Option<u64>,
    /// The signature, by its mark, that the data was found to be what it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<String>,
}

/// An image on its way, or being proven.
struct Flight {
    received: AtomicU64,
    /// Zero as long as it is not known.
    total: AtomicU64,
    /// The signature that it proves.
    proves: Option<String>,
    done: watch::Receiver<Option<Result<CachedImage, CacheError>>>,
}

/// Cheap to clone; all clones are the same cache.
#[derive(Clone)]
pub struct ImageCache(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    source: Arc<dyn ImageSource>,
    downloads: Semaphore,
    keep_free_bytes: u64,
    demands: Demands,
    clock: Arc<dyn Clock>,
    flights: Mutex<HashMap<String, Arc<Flight>>>,
}

/// How often a waiting build tells how far the image is.
const TELL: Duration = Duration::from_secs(1);

impl ImageCache {
    pub fn new(config: &AgentConfig, source: Arc<dyn ImageSource>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            dir: config.image_cache_dir.clone(),
            source,
            downloads: Semaphore::new(config.downloads.max(1)),
            keep_free_bytes: config.keep_free_bytes,
            demands: config.demands.clone(),
            clock,
            flights: Mutex::default(),
        }))
    }

    /// What the images of a server that names these certificates must prove.
    pub(crate) fn demand(&self, trusted: &[String]) -> Option<Demand> {
        self.0.demands.of(trusted)
    }

    /// Makes the directory, and removes what a process that was killed has left half fetched.
    pub async fn prepare(&self) -> io::Result<()> {
        let dir = self.0.dir.clone();
        files::off_loop(move || {
            files::create_dir(&dir)?;
            for entry in std::fs::read_dir(&dir)? {
                let path = entry?.path();
                if path.extension().is_some_and(|e| e == "part") {
                    files::remove(&path)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// The image, from the cache or fetched into it. Callers that want the same image share one download, which goes on
    /// if they all give up. `tell` hears now and then how much of it is there, in percent.
    pub async fn get(&self, wanted: &Wanted, tell: impl Fn(Option<u64>)) -> Result<CachedImage, CacheError> {
        let expected = match &wanted.hash {
            Some((algorithm, digest)) => Some(Expected::new(wanted.id, algorithm, digest)?),
            None => self.0.ask_for_hash(wanted.id).await?,
        };
        let name = file_name(wanted.id, expected.as_ref());
        let signed = match &wanted.demand {
            Some(demand) => Some(self.0.signature(wanted.id, demand).await?),
            None => None,
        };
        let asked = Arc::new(Asked { expected, signed });
        if let Some(hit) = self.0.find(wanted.id, &name).await?.filter(|hit| asked.is_met_by(hit)) {
            count("hit");
            return Ok(hit);
        }
        loop {
            let flight = self.board(wanted.id, &asked, &name);
            let own = flight.proves == asked.mark();
            match flight.landed(wanted.id, &tell).await {
                Ok(image) if asked.is_met_by(&image) => return Ok(image),
                // whoever asked for that flight asked for another proof, or for none
                Ok(_) | Err(CacheError::Unproven { .. }) if !own => {}
                result => return result,
            }
        }
    }

    /// The flight that brings this file: the one under way, or a new one.
    fn board(&self, id: ImageId, asked: &Arc<Asked>, name: &str) -> Arc<Flight> {
        let mut flights = self.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(name) {
            count("joined");
            return flight.clone();
        }
        let (landed, done) = watch::channel(None);
        let flight = Flight { received: AtomicU64::new(0), total: AtomicU64::new(0), proves: asked.mark(), done };
        let flight = Arc::new(flight);
        flights.insert(name.to_owned(), flight.clone());
        let (cache, fly, asked, name) = (self.0.clone(), flight.clone(), asked.clone(), name.to_owned());
        tokio::spawn(async move {
            let result = match cache.find(id, &name).await {
                Ok(Some(hit)) => cache.prove(hit, &asked).await,
                Ok(None) => cache.fetch(id, &asked, &name, &fly).await,
                Err(e) => Err(e),
            };
            count(if result.is_ok() { "fetched" } else { "failed" });
            cache.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            landed.send_replace(Some(result));
        });
        flight
    }

    /// Drops images that no guest has a link to and that nobody has asked for since `age`.
    pub async fn drop_unused(&self, age: Duration) -> io::Result<()> {
        let dir = self.0.dir.clone();
        files::off_loop(move || {
            let Some(before) = SystemTime::now().checked_sub(age) else { return Ok(()) };
            for entry in std::fs::read_dir(&dir)? {
                let about = entry?.path();
                if about.extension().is_none_or(|e| e != "json") || about.metadata()?.modified()? > before {
                    continue;
                }
                let data = about.with_extension("");
                if data.metadata().is_ok_and(|m| m.nlink() > 1) {
                    continue;
                }
                tracing::info!(image = %data.display(), "no guest uses this image any more: dropped from the cache");
                files::remove(&about)?;
                files::remove(&data)?;
            }
            Ok(())
        })
        .await
    }
}

impl Inner {
    async fn ask_for_hash(&self, id: ImageId) -> Result<Option<Expected>, CacheError> {
        let image = self.source.show(&RequestContext::internal(), id).await;
        let image = image.map_err(CacheError::from_source(id))?;
        match (&image.os_hash_algo, &image.os_hash_value) {
            (Some(algorithm), Some(digest)) => Expected::new(id, algorithm, digest).map(Some),
            _ => Ok(None),
        }
    }

    /// The image if it is there, whole; marks it as used.
    async fn find(&self, id: ImageId, name: &str) -> Result<Option<CachedImage>, CacheError> {
        let path = self.dir.join(name);
        let data = path.clone();
        let found = files::off_loop(move || {
            let beside = about_path(&data);
            let Some(bytes) = files::read(&beside)? else { return Ok(None) };
            let (Ok(about), Ok(meta)) = (serde_json::from_slice::<About>(&bytes), data.metadata()) else {
                return Ok(None);
            };
            if meta.len() != about.size_bytes {
                return Ok(None);
            }
            std::fs::File::options().write(true).open(&beside)?.set_modified(SystemTime::now())?;
            Ok(Some(about))
        });
        let about = found.await.map_err(CacheError::io("look for", &path))?;
        Ok(about.map(|about| CachedImage { id, path, about }))
    }
}

impl Flight {
    async fn landed(&self, id: ImageId, tell: impl Fn(Option<u64>)) -> Result<CachedImage, CacheError> {
        let mut done = self.done.clone();
        loop {
            tell(self.percent());
            match tokio::time::timeout(TELL, done.wait_for(Option::is_some)).await {
                Err(_still_flying) => {}
                Ok(Ok(result)) => {
                    if let Some(result) = result.clone() {
                        return result;
                    }
                }
                Ok(Err(_)) => return Err(CacheError::Unavailable { id, why: "fetching it was cut off".into() }),
            }
        }
    }

    fn percent(&self) -> Option<u64> {
        let total = self.total.load(Ordering::Relaxed);
        (self.received.load(Ordering::Relaxed) * 100).checked_div(total).map(|p| p.min(100))
    }
}

/// An id given twice to different data (an administrator may) is two files.
fn file_name(id: ImageId, expected: Option<&Expected>) -> String {
    match expected {
        Some(e) => format!("{id}.{}", e.start()),
        None => id.to_string(),
    }
}

fn about_path(data: &Path) -> PathBuf {
    data.with_added_extension("json")
}

fn count(result: &'static str) {
    metrics::counter!("skyiron_agent_image_cache_total", "result" => result).increment(1);
}
