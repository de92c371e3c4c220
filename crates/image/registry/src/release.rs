//! An image that nobody works on any more, though it says so: put where it can be used again. For the doctor; who works on
//! images lets go of them by the calls of [`image_model::Registry`].

use crate::images::record;
use crate::{imports, leftovers, progress};
use base::{ImageId, Timestamp};
use platform_db::{DbError, Tx, args};

/// Queued again, if it is being filled; in any case without a task, staged data, and data that is not yet its own, which is
/// to be deleted. Whoever calls holds the image's row and knows that nobody is at work.
pub async fn image_release(tx: &mut Tx, id: ImageId, why: &str, now: Timestamp) -> Result<(), DbError> {
    imports::abandon(tx, id, why, now).await?;
    tx.execute(
        "UPDATE images SET status = 'queued', size = NULL, virtual_size = NULL, upload = NULL, upload_until = NULL
         WHERE id = $1 AND status IN ('saving', 'uploading', 'importing')",
        args![id],
    )
    .await?;
    tx.execute("UPDATE images SET updated_at = $2, revision = revision + 1 WHERE id = $1", args![id, now]).await?;
    leftovers::condemn(tx, id, now).await?;
    progress::give_up(tx, id).await?;
    record(tx, id, now, "image.released", why).await
}
