//! Data that is on web servers already: it is read there, and never written.
//!
//! Only URLs below those that the operator has named are this store's; redirects are not followed, so nothing leads
//! elsewhere.

use crate::download::{body, length, nothing, ranged};
use crate::failure::{refused, unanswered};
use async_trait::async_trait;
use image_model::{Backend, BackendError, ByteStream, Stored, Writer};
use reqwest::Client;
use std::ops::Range;
use std::sync::Arc;
use url::Url;

#[derive(Clone, Debug)]
pub struct HttpBackend(Arc<Store>);

#[derive(Debug)]
struct Store {
    below: Vec<Url>,
    http: Client,
}

/// Whether a URL may be an entry of the list: `https://images.example/public/`.
pub fn check_prefix(text: &str) -> Result<Url, BackendError> {
    let url = Url::parse(text).map_err(|e| BackendError::BadLocation(format!("{text} ({e})")))?;
    let good = is_plain(&url) && url.path().ends_with('/') && url.query().is_none();
    if good { Ok(url) } else { Err(BackendError::BadLocation(format!("{text} (a folder at http:// or https://)"))) }
}

/// No names or passwords in it, and nothing that only a browser would look at.
fn is_plain(url: &Url) -> bool {
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    web && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

impl HttpBackend {
    /// `below`: see [`check_prefix`]. `http` must not follow redirects.
    pub fn new(below: Vec<Url>, http: Client) -> Self {
        Self(Arc::new(Store { below, http }))
    }

    /// The URL, as it will be asked for. What was registered and what is asked for are compared as parsed: however the
    /// text spells a host, a port or `..`, it is the same server and path that was allowed.
    fn at(&self, location: &str) -> Result<Url, BackendError> {
        let bad = || BackendError::BadLocation(location.to_owned());
        let url = Url::parse(location).map_err(|_| bad())?;
        let same = |allowed: &Url| {
            allowed.scheme() == url.scheme()
                && allowed.host() == url.host()
                && allowed.port_or_known_default() == url.port_or_known_default()
                && url.path().starts_with(allowed.path())
        };
        // an encoded slash or dot may mean another place to the server than to us
        let path = url.path().to_ascii_lowercase();
        let tricky = ["%2f", "%2e", "%5c", "\\"].iter().any(|t| path.contains(t));
        if is_plain(&url) && !tricky && self.0.below.iter().any(same) { Ok(url) } else { Err(bad()) }
    }
}

#[async_trait]
impl Backend for HttpBackend {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn holds(&self, location: &str) -> bool {
        self.at(location).is_ok()
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn create(&self, _key: &str, _expected: Option<u64>) -> Result<Box<dyn Writer>, BackendError> {
        Err(BackendError::ReadOnly)
    }

    fn location(&self, key: &str) -> String {
        self.0.below.first().map_or_else(|| key.to_owned(), |below| format!("{below}{key}"))
    }

    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError> {
        let url = self.at(location)?;
        if let Some(empty) = nothing(&range) {
            return Ok(empty);
        }
        let what = format!("read {location}");
        let answer = ranged(self.0.http.get(url), &range).send().await.map_err(|e| unanswered(&what, e))?;
        if !answer.status().is_success() {
            return Err(refused(&what, location, answer).await);
        }
        Ok(body(what, answer, range))
    }

    async fn size(&self, location: &str) -> Result<u64, BackendError> {
        let url = self.at(location)?;
        let what = format!("look at {location}");
        let answer = self.0.http.head(url).send().await.map_err(|e| unanswered(&what, e))?;
        if !answer.status().is_success() {
            return Err(refused(&what, location, answer).await);
        }
        length(&answer).ok_or_else(|| BackendError::Unavailable(format!("{what}: the server does not tell its length")))
    }

    /// What else is on the servers is not this store's.
    async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        Ok(Vec::new())
    }

    /// It stays where it is.
    async fn delete(&self, location: &str) -> Result<(), BackendError> {
        self.at(location).map(drop)
    }

    async fn sweep(&self) -> Result<usize, BackendError> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_an_allowed_folder() {
        let below = ["http://images.example/pub/", "https://10.0.0.1:8443/"].map(|u| check_prefix(u).unwrap());
        let store = HttpBackend::new(below.into(), platform_http::client().build().unwrap());
        for good in [
            "http://images.example/pub/a.img",
            "HTTP://IMAGES.EXAMPLE:80/pub/b/c.img",
            "http://images.example/pub/x/../a.img?version=2",
            "https://10.0.0.1:8443/a",
            "https://0x0a000001:8443/a",
        ] {
            assert!(store.holds(good), "{good}");
        }
        for bad in [
            "",
            "file:///etc/passwd",
            "ftp://images.example/pub/a",
            "http://images.example/private/a",
            "http://images.example/pub/../private/a",
            "http://images.example/pub/%2e%2e/private/a",
            "http://images.example/pub/..%2fprivate/a",
            "http://images.example/pub/..\\private/a",
            "http://images.example/pub",
            "https://images.example/pub/a",
            "http://images.example:8080/pub/a",
            "http://images.example.evil/pub/a",
            "http://images.example@evil/pub/a",
            "http://user:password@images.example/pub/a",
            "http://evil/http://images.example/pub/a",
            "http://169.254.169.254/latest/meta-data",
            "https://10.0.0.2:8443/a",
            "https://10.0.0.1/a",
            "http://images.example/pub/a#b",
        ] {
            assert!(!store.holds(bad), "{bad}");
        }
        for bad in
            ["images.example/", "http://images.example/pub", "http://u@images.example/", "ftp://x/", "http://x/?a"]
        {
            assert!(check_prefix(bad).is_err(), "{bad}");
        }
    }
}
