//! One object on its way.

use super::Store;
use crate::failure::of_status;
use crate::parts::{Part, Sink};
use async_trait::async_trait;
use image_model::BackendError;
use reqwest::{Method, StatusCode, header};
use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload};
use std::io;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Bytes of the largest object.
pub(super) const LARGEST: u64 = 5 << 40;

pub(super) struct Object {
    store: Arc<Store>,
    object: String,
    /// Of the multi-part upload, once it has begun.
    upload: OnceCell<String>,
}

fn unreadable(what: &str, why: impl std::fmt::Display) -> BackendError {
    BackendError::Io { operation: what.to_owned(), source: io::Error::other(why.to_string()) }
}

impl Object {
    pub(super) fn new(store: Arc<Store>, object: String) -> Self {
        Self { store, object, upload: OnceCell::new() }
    }

    fn upload(&self) -> Result<&str, BackendError> {
        self.upload.get().map(String::as_str).ok_or_else(|| unreadable("send a part", "the upload has not begun"))
    }
}

#[async_trait]
impl Sink for Object {
    async fn put_whole(&self, part: &Part) -> Result<(), BackendError> {
        let put = self.store.bucket.put_object(Some(&self.store.credentials), &self.object);
        let request = self.store.sending(&put, part);
        self.store.send("write", &self.object, request).await.map(drop)
    }

    async fn begin(&self) -> Result<(), BackendError> {
        let create = self.store.bucket.create_multipart_upload(Some(&self.store.credentials), &self.object);
        let request = self.store.request(Method::POST, &create).header(header::CONTENT_LENGTH, 0);
        let text = self.store.text("begin", &self.object, request).await?;
        let begun = CreateMultipartUpload::parse_response(&text).map_err(|e| unreadable("begin an upload", e))?;
        self.upload.set(begun.upload_id().to_owned()).map_err(|e| unreadable("begin an upload", e))
    }

    async fn put(&self, number: u32, part: &Part) -> Result<String, BackendError> {
        let number = u16::try_from(number).map_err(|e| unreadable("send a part", e))?;
        let (credentials, upload) = (Some(&self.store.credentials), self.upload()?);
        let put = self.store.bucket.upload_part(credentials, &self.object, number, upload);
        let request = self.store.sending(&put, part);
        let answer = self.store.send("write a part of", &self.object, request).await?;
        let tag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(str::to_owned).ok_or_else(|| unreadable("send a part", "it has no ETag"))
    }

    async fn complete(&self, parts: &[String], _size: u64) -> Result<(), BackendError> {
        let (credentials, upload) = (Some(&self.store.credentials), self.upload()?);
        let tags = parts.iter().map(String::as_str);
        let complete = self.store.bucket.complete_multipart_upload(credentials, &self.object, upload, tags);
        let request = self.store.request(Method::POST, &complete).body(complete.body());
        let text = self.store.text("complete", &self.object, request).await?;
        // the answer begins before the server is done: a 200 may hold an error
        match CompleteMultipartUploadResponse::parse(&text) {
            Ok(_) => Ok(()),
            Err(_) => Err(of_status("complete an upload", &self.object, StatusCode::SERVICE_UNAVAILABLE, &text)),
        }
    }

    async fn abandon(&self) {
        let Some(upload) = self.upload.get() else { return };
        if let Err(error) = self.store.abort(&self.object, upload).await {
            tracing::warn!(%error, object = self.object, "an unfinished upload is left until the next sweep");
        }
    }
}
