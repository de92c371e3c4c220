//! What counts against a project's unified limits.

use crate::Store;
use crate::images::storage_used;
use crate::row::amount;
use crate::store::lost;
use base::ProjectId;
use image_model::{RegistryError, Usage};
use platform_db::args;

/// Images with a task of theirs that are in no such state are being copied.
pub(crate) async fn usage_show(store: &Store, project: &ProjectId) -> Result<Usage, RegistryError> {
    let stored_bytes = storage_used(store, project).await?;
    let (images, uploading, staged): (i64, i64, i64) = store
        .db
        .fetch_one(
            "SELECT COUNT(*),
                    CAST(COALESCE(SUM(CASE WHEN i.status IN ('saving', 'uploading', 'importing') OR i.has_task
                                           THEN 1 ELSE 0 END), 0) AS BIGINT),
                    CAST(COALESCE(SUM(CASE WHEN i.status IN ('uploading', 'importing') OR i.has_task
                                           THEN i.size ELSE 0 END), 0) AS BIGINT)
             FROM (SELECT status, size, EXISTS (SELECT 1 FROM image_tasks t WHERE t.image_id = images.id
                                                AND t.status IN ('pending', 'processing')) AS has_task
                   FROM images WHERE owner = $1 AND deleted_at IS NULL) i",
            args![project],
        )
        .await
        .map_err(lost)?;
    Ok(Usage { stored_bytes, staged_bytes: amount(staged), images: amount(images), uploading: amount(uploading) })
}
