//! `image_locations`: where the data of images is.

use crate::images::{record, reread, status_now};
use crate::row::image_id;
use crate::store::lost;
use crate::{Store, leftovers};
use base::{ImageId, RequestId, Timestamp};
use image_model::{Image, Location, RegistryError};
use platform_db::{Db, SqlBuilder, Tx, args};
use std::collections::HashMap;

/// Fills in the locations, with one statement however many images there are.
pub(crate) async fn fill(db: &Db, images: &mut HashMap<ImageId, &mut Image>) -> Result<(), RegistryError> {
    let mut q = SqlBuilder::new("SELECT image_id, store, url FROM image_locations WHERE image_id IN ");
    q.bind_list(images.keys().copied());
    q.push(" ORDER BY position, url");
    let (sql, args) = q.finish();
    let rows: Vec<(String, String, String)> = db.fetch_all(sql, args).await.map_err(lost)?;
    for (id, store, url) in rows {
        if let Some(image) = images.get_mut(&image_id(&id)?) {
            image.locations.push(Location { store, url });
        }
    }
    Ok(())
}

/// After the others that it has.
pub(crate) async fn append(tx: &mut Tx, id: ImageId, location: &Location) -> Result<(), RegistryError> {
    tx.execute(
        "INSERT INTO image_locations (image_id, store, url, position)
         VALUES ($1, $2, $3, (SELECT COALESCE(MAX(position) + 1, 0) FROM image_locations WHERE image_id = $1))",
        args![id, &location.store, &location.url],
    )
    .await
    .map_err(lost)
    .map(drop)
}

/// Holds the image's row, so that others who change its locations wait. `false`: it has no data to have copies of.
pub(crate) async fn hold(tx: &mut Tx, id: ImageId, now: Timestamp) -> Result<bool, RegistryError> {
    let held = tx
        .execute(
            "UPDATE images SET updated_at = $2, revision = revision + 1
             WHERE id = $1 AND status IN ('active', 'deactivated') AND deleted_at IS NULL",
            args![id, now],
        )
        .await
        .map_err(lost)?;
    Ok(held == 1)
}

pub(crate) async fn location_add(
    store: &Store,
    id: ImageId,
    url: &str,
    request: &RequestId,
) -> Result<Option<Image>, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    if !hold(&mut tx, id, now).await? {
        return Ok(None);
    }
    let Some(location) = leftovers::fulfil(&mut tx, id, url).await? else { return Ok(None) };
    append(&mut tx, id, &location).await?;
    record(&mut tx, id, now, "image.location_add", &detail(&location, request)).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    reread(store, id).await.map(Some)
}

pub(crate) async fn location_remove(
    store: &Store,
    id: ImageId,
    url: &str,
    request: &RequestId,
) -> Result<Image, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    if !hold(&mut tx, id, now).await? {
        return Err(RegistryError::WrongStatus(status_now(&mut tx, id).await?));
    }
    let locations: Vec<(String, String)> =
        tx.fetch_all("SELECT store, url FROM image_locations WHERE image_id = $1", args![id]).await.map_err(lost)?;
    let found = locations.iter().find(|(_, u)| u == url).ok_or(RegistryError::NoLocation(id))?;
    if locations.len() == 1 {
        return Err(RegistryError::LastLocation(id));
    }
    let location = Location { store: found.0.clone(), url: url.to_owned() };
    tx.execute("DELETE FROM image_locations WHERE image_id = $1 AND url = $2", args![id, url]).await.map_err(lost)?;
    tx.execute(
        "INSERT INTO image_leftovers (image_id, store, url, due, condemned) VALUES ($1, $2, $3, $4, TRUE)",
        args![id, &location.store, url, now],
    )
    .await
    .map_err(lost)?;
    record(&mut tx, id, now, "image.location_remove", &detail(&location, request)).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    reread(store, id).await
}

fn detail(location: &Location, request: &RequestId) -> String {
    format!("{} store {}", request.as_str(), location.store)
}
