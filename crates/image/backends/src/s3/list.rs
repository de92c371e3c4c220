//! What is in the bucket: objects, and uploads that did not end.

use super::Store;
use crate::stamp;
use base::{Clock, SystemClock};
use image_model::{BackendError, Stored};
use instant_xml::FromXml;
use reqwest::Method;
use rusty_s3::S3Action;
use rusty_s3::actions::ListObjectsV2;
use std::io;
use std::time::Duration;

const NS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The answer to `ListMultipartUploads`.
#[derive(FromXml)]
#[xml(rename = "ListMultipartUploadsResult", ns(NS))]
struct Uploads {
    uploads: Vec<Upload>,
    #[xml(rename = "IsTruncated")]
    is_truncated: Option<bool>,
    #[xml(rename = "NextKeyMarker")]
    next_key: Option<String>,
    #[xml(rename = "NextUploadIdMarker")]
    next_upload: Option<String>,
}

#[derive(FromXml)]
#[xml(rename = "Upload", ns(NS))]
struct Upload {
    #[xml(rename = "Key")]
    key: String,
    #[xml(rename = "UploadId")]
    id: String,
    #[xml(rename = "Initiated")]
    initiated: Option<String>,
}

fn unreadable(e: instant_xml::Error) -> BackendError {
    BackendError::Io { operation: "list a bucket".into(), source: io::Error::other(e.to_string()) }
}

impl Store {
    pub(super) async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        let prefix = &self.settings.prefix;
        let (mut stored, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
            list.with_prefix(prefix.as_str());
            if let Some(token) = token.take() {
                list.with_continuation_token(token);
            }
            let text = match self.text("list", prefix, self.request(Method::GET, &list)).await {
                // the bucket is made with the first image
                Err(BackendError::NotFound(_)) if self.settings.create_bucket => return Ok(stored),
                other => other?,
            };
            let page = ListObjectsV2::parse_response(&text).map_err(unreadable)?;
            for object in page.contents {
                let Some(key) = object.key.strip_prefix(prefix.as_str()).filter(|k| crate::is_plain(k)) else {
                    continue;
                };
                stored.push(Stored {
                    location: format!("{}{key}", self.root),
                    size: object.size.unwrap_or(0),
                    modified: stamp(object.last_modified.as_deref().unwrap_or_default()),
                });
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(stored);
            }
        }
    }

    /// Gives up unfinished uploads of objects whose names begin so, if they are old enough. Returns how many there were.
    pub(super) async fn give_up(&self, prefix: &str, older: Option<Duration>) -> Result<usize, BackendError> {
        let before = older.map(|age| SystemClock.now().minus(age));
        let (mut given_up, mut from) = (0, None::<(String, String)>);
        loop {
            let page = match self.uploads(prefix, from.as_ref()).await {
                Err(BackendError::NotFound(_)) => return Ok(given_up),
                other => other?,
            };
            for upload in &page.uploads {
                let begun = upload.initiated.as_deref().map(stamp);
                if before.is_none_or(|before| begun.is_some_and(|begun| begun < before)) {
                    self.abort(&upload.key, &upload.id).await?;
                    given_up += 1;
                }
            }
            from = match (page.is_truncated, page.next_key, page.next_upload) {
                (Some(true), Some(key), upload) => Some((key, upload.unwrap_or_default())),
                _ => return Ok(given_up),
            };
        }
    }

    pub(super) async fn abort(&self, object: &str, upload: &str) -> Result<(), BackendError> {
        let abort = self.bucket.abort_multipart_upload(Some(&self.credentials), object, upload);
        match self.send("give up", object, self.request(Method::DELETE, &abort)).await {
            Err(BackendError::NotFound(_)) => Ok(()),
            other => other.map(drop),
        }
    }

    async fn uploads(&self, prefix: &str, from: Option<&(String, String)>) -> Result<Uploads, BackendError> {
        // a list of the same bucket, of something else
        let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
        let query = list.query_mut();
        query.remove("list-type");
        query.remove("encoding-type");
        query.insert("uploads", "");
        query.insert("prefix", prefix);
        if let Some((key, upload)) = from {
            query.insert("key-marker", key.as_str());
            query.insert("upload-id-marker", upload.as_str());
        }
        let request = self.request(Method::GET, &list);
        let text = self.text("list unfinished uploads of", prefix, request).await?;
        instant_xml::from_str(&text).map_err(unreadable)
    }
}
