//! Fetching what a user names by URL. The only way from this service to addresses that others choose.
//!
//! ```text
//! URL ─▶ filter (scheme, host, port) ─▶ resolve ─▶ every address allowed? ─▶ connect to one of just these ─▶ redirect? ─▶ URL
//! ```
//!
//! Every hop goes through all of it, and a name is resolved once a hop: what was checked is what is connected to, so a
//! name that changes its answer in between gains nothing. Bodies are bounded in time and speed ([`Pace`]) here and in size
//! by whoever takes the bytes; a transfer that is cut off goes on at the same byte if the server proves that the file is
//! still the same.

mod address;
mod connection;
mod error;
mod filter;
mod hop;
mod transfer;

pub(crate) use error::FetchError;
pub use filter::UrlFilter;
pub use hop::{Resolve, SystemResolver};
pub(crate) use transfer::Transfer;

use hyper::header::HeaderMap;
use platform_http::Network;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How patient a fetch is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Longest wait for a name, for a connection, and for an answer's head.
    pub connect: Duration,
    /// Longest time in which no byte comes.
    pub idle: Duration,
    /// Fewest bytes that must come in every [`Pace::window`].
    pub window_bytes: u64,
    pub window: Duration,
    /// How often a transfer that was cut off is taken up again.
    pub resumes: u32,
    pub before_resume: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            window_bytes: 64 << 10,
            window: Duration::from_secs(60),
            resumes: 5,
            before_resume: Duration::from_secs(1),
        }
    }
}

/// What is fetched from where, and how.
pub struct FetchSettings {
    pub filter: UrlFilter,
    /// Networks that may be reached although they are private, local or otherwise special.
    pub allowed_networks: Vec<Network>,
    pub pace: Pace,
    pub resolver: Arc<dyn Resolve>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            filter: UrlFilter::default(),
            allowed_networks: Vec::new(),
            pace: Pace::default(),
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// What is asked for.
pub(crate) struct Target {
    pub(crate) url: Url,
    /// Sent to the URL's own origin only.
    pub(crate) headers: HeaderMap,
    /// The operator named this host himself: where it is, is not questioned. Redirects are.
    pub(crate) trusted: bool,
}

/// Fetches. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Fetcher(Arc<FetchSettings>);

impl Fetcher {
    pub(crate) fn new(settings: FetchSettings) -> Self {
        Self(Arc::new(settings))
    }

    /// What a user wrote, if it may be fetched as far as one can say without asking a name server.
    pub(crate) fn check(&self, text: &str) -> Result<Target, FetchError> {
        let url = self.0.filter.check(text)?;
        Ok(Target { url, headers: HeaderMap::new(), trusted: false })
    }

    /// Begins the transfer: returns when the final server has answered that it has it.
    pub(crate) async fn open(&self, target: Target) -> Result<Transfer, FetchError> {
        Transfer::begin(self.0.clone(), target).await
    }
}
