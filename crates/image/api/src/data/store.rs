//! One pass over an image's bytes, whichever way they come: counted, hashed, inspected, written.

use super::hashing::{HashAlgo, Hashing};
use super::lease::Lease;
use super::{Copies, Source};
use crate::signature::Signed;
use image_formats::Inspector;
use image_model::{Image, Location, StoredData};
use platform_http::{Body, Fault, StatusCode};

/// Why data was not stored. Nothing of it is left.
pub(crate) enum Failed {
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
pub(crate) struct Room {
    pub size_cap: u64,
    /// What the project has left of its storage quota.
    pub quota_left: Option<u64>,
}

impl Room {
    /// The same for data of which so many copies are stored.
    pub(crate) fn for_copies(self, copies: usize) -> Self {
        let copies = u64::try_from(copies).unwrap_or(u64::MAX).max(1);
        Self { quota_left: self.quota_left.map(|left| left / copies), ..self }
    }

    /// Whether `size` bytes in all are allowed.
    pub(crate) fn check(&self, size: u64) -> Result<(), Fault> {
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

/// Stores the body. Committed, but not yet known to the registry.
pub(super) async fn store(
    mut copies: Copies,
    image: &Image,
    body: &mut Body,
    room: &Room,
    signed: Option<&Signed>,
    lease: &mut Lease,
) -> Result<StoredData, Failed> {
    let passed = tokio::select! {
        passed = pass(image, body, room, HashAlgo::Sha512, signed, Some(&mut copies)) => passed,
        () = lease.lost() => Err(Failed::Lost),
    };
    match passed {
        Ok(found) => {
            let (at, _) = copies.commit().await.map_err(|f| f.fault)?;
            let location = at.into_iter().next().ok_or(Failed::Lost)?;
            Ok(found.at(location))
        }
        Err(failed) => {
            copies.abort().await;
            Err(failed)
        }
    }
}

/// What one pass over the bytes has found out.
pub(crate) struct Found {
    pub(crate) size: u64,
    virtual_size: Option<u64>,
    checksum: String,
    algo: HashAlgo,
    pub(crate) hash: String,
}

impl Found {
    pub(crate) fn at(self, location: Location) -> StoredData {
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

/// `signed`: what the data must prove to be. `copies`: `None` if the bytes are where they will stay.
pub(crate) async fn pass(
    image: &Image,
    source: &mut dyn Source,
    room: &Room,
    algo: HashAlgo,
    signed: Option<&Signed>,
    mut copies: Option<&mut Copies>,
) -> Result<Found, Failed> {
    let hashing = Hashing::start(algo, signed.map(Signed::method));
    let transparent = image.container_format.is_some_and(|c| c.is_transparent());
    let mut inspector = transparent.then(|| Inspector::new(image.disk_format.map(|f| f.as_str())));
    let mut size = 0;
    while let Some(chunk) = source.next().await? {
        size += chunk.len() as u64;
        room.check(size)?;
        if let Some(inspector) = &mut inspector {
            inspector.feed(&chunk);
        }
        hashing.update(&chunk).await;
        if let Some(copies) = &mut copies {
            copies.write(&chunk).await?;
        }
    }
    let verdict = inspector.map(Inspector::finish);
    if let Some(refusal) = verdict.as_ref().and_then(|v| v.refusal.clone()) {
        return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal).into());
    }
    let hashes = hashing.finish().await.ok_or_else(|| Fault::unavailable("The image could not be hashed."))?;
    if let Some(signed) = signed {
        signed.verify(&hashes.signed.unwrap_or_default())?;
    }
    metrics::counter!("skyiron_image_uploaded_bytes_total").increment(size);
    Ok(Found {
        size,
        virtual_size: verdict.and_then(|v| v.virtual_size),
        checksum: hashes.md5,
        algo,
        hash: hashes.other,
    })
}
