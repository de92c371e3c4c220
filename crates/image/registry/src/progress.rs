//! `image_properties`: what an image shows of its import while it goes on, in Glance's words. Only within a transaction
//! that has changed the image's row.

use base::ImageId;
use image_model::TaskId;
use platform_db::{DbError, Tx, args};
use std::collections::{BTreeMap, BTreeSet};

const TASK: &str = "os_glance_import_task";
const IMPORTING: &str = "os_glance_importing_to_stores";
const FAILED: &str = "os_glance_failed_import";

pub(crate) async fn begin(tx: &mut Tx, id: ImageId, task: &TaskId, stores: &[String]) -> Result<(), DbError> {
    let mut failed = listed(tx, id, FAILED).await?;
    failed.retain(|s| !stores.contains(s));
    put(tx, id, TASK, task.as_str()).await?;
    put(tx, id, IMPORTING, &list(stores.iter().cloned().collect())).await?;
    put(tx, id, FAILED, &list(failed)).await
}

pub(crate) async fn end(tx: &mut Tx, id: ImageId, also_failed: &[String]) -> Result<(), DbError> {
    let mut failed = listed(tx, id, FAILED).await?;
    failed.extend(also_failed.iter().cloned());
    tx.execute("DELETE FROM image_properties WHERE image_id = $1 AND name = $2", args![id, TASK]).await?;
    put(tx, id, IMPORTING, "").await?;
    put(tx, id, FAILED, &list(failed)).await
}

/// As [`end`], of an import that has come to nothing; nothing where none is shown.
pub(crate) async fn give_up(tx: &mut Tx, id: ImageId) -> Result<(), DbError> {
    if value(tx, id, TASK).await?.is_none() {
        return Ok(());
    }
    let stores = listed(tx, id, IMPORTING).await?.into_iter().collect::<Vec<_>>();
    end(tx, id, &stores).await
}

pub(crate) async fn set(tx: &mut Tx, id: ImageId, properties: &BTreeMap<String, String>) -> Result<(), DbError> {
    for (name, value) in properties {
        put(tx, id, name, value).await?;
    }
    Ok(())
}

async fn value(tx: &mut Tx, id: ImageId, name: &str) -> Result<Option<String>, DbError> {
    let row: Option<(String,)> = tx
        .fetch_optional("SELECT value FROM image_properties WHERE image_id = $1 AND name = $2", args![id, name])
        .await?;
    Ok(row.map(|(value,)| value))
}

/// Those that a property lists.
async fn listed(tx: &mut Tx, id: ImageId, name: &str) -> Result<BTreeSet<String>, DbError> {
    let stores = value(tx, id, name).await?.unwrap_or_default();
    Ok(stores.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect())
}

fn list(stores: BTreeSet<String>) -> String {
    stores.into_iter().collect::<Vec<_>>().join(",")
}

async fn put(tx: &mut Tx, id: ImageId, name: &str, value: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO image_properties (image_id, name, value) VALUES ($1, $2, $3)
         ON CONFLICT (image_id, name) DO UPDATE SET value = $3",
        args![id, name, value],
    )
    .await
    .map(drop)
}
