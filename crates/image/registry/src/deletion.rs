//! `images` at the end of their life. The row stays, so that no later image has its id; its data becomes leftovers.

use crate::images::{record, status_now};
use crate::store::lost;
use crate::{Store, details, imports, leftovers};
use base::{ImageId, RequestId, Timestamp};
use image_model::{Location, RegistryError};
use platform_db::{Tx, args};

pub(crate) async fn image_delete(
    store: &Store,
    id: ImageId,
    request: &RequestId,
) -> Result<Vec<Location>, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let deleted = tx
        .execute(
            "UPDATE images SET status = 'deleted', deleted_at = $2, updated_at = $2, upload = NULL,
                               upload_until = NULL, revision = revision + 1
             WHERE id = $1 AND deleted_at IS NULL AND NOT protected",
            args![id, now],
        )
        .await
        .map_err(lost)?;
    if deleted == 0 {
        status_now(&mut tx, id).await?;
        return Err(RegistryError::Protected(id));
    }
    let locations = clear(&mut tx, id, now, request).await?;
    tx.commit().await.map_err(lost)?;
    Ok(locations)
}

/// An image that a task has made, and could not fill, goes again, whatever was said of it.
pub(crate) async fn unmake(tx: &mut Tx, id: ImageId, now: Timestamp, request: &RequestId) -> Result<(), RegistryError> {
    tx.execute(
        "UPDATE images SET status = 'deleted', deleted_at = $2, updated_at = $2, revision = revision + 1
         WHERE id = $1 AND deleted_at IS NULL",
        args![id, now],
    )
    .await
    .map_err(lost)?;
    clear(tx, id, now, request).await.map(drop)
}

/// All that hangs on the image goes with it. Returns where its data is.
async fn clear(tx: &mut Tx, id: ImageId, now: Timestamp, request: &RequestId) -> Result<Vec<Location>, RegistryError> {
    details::clear(tx, id).await.map_err(lost)?;
    tx.execute("DELETE FROM image_members WHERE image_id = $1", args![id]).await.map_err(lost)?;
    imports::abandon(tx, id, "Image has been deleted, aborting import.", now).await.map_err(lost)?;
    let locations = leftovers::leave_all(tx, id, now).await.map_err(lost)?;
    record(tx, id, now, "image.delete", request.as_str()).await.map_err(lost)?;
    Ok(locations)
}
