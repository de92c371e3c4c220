//! `image_staged`: data in a node's own folder that waits for its import, and how an image is `uploading` meanwhile:
//! held by who sends the data while it comes, then by nobody until its time is up.

use crate::Store;
use crate::images::{record, reread};
use crate::row::image_id;
use crate::store::lost;
use crate::uploads::hold;
use base::{ImageId, RequestId, Timestamp};
use image_model::{Image, RegistryError, Staged, Status, data_key};
use platform_db::{DbError, Tx, args};

pub(crate) async fn stage_begin(
    store: &Store,
    id: ImageId,
    staged: &Staged,
    until: Timestamp,
    request: &RequestId,
) -> Result<Image, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    hold(&mut tx, id, Status::Uploading, &staged.upload, until, now).await?;
    tx.execute(
        "INSERT INTO image_staged (image_id, node, upload, complete) VALUES ($1, $2, $3, FALSE)
         ON CONFLICT (image_id) DO UPDATE SET node = $2, upload = $3, complete = FALSE",
        args![id, &staged.node, &staged.upload],
    )
    .await
    .map_err(lost)?;
    record(&mut tx, id, now, "image.uploading", request.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    reread(store, id).await
}

pub(crate) async fn stage_renew(
    store: &Store,
    id: ImageId,
    upload: &str,
    until: Timestamp,
) -> Result<bool, RegistryError> {
    let mut tx = store.db.begin_relaxed().await.map_err(lost)?;
    let renewed = tx
        .execute(
            "UPDATE images SET upload_until = $3 WHERE id = $1 AND upload = $2 AND status = 'uploading'",
            args![id, upload, until],
        )
        .await
        .map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(renewed == 1)
}

pub(crate) async fn stage_finish(
    store: &Store,
    id: ImageId,
    upload: &str,
    size: u64,
    until: Timestamp,
) -> Result<Option<Image>, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let finished = tx
        .execute(
            "UPDATE images SET size = $3, upload_until = $4, updated_at = $5, revision = revision + 1
             WHERE id = $1 AND upload = $2 AND status = 'uploading'",
            args![id, upload, size, until, now],
        )
        .await
        .map_err(lost)?;
    if finished == 0 {
        return Ok(None);
    }
    tx.execute("UPDATE image_staged SET complete = TRUE WHERE image_id = $1 AND upload = $2", args![id, upload])
        .await
        .map_err(lost)?;
    record(&mut tx, id, now, "image.staged", upload).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    reread(store, id).await.map(Some)
}

pub(crate) async fn stage_abort(store: &Store, id: ImageId, upload: &str, why: &str) -> Result<(), RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let aborted = tx
        .execute(
            "UPDATE images SET status = 'queued', size = NULL, upload = NULL, upload_until = NULL, updated_at = $3,
                               revision = revision + 1
             WHERE id = $1 AND upload = $2 AND status = 'uploading'",
            args![id, upload, now],
        )
        .await
        .map_err(lost)?;
    if aborted > 0 {
        forget(&mut tx, id).await.map_err(lost)?;
        record(&mut tx, id, now, "image.stage_failed", why).await.map_err(lost)?;
    }
    tx.commit().await.map_err(lost)
}

/// Whose folder the data is in matters no more: what it has there is rubbish now.
pub(crate) async fn forget(tx: &mut Tx, id: ImageId) -> Result<(), DbError> {
    tx.execute("DELETE FROM image_staged WHERE image_id = $1", args![id]).await.map(drop)
}

pub(crate) async fn stages_expire(store: &Store, by: Timestamp) -> Result<Vec<ImageId>, RegistryError> {
    let (due,): (i64,) = store
        .db
        .fetch_one("SELECT COUNT(*) FROM images WHERE status = 'uploading' AND upload_until < $1", args![by])
        .await
        .map_err(lost)?;
    if due == 0 {
        return Ok(Vec::new());
    }
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let rows: Vec<(String,)> = tx
        .fetch_all(
            "UPDATE images SET status = 'queued', size = NULL, upload = NULL, upload_until = NULL, updated_at = $2,
                               revision = revision + 1
             WHERE status = 'uploading' AND upload_until < $1 RETURNING id",
            args![by, now],
        )
        .await
        .map_err(lost)?;
    let mut expired = Vec::new();
    for (id,) in rows {
        let id = image_id(&id)?;
        let whole: Option<(bool,)> = tx
            .fetch_optional("DELETE FROM image_staged WHERE image_id = $1 RETURNING complete", args![id])
            .await
            .map_err(lost)?;
        let why = match whole {
            Some((true,)) => "staged data was not imported in time",
            _ => "who staged data is gone",
        };
        record(&mut tx, id, now, "image.stage_failed", why).await.map_err(lost)?;
        expired.push(id);
    }
    tx.commit().await.map_err(lost)?;
    Ok(expired)
}

pub(crate) async fn staged_at(store: &Store, id: ImageId) -> Result<Option<Staged>, RegistryError> {
    let row: Option<(String, String)> = store
        .db
        .fetch_optional("SELECT node, upload FROM image_staged WHERE image_id = $1 AND complete", args![id])
        .await
        .map_err(lost)?;
    Ok(row.map(|(node, upload)| Staged { node, upload }))
}

/// The keys of what a node's folder should have.
pub(crate) async fn staged_keys(store: &Store, node: &str) -> Result<Vec<String>, RegistryError> {
    let rows: Vec<(String, String)> = store
        .db
        .fetch_all("SELECT image_id, upload FROM image_staged WHERE node = $1", args![node])
        .await
        .map_err(lost)?;
    rows.into_iter().map(|(id, upload)| Ok(data_key(image_id(&id)?, &upload))).collect()
}
