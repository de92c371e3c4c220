//! Data as objects of one bucket, at any server that speaks S3.
//!
//! Requests are signed in their URLs (`rusty-s3`) and sent by the client of the whole cloud. An image that is larger than
//! one part is a multi-part upload; parts that nobody completed are found by [`Backend::delete`] (those of that key) and
//! by [`Backend::sweep`] (old ones).

mod list;
mod write;

use crate::Clients;
use crate::download::{body, length, nothing, ranged};
use crate::failure::{refused, unanswered};
use crate::parts::{Part, PartWriter};
use async_trait::async_trait;
use base::Secret;
use image_model::{Backend, BackendError, ByteStream, Stored, Writer};
use reqwest::{Method, RequestBuilder, Response, header};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde_json::{Map, Value};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long a signed request may wait to be sent.
const SIGNED_FOR: Duration = Duration::from_secs(3600);

/// Where the bucket is and how it is used.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// `https://s3.eu-central-1.amazonaws.com`
    pub endpoint: Url,
    pub region: String,
    pub bucket: String,
    /// What the names of objects begin with; may be empty.
    pub prefix: String,
    /// `https://ENDPOINT/BUCKET/…` instead of `https://BUCKET.ENDPOINT/…`.
    pub path_style: bool,
    pub access_key: String,
    pub secret_key: Secret,
    /// Makes the bucket if it is missing, at the first upload.
    pub create_bucket: bool,
    /// Bytes of a part, at least 5 MiB but for servers that allow less. An upload holds three of them in memory.
    pub part_bytes: u64,
    /// Unfinished multi-part uploads that are so old belong to nobody.
    pub abandoned_after: Duration,
}

#[derive(Clone, Debug)]
pub struct S3Backend(Arc<Store>);

#[derive(Debug)]
struct Store {
    settings: S3Settings,
    bucket: Bucket,
    credentials: Credentials,
    http: Clients,
    /// What every location begins with.
    root: String,
}

impl S3Backend {
    /// Nothing is asked of the server yet.
    pub fn new(settings: S3Settings, http: Clients) -> Result<Self, BackendError> {
        let style = if settings.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let (endpoint, name) = (settings.endpoint.clone(), settings.bucket.clone());
        let bucket = Bucket::new(endpoint, style, name, settings.region.clone())
            .map_err(|e| BackendError::BadLocation(format!("{} ({e})", settings.endpoint)))?;
        let credentials = Credentials::new(settings.access_key.clone(), settings.secret_key.expose());
        let (endpoint, name) = (settings.endpoint.as_str().trim_end_matches('/'), &settings.bucket);
        let root = format!("s3+{endpoint}/{name}/{}", settings.prefix);
        Ok(Self(Arc::new(Store { settings, bucket, credentials, http, root })))
    }
}

impl Store {
    /// The name of the object.
    fn object(&self, location: &str) -> Result<String, BackendError> {
        let key = location.strip_prefix(&self.root).filter(|key| crate::is_plain(key));
        let key = key.ok_or_else(|| BackendError::BadLocation(location.to_owned()))?;
        Ok(format!("{}{key}", self.settings.prefix))
    }

    fn request<'a, A: S3Action<'a>>(&self, method: Method, action: &A) -> RequestBuilder {
        self.http.asking.request(method, action.sign(SIGNED_FOR))
    }

    /// A request that carries data.
    fn sending<'a, A: S3Action<'a>>(&self, action: &A, part: &Part) -> RequestBuilder {
        let request = self.http.sending.put(action.sign(SIGNED_FOR)).timeout(part.patience());
        request.header(header::CONTENT_LENGTH, part.size).body(part.body())
    }

    /// Sends it; what is no success is an error.
    async fn send(&self, what: &str, location: &str, request: RequestBuilder) -> Result<Response, BackendError> {
        let what = format!("{what} {} in bucket {}", location, self.bucket.name());
        let answer = request.send().await.map_err(|e| unanswered(&what, e))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(&what, location, answer).await) }
    }

    async fn text(&self, what: &str, location: &str, request: RequestBuilder) -> Result<String, BackendError> {
        let answer = self.send(what, location, request).await?;
        answer.text().await.map_err(|e| unanswered(what, e))
    }

    async fn ensure_bucket(&self) -> Result<(), BackendError> {
        let head = self.bucket.head_bucket(Some(&self.credentials));
        match self.send("look for", self.bucket.name(), self.request(Method::HEAD, &head)).await {
            Err(BackendError::NotFound(_)) if self.settings.create_bucket => {
                let create = self.bucket.create_bucket(&self.credentials);
                // the oldest region is the only one that is not named
                let body = match self.bucket.region() {
                    "us-east-1" => String::new(),
                    region => format!(
                        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                         <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
                    ),
                };
                let request = self.request(Method::PUT, &create).header(header::CONTENT_LENGTH, body.len()).body(body);
                self.send("create", self.bucket.name(), request).await.map(drop)
            }
            Err(BackendError::NotFound(name)) => Err(BackendError::Unavailable(format!("there is no bucket {name}"))),
            other => other.map(drop),
        }
    }
}

#[async_trait]
impl Backend for S3Backend {
    fn kind(&self) -> &'static str {
        "s3"
    }

    fn holds(&self, location: &str) -> bool {
        self.0.object(location).is_ok()
    }

    fn properties(&self) -> Map<String, Value> {
        let s = &self.0.settings;
        Map::from_iter([
            ("s3_store_large_object_size".to_owned(), s.part_bytes.into()),
            ("s3_store_large_object_chunk_size".to_owned(), s.part_bytes.into()),
            ("s3_store_host".to_owned(), s.endpoint.as_str().into()),
            ("s3_store_bucket".to_owned(), s.bucket.as_str().into()),
        ])
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn create(&self, key: &str, expected: Option<u64>) -> Result<Box<dyn Writer>, BackendError> {
        let location = self.location(key);
        let object = self.0.object(&location)?;
        if expected.is_some_and(|n| n > write::LARGEST) {
            return Err(BackendError::Full("An object of this store has at most 5 TiB.".into()));
        }
        self.0.ensure_bucket().await?;
        let sink = write::Object::new(self.0.clone(), object);
        Ok(Box::new(PartWriter::new(sink, location, self.0.settings.part_bytes)))
    }

    fn location(&self, key: &str) -> String {
        format!("{}{key}", self.0.root)
    }

    async fn open(&self, location: &str, range: Option<Range<u64>>) -> Result<ByteStream, BackendError> {
        let object = self.0.object(location)?;
        if let Some(empty) = nothing(&range) {
            return Ok(empty);
        }
        let get = self.0.bucket.get_object(Some(&self.0.credentials), &object);
        let request = ranged(self.0.request(Method::GET, &get), &range);
        let answer = self.0.send("read", location, request).await?;
        Ok(body(format!("read {location}"), answer, range))
    }

    async fn size(&self, location: &str) -> Result<u64, BackendError> {
        let object = self.0.object(location)?;
        let head = self.0.bucket.head_object(Some(&self.0.credentials), &object);
        let answer = self.0.send("look at", location, self.0.request(Method::HEAD, &head)).await?;
        length(&answer).ok_or_else(|| BackendError::Unavailable(format!("{location} has no length")))
    }

    async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        self.0.list().await
    }

    async fn delete(&self, location: &str) -> Result<(), BackendError> {
        let object = self.0.object(location)?;
        self.0.give_up(&object, None).await?;
        let delete = self.0.bucket.delete_object(Some(&self.0.credentials), &object);
        match self.0.send("delete", location, self.0.request(Method::DELETE, &delete)).await {
            Err(BackendError::NotFound(_)) => Ok(()),
            other => other.map(drop),
        }
    }

    async fn sweep(&self) -> Result<usize, BackendError> {
        self.0.give_up(&self.0.settings.prefix, Some(self.0.settings.abandoned_after)).await
    }
}
