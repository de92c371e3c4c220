//! `images`: one at a time.

use crate::row::{COLUMNS, Row, amount, word};
use crate::store::lost;
use crate::{Store, details};
use base::{ImageId, ProjectId, RequestId, Timestamp};
use image_model::{Image, RegistryError, Status, Viewer, sees};
use platform_db::{DbError, Tx, args, built};
use std::slice;

pub(crate) async fn image_create(store: &Store, image: Image, request: &RequestId) -> Result<Image, RegistryError> {
    let mut tx = store.db.begin().await.map_err(lost)?;
    insert(&mut tx, &image, request).await?;
    tx.commit().await.map_err(lost)?;
    Ok(image)
}

pub(crate) async fn insert(tx: &mut Tx, image: &Image, request: &RequestId) -> Result<(), RegistryError> {
    let inserted = tx
        .execute(
            "INSERT INTO images (id, name, status, visibility, owner, disk_format, container_format, min_disk, min_ram,
                                 protected, os_hidden, created_at, updated_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            args![
                image.id,
                image.name.clone(),
                image.status.as_str(),
                image.visibility.as_str(),
                image.owner.clone(),
                image.disk_format.map(|f| f.as_str()),
                image.container_format.map(|f| f.as_str()),
                image.min_disk.0,
                image.min_ram.0,
                image.protected,
                image.os_hidden,
                image.created_at,
                image.updated_at,
                image.revision
            ],
        )
        .await;
    match inserted {
        Err(DbError::Duplicate(_)) => return Err(RegistryError::Duplicate),
        other => other.map_err(lost)?,
    };
    details::insert(tx, image).await.map_err(lost)?;
    record(tx, image.id, image.created_at, "image.create", request.as_str()).await.map_err(lost)
}

pub(crate) async fn image_show(store: &Store, id: ImageId, viewer: &Viewer) -> Result<Option<Image>, RegistryError> {
    let sql = format!("SELECT {COLUMNS} FROM images i WHERE i.id = $1 AND i.deleted_at IS NULL");
    let row: Option<Row> = store.db.fetch_optional(built(sql), args![id]).await.map_err(lost)?;
    let Some(row) = row else { return Ok(None) };
    let mut image = row.into_image()?;
    if !sees(viewer, &image, false) && !sees(viewer, &image, is_member(store, id, viewer).await?) {
        return Ok(None);
    }
    details::fill(&store.db, slice::from_mut(&mut image)).await?;
    Ok(Some(image))
}

async fn is_member(store: &Store, id: ImageId, viewer: &Viewer) -> Result<bool, RegistryError> {
    let Some(project) = &viewer.project else { return Ok(false) };
    let found: Option<(String,)> = store
        .db
        .fetch_optional("SELECT member FROM image_members WHERE image_id = $1 AND member = $2", args![id, project])
        .await
        .map_err(lost)?;
    Ok(found.is_some())
}

/// The image as this transaction sees it, whoever asks.
pub(crate) async fn reread(store: &Store, id: ImageId) -> Result<Image, RegistryError> {
    image_show(store, id, &Viewer::cloud()).await?.ok_or(RegistryError::NotFound(id))
}

pub(crate) async fn image_save(store: &Store, image: Image, request: &RequestId) -> Result<Image, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let changed = tx
        .execute(
            "UPDATE images SET name = $3, visibility = $4, owner = $5, disk_format = $6, container_format = $7,
                               min_disk = $8, min_ram = $9, protected = $10, os_hidden = $11, updated_at = $12,
                               revision = revision + 1
             WHERE id = $1 AND revision = $2 AND deleted_at IS NULL",
            args![
                image.id,
                image.revision,
                image.name.clone(),
                image.visibility.as_str(),
                image.owner.clone(),
                image.disk_format.map(|f| f.as_str()),
                image.container_format.map(|f| f.as_str()),
                image.min_disk.0,
                image.min_ram.0,
                image.protected,
                image.os_hidden,
                now
            ],
        )
        .await
        .map_err(lost)?;
    if changed == 0 {
        status_now(&mut tx, image.id).await?;
        return Err(RegistryError::Stale);
    }
    details::replace(&mut tx, &image).await.map_err(lost)?;
    record(&mut tx, image.id, now, "image.update", request.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(Image { updated_at: now, revision: image.revision + 1, ..image })
}

pub(crate) async fn image_move(
    store: &Store,
    id: ImageId,
    from: Status,
    to: Status,
    request: &RequestId,
) -> Result<Image, RegistryError> {
    image_model::next(from, to).map_err(|_| RegistryError::WrongStatus(from))?;
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let moved = tx
        .execute(
            "UPDATE images SET status = $3, updated_at = $4, revision = revision + 1
             WHERE id = $1 AND status = $2 AND deleted_at IS NULL",
            args![id, from.as_str(), to.as_str(), now],
        )
        .await
        .map_err(lost)?;
    if moved == 0 {
        return Err(RegistryError::WrongStatus(status_now(&mut tx, id).await?));
    }
    record(&mut tx, id, now, &format!("image.{to}"), request.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    reread(store, id).await
}

pub(crate) async fn storage_used(store: &Store, project: &ProjectId) -> Result<u64, RegistryError> {
    let (used,): (i64,) = store
        .db
        .fetch_one(
            "SELECT CAST(COALESCE(SUM(i.size * (SELECT COUNT(*) FROM image_locations l WHERE l.image_id = i.id)), 0) AS BIGINT)
             FROM images i WHERE i.owner = $1 AND i.deleted_at IS NULL",
            args![project],
        )
        .await
        .map_err(lost)?;
    Ok(amount(used))
}

/// What a conditional UPDATE met instead of what it wanted.
pub(crate) async fn status_now(tx: &mut Tx, id: ImageId) -> Result<Status, RegistryError> {
    let row: Option<(String,)> = tx
        .fetch_optional("SELECT status FROM images WHERE id = $1 AND deleted_at IS NULL", args![id])
        .await
        .map_err(lost)?;
    let (status,) = row.ok_or(RegistryError::NotFound(id))?;
    word("status", &status)
}

/// A line of the image's history.
pub(crate) async fn record(tx: &mut Tx, id: ImageId, at: Timestamp, what: &str, detail: &str) -> Result<(), DbError> {
    platform_engine::record(tx, &id.to_string(), None, at, what, detail).await
}
