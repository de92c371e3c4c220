//! `images.upload`: who is storing data into an image. An upload holds its image while it renews in time; whoever has
//! lost it learns so at the next renewal, or at the latest when it wants to finish. Of the image's leftovers that are not
//! condemned, the only one is what its upload writes.

use crate::images::{record, reread, status_now};
use crate::row::image_id;
use crate::store::lost;
use crate::{Store, leftovers, locations};
use base::{ImageId, RequestId, Timestamp};
use image_model::{Image, Location, LostUpload, RegistryError, Status, StoredData};
use platform_db::{Tx, args};

pub(crate) async fn upload_begin(
    store: &Store,
    id: ImageId,
    upload: &str,
    location: &Location,
    until: Timestamp,
    request: &RequestId,
) -> Result<Image, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    hold(&mut tx, id, Status::Saving, upload, until, now).await?;
    leftovers::plan(&mut tx, id, location, until).await?;
    record(&mut tx, id, now, "image.saving", request.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    reread(store, id).await
}

/// From `queued` to `into`, held under the name `upload` until `until`.
pub(crate) async fn hold(
    tx: &mut Tx,
    id: ImageId,
    into: Status,
    upload: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let begun = tx
        .execute(
            "UPDATE images SET status = $5, upload = $2, upload_until = $3, updated_at = $4, revision = revision + 1
             WHERE id = $1 AND status = 'queued' AND deleted_at IS NULL",
            args![id, upload, until, now, into.as_str()],
        )
        .await
        .map_err(lost)?;
    if begun == 0 {
        return Err(RegistryError::WrongStatus(status_now(tx, id).await?));
    }
    Ok(())
}

pub(crate) async fn upload_renew(
    store: &Store,
    id: ImageId,
    upload: &str,
    until: Timestamp,
) -> Result<bool, RegistryError> {
    let mut tx = store.db.begin_relaxed().await.map_err(lost)?;
    let renewed = tx
        .execute(
            "UPDATE images SET upload_until = $3 WHERE id = $1 AND upload = $2 AND status = 'saving'",
            args![id, upload, until],
        )
        .await
        .map_err(lost)?;
    tx.execute("UPDATE image_leftovers SET due = $2 WHERE image_id = $1 AND NOT condemned", args![id, until])
        .await
        .map_err(lost)?;
    if renewed == 1 {
        tx.commit().await.map_err(lost)?;
    }
    Ok(renewed == 1)
}

pub(crate) async fn upload_finish(
    store: &Store,
    id: ImageId,
    upload: &str,
    data: &StoredData,
    request: &RequestId,
) -> Result<Option<Image>, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let finished = tx
        .execute(
            "UPDATE images SET status = 'active', size = $3, virtual_size = $4, checksum = $5, os_hash_algo = $6,
                               os_hash_value = $7, updated_at = $8, upload = NULL, upload_until = NULL,
                               revision = revision + 1
             WHERE id = $1 AND upload = $2 AND status = 'saving'",
            args![
                id,
                upload,
                data.size,
                data.virtual_size,
                data.checksum.as_ref(),
                data.os_hash_algo.as_ref(),
                data.os_hash_value.as_ref(),
                now
            ],
        )
        .await
        .map_err(lost)?;
    if finished == 0 {
        return Ok(None);
    }
    let Some(location) = leftovers::fulfil(&mut tx, id, &data.location.url).await? else { return Ok(None) };
    locations::append(&mut tx, id, &location).await?;
    record(&mut tx, id, now, "image.active", request.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    reread(store, id).await.map(Some)
}

pub(crate) async fn upload_abort(store: &Store, id: ImageId, upload: &str, why: &str) -> Result<(), RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let aborted = tx
        .execute(
            "UPDATE images SET status = 'queued', size = NULL, virtual_size = NULL, upload = NULL, upload_until = NULL,
                               updated_at = $3, revision = revision + 1
             WHERE id = $1 AND upload = $2 AND status = 'saving'",
            args![id, upload, now],
        )
        .await
        .map_err(lost)?;
    if aborted > 0 {
        leftovers::condemn(&mut tx, id, now).await.map_err(lost)?;
        record(&mut tx, id, now, "image.upload_failed", why).await.map_err(lost)?;
    }
    tx.commit().await.map_err(lost)
}

pub(crate) async fn uploads_expire(store: &Store, now: Timestamp) -> Result<Vec<LostUpload>, RegistryError> {
    // a look first: nearly always there is nothing to write
    let (due,): (i64,) = store
        .db
        .fetch_one("SELECT COUNT(*) FROM images WHERE status = 'saving' AND upload_until < $1", args![now])
        .await
        .map_err(lost)?;
    if due == 0 {
        return Ok(Vec::new());
    }
    let mut tx = store.db.begin().await.map_err(lost)?;
    // the name stays, to be returned; it means nothing while the image is not being saved
    let rows: Vec<(String, String)> = tx
        .fetch_all(
            "UPDATE images SET status = 'queued', size = NULL, virtual_size = NULL, upload_until = NULL,
                               updated_at = $1, revision = revision + 1
             WHERE status = 'saving' AND upload_until < $1 RETURNING id, upload",
            args![now],
        )
        .await
        .map_err(lost)?;
    let mut expired = Vec::new();
    for (id, upload) in rows {
        let id = image_id(&id)?;
        leftovers::condemn(&mut tx, id, now).await.map_err(lost)?;
        record(&mut tx, id, now, "image.upload_failed", "its uploader is gone").await.map_err(lost)?;
        expired.push(LostUpload { id, upload });
    }
    tx.commit().await.map_err(lost)?;
    Ok(expired)
}
