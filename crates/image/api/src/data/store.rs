//! One pass over an upload's bytes: counted, hashed, inspected, written.

use super::hashing::{HashAlgo, Hashing};
use super::lease::Lease;
use crate::fault;
use bytes::Bytes;
use http_body_util::BodyExt;
use image_formats::Inspector;
use image_model::{Image, Location, Store, StoredData, Writer};
use platform_http::{Body, Fault, StatusCode};
use std::time::Duration;

/// A client that sends nothing for so long is gone, whatever its connection says.
const IDLE: Duration = Duration::from_secs(120);

/// Why data was not stored. Nothing of it is left.
pub(super) enum Failed {
    /// The image is gone; there is nothing to give back.
    Lost,
    Refused(Fault),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

/// How much may still come.
pub(super) struct Room {
    pub size_cap: u64,
    /// What the project has left of its storage quota.
    pub quota_left: Option<u64>,
}

impl Room {
    /// Whether `size` bytes in all are allowed.
    pub(super) fn check(&self, size: u64) -> Result<(), Fault> {
        if size > self.size_cap {
            return Err(Fault::too_large("The incoming image is too large: The provided image is too large."));
        }
        match self.quota_left {
            Some(left) if size > left => Err(Fault::too_large(format!(
                "Image exceeds the storage quota: The size of the data {size} will exceed the limit. {left} bytes \
                 remaining."
            ))),
            _ => Ok(()),
        }
    }
}

/// Stores the body in `store` under `key`. Committed, but not yet known to the registry.
pub(super) async fn store(
    store: &Store,
    image: &Image,
    key: &str,
    body: &mut Body,
    expected: Option<u64>,
    room: &Room,
    lease: &mut Lease,
) -> Result<StoredData, Failed> {
    let mut writer = store.backend.create(key, expected).await.map_err(fault::of_backend)?;
    let passed = tokio::select! {
        passed = pass(image, body, room, HashAlgo::Sha512, Some(&mut *writer)) => passed,
        () = lease.lost() => Err(Failed::Lost),
    };
    match passed {
        Ok(found) => {
            let url = writer.commit().await.map_err(fault::of_backend)?;
            Ok(found.at(Location { store: store.name.clone(), url }))
        }
        Err(failed) => {
            writer.abort().await;
            Err(failed)
        }
    }
}

/// What one pass over the bytes has found out.
pub(super) struct Found {
    size: u64,
    virtual_size: Option<u64>,
    checksum: String,
    algo: HashAlgo,
    pub(super) hash: String,
}

impl Found {
    pub(super) fn at(self, location: Location) -> StoredData {
        StoredData {
            location,
            size: self.size,
            virtual_size: self.virtual_size,
            checksum: Some(self.checksum),
            os_hash_algo: Some(self.algo.as_str().to_owned()),
            os_hash_value: Some(self.hash),
        }
    }
}

/// `writer`: `None` if the bytes are where they will stay.
pub(super) async fn pass(
    image: &Image,
    body: &mut Body,
    room: &Room,
    algo: HashAlgo,
    mut writer: Option<&mut dyn Writer>,
) -> Result<Found, Failed> {
    let hashing = Hashing::start(algo);
    let transparent = image.container_format.is_some_and(|c| c.is_transparent());
    let mut inspector = transparent.then(|| Inspector::new(image.disk_format.map(|f| f.as_str())));
    let mut size = 0;
    while let Some(chunk) = next_chunk(body).await? {
        size += chunk.len() as u64;
        room.check(size)?;
        if let Some(inspector) = &mut inspector {
            inspector.feed(&chunk);
        }
        hashing.update(&chunk).await;
        if let Some(writer) = &mut writer {
            writer.write(chunk).await.map_err(fault::of_backend)?;
        }
    }
    let verdict = inspector.map(Inspector::finish);
    if let Some(refusal) = verdict.as_ref().and_then(|v| v.refusal.clone()) {
        return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal).into());
    }
    let hashes = hashing.finish().await.ok_or_else(|| Fault::unavailable("The image could not be hashed."))?;
    metrics::counter!("skyiron_image_uploaded_bytes_total").increment(size);
    Ok(Found {
        size,
        virtual_size: verdict.and_then(|v| v.virtual_size),
        checksum: hashes.md5,
        algo,
        hash: hashes.other,
    })
}

/// `None` after the last one.
async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame()).await.map_err(|_| {
            Fault::new(StatusCode::REQUEST_TIMEOUT, format!("No data came for {} seconds.", IDLE.as_secs()))
        })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Ok(Some(data));
                }
            }
            Some(Err(e)) => return Err(Fault::bad_request(format!("The image data ended early: {e}"))),
        }
    }
}
