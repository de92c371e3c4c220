//! Data as objects of one container of OpenStack's object store.
//!
//! An image that is larger than one part is as Glance has it: segments `KEY-00001`, `KEY-00002` … and an object `KEY`
//! without bytes of its own, whose `X-Object-Manifest` names them. Swift finds segments by listing the container, and
//! its lists come late: an upload is done when the whole object has the size that was sent.

mod list;
mod login;
mod write;

use crate::Clients;
use crate::download::{body, length, nothing, ranged};
use crate::failure::{refused, unanswered};
use crate::parts::PartWriter;
use async_trait::async_trait;
use base::Secret;
use image_model::{Backend, BackendError, ByteStream, Stored, Writer};
use login::Session;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Map, Value};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Where the container is, and as whom it is used.
#[derive(Clone, Debug)]
pub struct SwiftSettings {
    /// Identity's v3 URL: `https://cloud.example:5000/v3`.
    pub auth_url: Url,
    pub username: String,
    pub password: Secret,
    pub user_domain_name: String,
    pub project_name: String,
    pub project_domain_name: String,
    /// Of the catalog's object store; empty: any.
    pub region: String,
    /// `public`, `internal` or `admin`.
    pub interface: String,
    /// The account's URL, instead of the catalog's. Empty: the catalog's.
    pub endpoint: String,
    pub container: String,
    /// Makes the container if it is missing, at the first upload.
    pub create_container: bool,
    /// Bytes of a segment. An upload holds three of them in memory.
    pub part_bytes: u64,
    /// Segments without an object that are so old belong to nobody.
    pub abandoned_after: Duration,
    /// How long the container's list may take to have what was just written.
    pub settle: Duration,
}

#[derive(Clone, Debug)]
pub struct SwiftBackend(Arc<Store>);

#[derive(Debug)]
struct Store {
    settings: SwiftSettings,
    http: Clients,
    session: Session,
    /// What every location begins with.
    root: String,
}

/// A request within the container, to be made anew with each token.
struct Ask<'a> {
    method: Method,
    /// `None`: the container itself.
    object: Option<&'a str>,
    query: &'a [(&'a str, &'a str)],
    /// It carries data, and takes as long as that does.
    carries: bool,
}

impl SwiftBackend {
    /// Nothing is asked of the servers yet.
    pub fn new(settings: SwiftSettings, http: Clients) -> Self {
        let auth = settings.auth_url.as_str().trim_end_matches('/');
        let root = format!("swift+{auth}/{}/{}/", settings.project_name, settings.container);
        let session = Session::new(&settings, http.asking.clone());
        Self(Arc::new(Store { settings, http, session, root }))
    }
}

/// In a URL's path.
fn encoded(name: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(name, KEPT).to_string()
}

impl Store {
    /// The name of the object.
    fn key<'l>(&self, location: &'l str) -> Result<&'l str, BackendError> {
        let key = location.strip_prefix(&self.root).filter(|key| crate::is_plain(key));
        key.ok_or_else(|| BackendError::BadLocation(location.to_owned()))
    }

    /// Asks with the token that there is, and once more with a new one if it is not good any more.
    async fn ask(
        &self,
        ask: &Ask<'_>,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, BackendError> {
        let name = ask.object.unwrap_or(&self.settings.container);
        let what = format!("{} {name} in container {}", ask.method, self.settings.container);
        let mut grant = self.session.grant(None).await?;
        for is_last in [false, true] {
            let mut url = format!("{}/{}", grant.account, encoded(&self.settings.container));
            if let Some(object) = ask.object {
                url.push_str(&format!("/{}", encoded(object)));
            }
            let url = match ask.query.is_empty() {
                true => Url::parse(&url),
                false => Url::parse_with_params(&url, ask.query),
            };
            let url = url.map_err(|e| BackendError::BadLocation(format!("{}: {e}", grant.account)))?;
            let client = if ask.carries { &self.http.sending } else { &self.http.asking };
            let request = client.request(ask.method.clone(), url).header("x-auth-token", grant.token.expose());
            let answer = with(request).send().await.map_err(|e| unanswered(&what, e))?;
            if answer.status() == StatusCode::UNAUTHORIZED && !is_last {
                grant = self.session.grant(Some(&grant)).await?;
                continue;
            }
            if answer.status().is_success() {
                return Ok(answer);
            }
            return Err(refused(&what, name, answer).await);
        }
        Err(BackendError::Denied(format!("{what}: a new token is refused, too")))
    }

    async fn plain(&self, method: Method, object: &str) -> Result<Response, BackendError> {
        self.ask(&Ask { method, object: Some(object), query: &[], carries: false }, |r| r).await
    }

    async fn ensure_container(&self) -> Result<(), BackendError> {
        let container = |method| Ask { method, object: None, query: &[], carries: false };
        match self.ask(&container(Method::HEAD), |r| r).await {
            Err(BackendError::NotFound(_)) if self.settings.create_container => {
                self.ask(&container(Method::PUT), |r| r.header("content-length", 0)).await.map(drop)
            }
            Err(BackendError::NotFound(name)) => {
                Err(BackendError::Unavailable(format!("there is no container {name}")))
            }
            other => other.map(drop),
        }
    }

    async fn object_size(&self, key: &str) -> Result<u64, BackendError> {
        let answer = self.plain(Method::HEAD, key).await?;
        length(&answer).ok_or_else(|| BackendError::Unavailable(format!("{key} has no length yet")))
    }

    async fn remove(&self, object: &str) -> Result<(), BackendError> {
        match self.plain(Method::DELETE, object).await {
            Err(BackendError::NotFound(_)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Removes the segments that the container's list has.
    async fn remove_segments(&self, key: &str) -> Result<(), BackendError> {
        for object in self.entries(&format!("{key}-")).await? {
            if list::segment_of(&object.name) == Some(key) {
                self.remove(&object.name).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for SwiftBackend {
    fn kind(&self) -> &'static str {
        "swift"
    }

    fn holds(&self, location: &str) -> bool {
        self.0.key(location).is_ok()
    }

    fn properties(&self) -> Map<String, Value> {
        let s = &self.0.settings;
        Map::from_iter([
            ("container".to_owned(), s.container.as_str().into()),
            ("large_object_size".to_owned(), s.part_bytes.into()),
            ("large_object_chunk_size".to_owned(), s.part_bytes.into()),
        ])
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn create(&self, key: &str, _expected: Option<u64>) -> Result<Box<dyn Writer>, BackendError> {
        let location = self.location(key);
        self.0.key(&location)?;
        self.0.ensure_container().await?;
        let sink = write::Object::new(self.0.clone(), key.to_owned());
        Ok(Box::new(PartWriter::new(sink, location, self.0.settings.part_bytes)))
    }

    fn location(&self, key: &str) -> String {
        format!("{}{key}", self.0.root)
    }

    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError> {
        let key = self.0.key(location)?;
        if let Some(empty) = nothing(&range) {
            return Ok(empty);
        }
        let ask = Ask { method: Method::GET, object: Some(key), query: &[], carries: false };
        let answer = self.0.ask(&ask, |r| ranged(r, &range)).await?;
        Ok(body(format!("read {location}"), answer, range))
    }

    async fn size(&self, location: &str) -> Result<u64, BackendError> {
        self.0.object_size(self.0.key(location)?).await
    }

    async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        self.0.list().await
    }

    /// The object last: as long as it is there, what is left of it can be found by its name.
    async fn delete(&self, location: &str) -> Result<(), BackendError> {
        let key = self.0.key(location)?;
        self.0.remove_segments(key).await?;
        self.0.remove(key).await
    }

    async fn sweep(&self) -> Result<usize, BackendError> {
        self.0.sweep().await
    }
}
