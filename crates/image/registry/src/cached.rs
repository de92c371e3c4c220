//! `image_cached`: which nodes have an image in their caches, as they said last.

use crate::Store;
use crate::store::lost;
use base::{ImageId, Timestamp};
use image_model::RegistryError;
use platform_db::{SqlBuilder, args};

/// Images in one statement.
const AT_ONCE: usize = 500;

pub(crate) async fn cached_set(
    store: &Store,
    node: &str,
    images: &[ImageId],
    silent_since: Timestamp,
) -> Result<(), RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin_relaxed().await.map_err(lost)?;
    tx.execute("DELETE FROM image_cached WHERE node = $1 OR seen_at < $2", args![node, silent_since])
        .await
        .map_err(lost)?;
    for some in images.chunks(AT_ONCE) {
        let mut q = SqlBuilder::new("INSERT INTO image_cached (image_id, node, seen_at) SELECT id, CAST(");
        q.bind(node).push(" AS TEXT), CAST(").bind(now).push(" AS BIGINT) FROM images WHERE deleted_at IS NULL");
        q.push(" AND id IN ").bind_list(some.iter().copied()).push(" ON CONFLICT (image_id, node) DO NOTHING");
        let (sql, args) = q.finish();
        tx.execute(sql, args).await.map_err(lost)?;
    }
    tx.commit().await.map_err(lost)
}

pub(crate) async fn cached_nodes(
    store: &Store,
    image: ImageId,
    since: Timestamp,
) -> Result<Vec<String>, RegistryError> {
    let rows: Vec<(String,)> = store
        .db
        .fetch_all(
            "SELECT node FROM image_cached WHERE image_id = $1 AND seen_at >= $2 ORDER BY node",
            args![image, since],
        )
        .await
        .map_err(lost)?;
    Ok(rows.into_iter().map(|(node,)| node).collect())
}
