//! `image_leftovers`: data on its way to become an image's, and data to be deleted. What is written is planned first and
//! what is deleted is forgotten last, so that a process that dies in between leaves work to be found, not bytes that
//! nobody knows of.

use crate::Store;
use crate::row::image_id;
use crate::store::lost;
use base::{ImageId, Timestamp};
use image_model::{Leftover, Location, RegistryError};
use platform_db::{DbError, Tx, args};
use std::time::Duration;

/// When somebody is told again to delete what he could not.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

pub(crate) async fn plan(tx: &mut Tx, id: ImageId, at: &Location, until: Timestamp) -> Result<(), RegistryError> {
    let planned = tx
        .execute(
            "INSERT INTO image_leftovers (image_id, store, url, due, condemned)
             SELECT $1, $2, $3, $4, FALSE
             WHERE NOT EXISTS (SELECT 1 FROM image_locations WHERE image_id = $1 AND url = $3)",
            args![id, &at.store, &at.url, until],
        )
        .await;
    match planned {
        Ok(1) => Ok(()),
        Ok(_) | Err(DbError::Duplicate(_)) => Err(RegistryError::Duplicate),
        Err(DbError::ForeignKey(_)) => Err(RegistryError::NotFound(id)),
        Err(e) => Err(lost(e)),
    }
}

/// Takes what was planned out of the list. `None`: it was not planned, or is condemned.
pub(crate) async fn fulfil(tx: &mut Tx, id: ImageId, url: &str) -> Result<Option<Location>, RegistryError> {
    let planned: Option<(String,)> = tx
        .fetch_optional(
            "DELETE FROM image_leftovers WHERE image_id = $1 AND url = $2 AND NOT condemned RETURNING store",
            args![id, url],
        )
        .await
        .map_err(lost)?;
    Ok(planned.map(|(store,)| Location { store, url: url.to_owned() }))
}

/// What is planned for the image is to be deleted now.
pub(crate) async fn condemn(tx: &mut Tx, id: ImageId, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "UPDATE image_leftovers SET condemned = TRUE, due = $2 WHERE image_id = $1 AND NOT condemned",
        args![id, now],
    )
    .await
    .map(drop)
}

/// All locations of the image become leftovers.
pub(crate) async fn leave_all(tx: &mut Tx, id: ImageId, now: Timestamp) -> Result<Vec<Location>, DbError> {
    tx.execute(
        "INSERT INTO image_leftovers (image_id, store, url, due, condemned)
         SELECT image_id, store, url, $2, TRUE FROM image_locations WHERE image_id = $1
         ON CONFLICT (image_id, url) DO UPDATE SET condemned = TRUE, due = $2",
        args![id, now],
    )
    .await?;
    let left: Vec<(String, String)> =
        tx.fetch_all("DELETE FROM image_locations WHERE image_id = $1 RETURNING store, url", args![id]).await?;
    Ok(left.into_iter().map(|(store, url)| Location { store, url }).collect())
}

pub(crate) async fn location_plan(
    store: &Store,
    id: ImageId,
    location: &Location,
    until: Timestamp,
) -> Result<(), RegistryError> {
    let mut tx = store.db.begin().await.map_err(lost)?;
    plan(&mut tx, id, location, until).await?;
    tx.commit().await.map_err(lost)
}

pub(crate) async fn location_renew(
    store: &Store,
    id: ImageId,
    url: &str,
    until: Timestamp,
) -> Result<bool, RegistryError> {
    let mut tx = store.db.begin_relaxed().await.map_err(lost)?;
    let renewed = tx
        .execute(
            "UPDATE image_leftovers SET due = $3 WHERE image_id = $1 AND url = $2 AND NOT condemned",
            args![id, url, until],
        )
        .await
        .map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(renewed == 1)
}

pub(crate) async fn location_forget(store: &Store, id: ImageId, url: &str) -> Result<(), RegistryError> {
    let mut tx = store.db.begin().await.map_err(lost)?;
    tx.execute("DELETE FROM image_leftovers WHERE image_id = $1 AND url = $2", args![id, url]).await.map_err(lost)?;
    tx.commit().await.map_err(lost)
}

pub(crate) async fn leftovers(store: &Store) -> Result<Vec<Leftover>, RegistryError> {
    let now = store.now();
    // a look first: nearly always there is nothing to write
    let (due, old): (i64, i64) = store
        .db
        .fetch_one(
            "SELECT (SELECT COUNT(*) FROM image_leftovers WHERE due <= $1),
                    (SELECT COUNT(*) FROM image_locations l JOIN images i ON i.id = l.image_id
                     WHERE i.deleted_at IS NOT NULL)",
            args![now],
        )
        .await
        .map_err(lost)?;
    if due == 0 && old == 0 {
        return Ok(Vec::new());
    }
    let mut tx = store.db.begin().await.map_err(lost)?;
    if old > 0 {
        left_by_older_versions(&mut tx, now).await?;
    }
    let rows: Vec<(String, String, String)> = tx
        .fetch_all(
            "UPDATE image_leftovers SET condemned = TRUE, due = $2
             WHERE (image_id, url) IN (SELECT image_id, url FROM image_leftovers WHERE due <= $1 ORDER BY due LIMIT 100)
             RETURNING image_id, store, url",
            args![now, now.plus(AGAIN_AFTER)],
        )
        .await
        .map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    let leftover = |(id, store, url): (String, String, String)| {
        Ok(Leftover { image: image_id(&id)?, location: Location { store, url } })
    };
    rows.into_iter().map(leftover).collect()
}

/// Versions that knew one store left a deleted image's data among the locations.
async fn left_by_older_versions(tx: &mut Tx, now: Timestamp) -> Result<(), RegistryError> {
    let rows: Vec<(String,)> = tx
        .fetch_all(
            "SELECT DISTINCT l.image_id FROM image_locations l JOIN images i ON i.id = l.image_id
             WHERE i.deleted_at IS NOT NULL LIMIT 100",
            args![],
        )
        .await
        .map_err(lost)?;
    for (id,) in rows {
        leave_all(tx, image_id(&id)?, now).await.map_err(lost)?;
    }
    Ok(())
}
