//! I7: the bytes of an image are those that its record describes. Whoever boots from others boots something else.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::Timestamp;
use futures_util::TryStreamExt;
use image_model::{Backend, BackendError, Location, Stores};
use platform_db::{DbError, Tx, args};
use sha2::{Digest, Sha512};
use std::time::{Duration, Instant};

pub(super) struct ImageData;

type Row = (String, Option<i64>, Option<String>, Option<String>, Option<String>, Option<String>);

/// What is recorded of an image's bytes.
#[derive(Clone)]
struct Recorded {
    id: String,
    size: i64,
    /// Of SHA-512; of others nothing is known here.
    hash: Option<String>,
    locations: Vec<Location>,
}

/// Images looked at in one statement.
const PAGE: i64 = 500;

#[async_trait]
impl Check for ImageData {
    fn name(&self) -> &'static str {
        "image_data"
    }
    fn holds(&self) -> &'static str {
        "every copy of an active image's bytes is there and is what its record describes: servers are built from them"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let Some(stores) = &look.images else { return Ok(Vec::new()) };
        let (mut findings, mut unseen) = (Vec::new(), None);
        let mut after = String::new();
        loop {
            let page = page(look, &after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.id);
            for image in page {
                match examine(look, stores, image).await {
                    Ok(found) => findings.extend(found),
                    // what is wrong elsewhere is worth telling all the same
                    Err(error) => unseen = Some(error),
                }
                if findings.len() >= MOST {
                    findings.truncate(MOST);
                    return Ok(findings);
                }
            }
        }
        match unseen {
            Some(error) if findings.is_empty() => Err(error.into()),
            _ => Ok(findings),
        }
    }
}

/// The next images by id. Not in one snapshot: reading the bytes takes long, and who was deleted meanwhile is not there at
/// the second look.
async fn page(look: &Look, after: &str) -> Result<Vec<Recorded>, DbError> {
    let rows: Vec<Row> = look
        .db
        .fetch_all(
            "SELECT i.id, i.size, i.os_hash_algo, i.os_hash_value, l.store, l.url
             FROM images i LEFT JOIN image_locations l ON l.image_id = i.id
             WHERE i.id IN (SELECT id FROM images WHERE status = 'active' AND id > $1 ORDER BY id LIMIT $2)
             ORDER BY i.id, l.position, l.url",
            args![after, PAGE],
        )
        .await?;
    let mut images: Vec<Recorded> = Vec::new();
    for (id, size, algo, hash, store, url) in rows {
        if images.last().is_none_or(|last| last.id != id) {
            let hash = hash.filter(|_| algo.as_deref() == Some("sha512"));
            images.push(Recorded { id, size: size.unwrap_or(0), hash, locations: Vec::new() });
        }
        if let (Some(image), Some(store), Some(url)) = (images.last_mut(), store, url) {
            image.locations.push(Location { store, url });
        }
    }
    Ok(images)
}

/// All copies that are in stores of this site. A copy that is wrong beside one that is right is taken out of the record;
/// an image that has no other is taken out of use.
async fn examine(look: &Look, stores: &Stores, image: Recorded) -> Result<Vec<Finding>, BackendError> {
    if image.locations.is_empty() {
        return Ok(vec![unusable(&image, "it is active and has no data")]);
    }
    let (mut right, mut bad, mut unseen) = (0, Vec::new(), None);
    for location in &image.locations {
        // another site's, which is not looked at from here
        let Some(store) = stores.of(location) else { continue };
        match wrong(look, &*store.backend, &location.url, &image).await {
            Ok(None) => right += 1,
            Ok(Some(what)) => bad.push((location.clone(), what)),
            Err(error) => unseen = Some(error),
        }
    }
    if bad.is_empty() {
        return unseen.map_or_else(|| Ok(Vec::new()), Err);
    }
    if right > 0 {
        return Ok(bad.into_iter().map(|(location, what)| one_of_several(&image, location, &what)).collect());
    }
    let whats: Vec<String> = bad.iter().map(|(_, what)| what.clone()).collect();
    if bad.len() == image.locations.len() {
        return Ok(vec![unusable(&image, &whats.join("; "))]);
    }
    let proof = format!("image {}: {}", image.id, whats.join("; "));
    let what = "look at its other copies, which cannot be seen from here";
    Ok(vec![Finding::new(image.id, proof, Remedy::Person(what))])
}

fn unusable(image: &Recorded, wrong: &str) -> Finding {
    let proof = format!("image {}: {wrong}", image.id);
    let (image, reason) = (image.clone(), proof.clone());
    let id = image.id.clone();
    let remedy = mend(move |tx, now| Box::pin(async move { deactivate(tx, image, &reason, now).await }));
    Finding::new(id, proof, Remedy::Safe("deactivated: nobody boots from it; upload it anew", remedy))
}

fn one_of_several(image: &Recorded, location: Location, wrong: &str) -> Finding {
    let proof = format!("image {}: {wrong}; it has another copy", image.id);
    let (id, reason) = (image.id.clone(), proof.clone());
    let subject = format!("{id} {}", location.url);
    let remedy = mend(move |tx, now| Box::pin(async move { take_out(tx, &id, location, &reason, now).await }));
    Finding::new(subject, proof, Remedy::Safe("taken out of the image's record, and deleted", remedy))
}

/// What is wrong with one copy.
async fn wrong(
    look: &Look,
    backend: &dyn Backend,
    url: &str,
    image: &Recorded,
) -> Result<Option<String>, BackendError> {
    let size = match backend.size(url).await {
        Ok(size) => size,
        Err(BackendError::NotFound(_)) => return Ok(Some(format!("there is nothing at {url}"))),
        Err(BackendError::BadLocation(_)) => return Ok(Some(format!("{url} is not in this store"))),
        Err(error) => return Err(error),
    };
    if i64::try_from(size) != Ok(image.size) {
        return Ok(Some(format!("its record says {} bytes, {url} has {size}", image.size)));
    }
    let Some(recorded) = image.hash.as_deref().filter(|_| look.settings.deep) else { return Ok(None) };
    let found = match hash(backend, url, look.settings.read_rate).await {
        Ok(found) => found,
        Err(BackendError::NotFound(_)) => return Ok(Some(format!("there is nothing at {url}"))),
        Err(BackendError::Io { operation, source }) => {
            return Ok(Some(format!("cannot be read: {operation}: {source}")));
        }
        Err(error) => return Err(error),
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

/// Data at a location never changes, so what was read there holds as long as the image still has these locations and no
/// other.
async fn deactivate(tx: &mut Tx, image: Recorded, reason: &str, now: Timestamp) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE images SET status = 'deactivated', updated_at = $2, revision = revision + 1
             WHERE id = $1 AND status = 'active'",
            args![&image.id, now],
        )
        .await?;
    let urls: Vec<(String,)> = tx
        .fetch_all("SELECT url FROM image_locations WHERE image_id = $1 ORDER BY position, url", args![&image.id])
        .await?;
    let same = urls.iter().map(|(u,)| u).eq(image.locations.iter().map(|l| &l.url));
    if n == 1 && same {
        platform_engine::record(tx, &image.id, None, now, "image.deactivated", reason).await?;
    }
    Ok(n == 1 && same)
}

async fn take_out(tx: &mut Tx, id: &str, at: Location, reason: &str, now: Timestamp) -> Result<bool, DbError> {
    // who else changes its locations holds the row, too
    let held = tx
        .execute(
            "UPDATE images SET updated_at = $2, revision = revision + 1
             WHERE id = $1 AND status = 'active'
               AND 1 < (SELECT COUNT(*) FROM image_locations l WHERE l.image_id = images.id)",
            args![id, now],
        )
        .await?;
    let taken = tx.execute("DELETE FROM image_locations WHERE image_id = $1 AND url = $2", args![id, &at.url]).await?;
    if held == 0 || taken == 0 {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO image_leftovers (image_id, store, url, due, condemned) VALUES ($1, $2, $3, $4, TRUE)",
        args![id, &at.store, &at.url, now],
    )
    .await?;
    platform_engine::record(tx, id, None, now, "image.location_remove", reason).await?;
    Ok(true)
}
