//! `images` and `image_locations` at the end of an image's life. The row stays and the location with it until the data
//! is gone too, so that a process that dies in between leaves work to be found, not bytes that nobody knows of.

use crate::images::{record, status_now};
use crate::row::image_id;
use crate::store::lost;
use crate::{Store, details};
use base::{ImageId, RequestId};
use image_model::{Deleted, RegistryError};
use platform_db::args;

pub(crate) async fn image_delete(store: &Store, id: ImageId, request: &RequestId) -> Result<Deleted, RegistryError> {
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
    let location: Option<(String,)> =
        tx.fetch_optional("SELECT url FROM image_locations WHERE image_id = $1", args![id]).await.map_err(lost)?;
    record(&mut tx, id, now, "image.delete", request.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(Deleted { id, location: location.map(|(url,)| url) })
}

pub(crate) async fn location_forget(store: &Store, id: ImageId) -> Result<(), RegistryError> {
    let mut tx = store.db.begin().await.map_err(lost)?;
    tx.execute(
        "DELETE FROM image_locations
         WHERE image_id = $1 AND EXISTS (SELECT 1 FROM images WHERE id = $1 AND deleted_at IS NOT NULL)",
        args![id],
    )
    .await
    .map_err(lost)?;
    tx.commit().await.map_err(lost)
}

pub(crate) async fn deleted_with_data(store: &Store) -> Result<Vec<Deleted>, RegistryError> {
    let rows: Vec<(String, String)> = store
        .db
        .fetch_all(
            "SELECT l.image_id, l.url FROM image_locations l JOIN images i ON i.id = l.image_id
             WHERE i.deleted_at IS NOT NULL ORDER BY l.image_id LIMIT 100",
            args![],
        )
        .await
        .map_err(lost)?;
    rows.into_iter().map(|(id, url)| Ok(Deleted { id: image_id(&id)?, location: Some(url) })).collect()
}
