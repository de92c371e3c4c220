//! I7: the bytes of an image are those that its record describes. Whoever boots from others boots something else.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::Timestamp;
use futures_util::TryStreamExt;
use image_model::{Backend, BackendError};
use platform_db::{DbError, FromRow, Tx, args};
use sha2::{Digest, Sha512};
use std::time::{Duration, Instant};

pub(super) struct ImageData;

#[derive(Clone, FromRow)]
struct Row {
    id: String,
    size: Option<i64>,
    os_hash_algo: Option<String>,
    os_hash_value: Option<String>,
    url: Option<String>,
}

/// Images looked at in one statement.
const PAGE: i64 = 500;

#[async_trait]
impl Check for ImageData {
    fn name(&self) -> &'static str {
        "image_data"
    }
    fn holds(&self) -> &'static str {
        "an active image's bytes are there and are those its record describes: servers are built from them"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let Some(backend) = &look.images else { return Ok(Vec::new()) };
        let mut findings = Vec::new();
        let mut after = String::new();
        loop {
            // not in one snapshot: reading the bytes takes long, and who was deleted meanwhile is not there at the
            // second look
            let page: Vec<Row> = look
                .db
                .fetch_all(
                    "SELECT i.id, i.size, i.os_hash_algo, i.os_hash_value, l.url
                     FROM images i LEFT JOIN image_locations l ON l.image_id = i.id
                     WHERE i.status = 'active' AND i.id > $1 ORDER BY i.id, l.url LIMIT $2",
                    args![&after, PAGE],
                )
                .await?;
            let Some(last) = page.last() else { return Ok(findings) };
            after.clone_from(&last.id);
            for row in page {
                if let Some(wrong) = wrong(look, &**backend, &row).await? {
                    findings.push(finding(row, wrong));
                }
                if findings.len() >= MOST {
                    return Ok(findings);
                }
            }
        }
    }
}

fn finding(row: Row, wrong: String) -> Finding {
    let id = row.id.clone();
    let proof = format!("image {id}: {wrong}");
    let reason = proof.clone();
    let remedy = mend(move |tx, now| Box::pin(async move { deactivate(tx, row, &reason, now).await }));
    Finding::new(id, proof, Remedy::Safe("deactivated: nobody boots from it; upload it anew", remedy))
}

/// What is wrong with the image's bytes.
async fn wrong(look: &Look, backend: &dyn Backend, row: &Row) -> Result<Option<String>, DoctorError> {
    let Some(url) = row.url.as_deref() else { return Ok(Some("it is active and has no data".to_owned())) };
    if !url.starts_with(&format!("{}:", backend.scheme())) {
        // another store's, which is not looked at from here
        return Ok(None);
    }
    let size = match backend.size(url).await {
        Ok(size) => size,
        Err(BackendError::NotFound(_)) => return Ok(Some(format!("there is nothing at {url}"))),
        Err(BackendError::BadLocation(_)) => return Ok(Some(format!("{url} is not in this store"))),
        Err(error) => return Err(error.into()),
    };
    let recorded = row.size.unwrap_or(0);
    if i64::try_from(size) != Ok(recorded) {
        return Ok(Some(format!("its record says {recorded} bytes, {url} has {size}")));
    }
    let (Some("sha512"), Some(recorded)) = (row.os_hash_algo.as_deref(), row.os_hash_value.as_deref()) else {
        return Ok(None);
    };
    if !look.settings.deep {
        return Ok(None);
    }
    let found = match hash(backend, url, look.settings.read_rate).await {
        Ok(found) => found,
        Err(BackendError::NotFound(_)) => return Ok(Some(format!("there is nothing at {url}"))),
        Err(BackendError::Io { operation, source }) => {
            return Ok(Some(format!("cannot be read: {operation}: {source}")));
        }
        Err(error) => return Err(error.into()),
    };
    let differs = format!("its record says sha512 {recorded}, {url} has {found}");
    Ok((found != recorded).then_some(differs))
}

/// Reads no faster than `rate` bytes a second: who serves images needs the disk, too.
async fn hash(backend: &dyn Backend, url: &str, rate: u64) -> Result<String, BackendError> {
    let mut bytes = backend.open(url, None).await?;
    let mut hash = Sha512::new();
    let (began, mut read) = (Instant::now(), 0_u64);
    while let Some(chunk) = bytes.try_next().await? {
        hash.update(&chunk);
        read += chunk.len() as u64;
        let earliest = Duration::from_secs_f64(read as f64 / rate.max(1) as f64);
        tokio::time::sleep(earliest.saturating_sub(began.elapsed())).await;
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Data at a location never changes, so what was read there holds as long as the image still has that location.
async fn deactivate(tx: &mut Tx, row: Row, reason: &str, now: Timestamp) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE images SET status = 'deactivated', updated_at = $2, revision = revision + 1
             WHERE id = $1 AND status = 'active' AND os_hash_value IS NOT DISTINCT FROM $3
               AND $4 IS NOT DISTINCT FROM (SELECT MIN(url) FROM image_locations l WHERE l.image_id = images.id)",
            args![&row.id, now, row.os_hash_value, row.url],
        )
        .await?;
    if n == 1 {
        platform_engine::record(tx, &row.id, None, now, "image.deactivated", reason).await?;
    }
    Ok(n == 1)
}
