//! `images` at the end of their life. The row stays, so that no later image has its id; its data becomes leftovers.

use crate::images::{record, status_now};
use crate::store::lost;
use crate::{Store, details, leftovers};
use base::{ImageId, RequestId};
use image_model::{Location, RegistryError};
use platform_db::args;

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
    details::clear(&mut tx, id).await.map_err(lost)?;
    tx.execute("DELETE FROM image_members WHERE image_id = $1", args![id]).await.map_err(lost)?;
    let locations = leftovers::leave_all(&mut tx, id, now).await.map_err(lost)?;
    record(&mut tx, id, now, "image.delete", request.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(locations)
}
