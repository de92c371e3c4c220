//! `image_tasks`: how an import begins, who does it, and how it ends. Task, image, progress and staged data change in one
//! transaction, so that none can be left behind by the others. Whoever does a task holds it while he renews in time; the
//! next one to take it up condemns what he has stored.

use crate::images::{self, record, reread, status_now};
use crate::row::image_id;
use crate::store::lost;
use crate::tasks::{COLUMNS, Row};
use crate::{Store, deletion, leftovers, locations, progress, staging};
use base::{ImageId, Timestamp};
use image_model::{
    Claimed, Image, Imported, Location, Method, NewTask, RegistryError, Staged, StoredData, Task, TaskId, TaskKind,
    Tidied,
};
use platform_db::{DbError, Tx, args, built};
use serde_json::json;
use std::time::Duration;

/// How long a task is kept after its end: Glance's `task_time_to_live`.
const KEPT: Duration = Duration::from_secs(48 * 3600);
/// How often a task is begun.
const TRIES: u32 = 3;

pub(crate) async fn import_begin(store: &Store, new: NewTask, image: Option<Image>) -> Result<Task, RegistryError> {
    let NewTask { task, plan, mut node, deadline } = new;
    let id = task.image.ok_or_else(|| RegistryError::Internal("an import without an image".to_owned()))?;
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    if let Some(image) = &image {
        images::insert(&mut tx, image, &task.request).await?;
    }
    let moved = match &plan.method {
        Method::CopyImage => {
            tx.execute(
                "UPDATE images SET updated_at = $2, revision = revision + 1
                 WHERE id = $1 AND status = 'active' AND deleted_at IS NULL",
                args![id, now],
            )
            .await
        }
        Method::GlanceDirect => {
            let staged: Option<(String,)> = tx
                .fetch_optional("SELECT node FROM image_staged WHERE image_id = $1 AND complete", args![id])
                .await
                .map_err(lost)?;
            node = staged.map(|(node,)| node);
            tx.execute(
                "UPDATE images SET status = 'importing', upload = NULL, upload_until = NULL, updated_at = $2,
                                   revision = revision + 1
                 WHERE id = $1 AND status = 'uploading' AND deleted_at IS NULL
                   AND EXISTS (SELECT 1 FROM image_staged WHERE image_id = $1 AND complete)",
                args![id, now],
            )
            .await
        }
        Method::WebDownload { .. } | Method::GlanceDownload { .. } => {
            tx.execute(
                "UPDATE images SET status = 'importing', updated_at = $2, revision = revision + 1
                 WHERE id = $1 AND status = 'queued' AND deleted_at IS NULL",
                args![id, now],
            )
            .await
        }
    };
    if moved.map_err(lost)? == 0 {
        return Err(RegistryError::WrongStatus(status_now(&mut tx, id).await?));
    }
    let plan_text = serde_json::to_string(&plan).map_err(|e| RegistryError::Internal(e.to_string()))?;
    let inserted = tx
        .execute(
            "INSERT INTO image_tasks (id, type, status, owner, user_id, request_id, image_id, input, plan, message, node,
                                      held_until, tries, deadline, created_at, updated_at)
             VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7, $8, '', $9, $10, 0, $11, $10, $10)",
            args![
                task.id.as_str(),
                task.kind.as_str(),
                task.owner.clone(),
                task.user.clone(),
                &task.request,
                id,
                task.input.to_string(),
                plan_text,
                node,
                now,
                deadline
            ],
        )
        .await;
    match inserted {
        Err(DbError::Duplicate(_)) => return Err(RegistryError::Duplicate),
        other => other.map_err(lost)?,
    };
    progress::begin(&mut tx, id, &task.id, &plan.stores).await.map_err(lost)?;
    record(&mut tx, id, now, "image.importing", task.request.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(Task { created_at: now, updated_at: now, ..task })
}

pub(crate) async fn task_claim(
    store: &Store,
    node: &str,
    holder: &str,
    by: Timestamp,
    until: Timestamp,
) -> Result<Option<Claimed>, RegistryError> {
    let now = store.now();
    let due: Option<(String,)> = store
        .db
        .fetch_optional(
            "SELECT id FROM image_tasks
             WHERE status IN ('pending', 'processing') AND held_until <= $1 AND (node IS NULL OR node = $2)
               AND deadline > $3 AND tries < $4
             ORDER BY created_at, id LIMIT 1",
            args![by, node, now, TRIES],
        )
        .await
        .map_err(lost)?;
    let Some((due,)) = due else { return Ok(None) };
    let mut tx = store.db.begin().await.map_err(lost)?;
    let sql = format!(
        "UPDATE image_tasks SET status = 'processing', holder = $2, held_until = $3, tries = tries + 1, updated_at = $4
         WHERE id = $1 AND status IN ('pending', 'processing') AND held_until <= $5 RETURNING {COLUMNS}"
    );
    let taken: Option<Row> = tx.fetch_optional(built(sql), args![due, holder, until, now, by]).await.map_err(lost)?;
    // somebody else was faster
    let Some(row) = taken else { return Ok(None) };
    let mut claimed = row.into_claimed()?;
    if let Some(id) = claimed.task.image {
        leftovers::condemn(&mut tx, id, now).await.map_err(lost)?;
        let staged: Option<(String, String)> = tx
            .fetch_optional("SELECT node, upload FROM image_staged WHERE image_id = $1", args![id])
            .await
            .map_err(lost)?;
        claimed.staged = staged.map(|(node, upload)| Staged { node, upload });
    }
    tx.commit().await.map_err(lost)?;
    Ok(Some(claimed))
}

pub(crate) async fn task_renew(
    store: &Store,
    id: &TaskId,
    holder: &str,
    until: Timestamp,
    message: &str,
) -> Result<bool, RegistryError> {
    let mut tx = store.db.begin_relaxed().await.map_err(lost)?;
    let renewed = tx
        .execute(
            "UPDATE image_tasks SET held_until = $3, message = $4, updated_at = $5
             WHERE id = $1 AND holder = $2 AND status = 'processing'",
            args![id.as_str(), holder, until, message, store.now()],
        )
        .await
        .map_err(lost)?;
    if renewed == 1 {
        // what it writes is its own while it holds the task
        tx.execute(
            "UPDATE image_leftovers SET due = $2
             WHERE image_id = (SELECT image_id FROM image_tasks WHERE id = $1) AND NOT condemned",
            args![id.as_str(), until],
        )
        .await
        .map_err(lost)?;
        tx.commit().await.map_err(lost)?;
    }
    Ok(renewed == 1)
}

pub(crate) async fn import_finish(
    store: &Store,
    id: &TaskId,
    holder: &str,
    data: Option<StoredData>,
    at: &[Location],
    imported: &Imported,
) -> Result<Option<Image>, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let ended: Option<(String,)> = tx
        .fetch_optional(
            "UPDATE image_tasks SET status = 'success', holder = NULL, updated_at = $3, expires_at = $4
             WHERE id = $1 AND holder = $2 AND status = 'processing' RETURNING image_id",
            args![id.as_str(), holder, now, now.plus(KEPT)],
        )
        .await
        .map_err(lost)?;
    let Some((image,)) = ended else { return Ok(None) };
    let image = image_id(&image)?;
    let result = json!({ "image_id": image }).to_string();
    tx.execute("UPDATE image_tasks SET result = $2 WHERE id = $1", args![id.as_str(), result]).await.map_err(lost)?;
    let held = match &data {
        Some(data) => activate(&mut tx, image, data, imported, now).await?,
        None => locations::hold(&mut tx, image, now).await?,
    };
    if !held {
        return Ok(None);
    }
    for location in at {
        let Some(location) = leftovers::fulfil(&mut tx, image, &location.url).await? else { return Ok(None) };
        locations::append(&mut tx, image, &location).await?;
    }
    leftovers::condemn(&mut tx, image, now).await.map_err(lost)?;
    staging::forget(&mut tx, image).await.map_err(lost)?;
    progress::set(&mut tx, image, &imported.properties).await.map_err(lost)?;
    progress::end(&mut tx, image, &imported.failed_stores).await.map_err(lost)?;
    let what = if data.is_some() { "image.active" } else { "image.copied" };
    record(&mut tx, image, now, what, id.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    reread(store, image).await.map(Some)
}

async fn activate(
    tx: &mut Tx,
    id: ImageId,
    data: &StoredData,
    imported: &Imported,
    now: Timestamp,
) -> Result<bool, RegistryError> {
    let moved = tx
        .execute(
            "UPDATE images SET status = 'active', size = $2, virtual_size = $3, checksum = $4, os_hash_algo = $5,
                               os_hash_value = $6, updated_at = $7, disk_format = COALESCE($8, disk_format),
                               container_format = COALESCE($9, container_format), revision = revision + 1
             WHERE id = $1 AND status = 'importing' AND deleted_at IS NULL",
            args![
                id,
                data.size,
                data.virtual_size,
                data.checksum.clone(),
                data.os_hash_algo.clone(),
                data.os_hash_value.clone(),
                now,
                imported.disk_format.map(|f| f.as_str()),
                imported.container_format.map(|f| f.as_str())
            ],
        )
        .await
        .map_err(lost)?;
    Ok(moved == 1)
}

pub(crate) async fn import_fail(
    store: &Store,
    id: &TaskId,
    holder: &str,
    why: &str,
    failed_stores: &[String],
) -> Result<bool, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let sql = format!(
        "UPDATE image_tasks SET held_until = $3 WHERE id = $1 AND holder = $2 AND status = 'processing'
         RETURNING {COLUMNS}"
    );
    let row: Option<Row> = tx.fetch_optional(built(sql), args![id.as_str(), holder, now]).await.map_err(lost)?;
    let Some(row) = row else { return Ok(false) };
    fail(&mut tx, row.into_task()?, why, failed_stores, now).await?;
    tx.commit().await.map_err(lost)?;
    Ok(true)
}

/// The task has failed; its image is as it was before, with nothing staged and nothing stored.
async fn fail(
    tx: &mut Tx,
    task: Task,
    why: &str,
    failed_stores: &[String],
    now: Timestamp,
) -> Result<(), RegistryError> {
    tx.execute(
        "UPDATE image_tasks SET status = 'failure', message = $2, holder = NULL, updated_at = $3, expires_at = $4
         WHERE id = $1",
        args![task.id.as_str(), why, now, now.plus(KEPT)],
    )
    .await
    .map_err(lost)?;
    let Some(id) = task.image else { return Ok(()) };
    staging::forget(tx, id).await.map_err(lost)?;
    leftovers::condemn(tx, id, now).await.map_err(lost)?;
    record(tx, id, now, "image.import_failed", why).await.map_err(lost)?;
    if task.kind == TaskKind::Import {
        // the task made it
        return deletion::unmake(tx, id, now, &task.request).await;
    }
    tx.execute(
        "UPDATE images SET status = 'queued', size = NULL, virtual_size = NULL, updated_at = $2, revision = revision + 1
         WHERE id = $1 AND status = 'importing' AND deleted_at IS NULL",
        args![id, now],
    )
    .await
    .map_err(lost)?;
    // a copy leaves the image active; that something of it has changed shows there too
    tx.execute(
        "UPDATE images SET updated_at = $2, revision = revision + 1
         WHERE id = $1 AND status IN ('active', 'deactivated') AND deleted_at IS NULL",
        args![id, now],
    )
    .await
    .map_err(lost)?;
    progress::end(tx, id, failed_stores).await.map_err(lost)
}

/// An image's task has nothing to do any more.
pub(crate) async fn abandon(tx: &mut Tx, id: ImageId, why: &str, now: Timestamp) -> Result<(), DbError> {
    staging::forget(tx, id).await?;
    tx.execute(
        "UPDATE image_tasks SET status = 'failure', message = $4, holder = NULL, updated_at = $2, expires_at = $3
         WHERE image_id = $1 AND status IN ('pending', 'processing')",
        args![id, now, now.plus(KEPT), why],
    )
    .await
    .map(drop)
}

/// `node` lives: what waits for it goes on waiting.
pub(crate) async fn tasks_tidy(store: &Store, node: &str, gone_before: Timestamp) -> Result<Tidied, RegistryError> {
    let now = store.now();
    let (waiting, over, expired): (i64, i64, i64) = store
        .db
        .fetch_one(
            "SELECT (SELECT COUNT(*) FROM image_tasks WHERE node = $1 AND status = 'pending'),
                    (SELECT COUNT(*) FROM image_tasks
                     WHERE status IN ('pending', 'processing') AND held_until < $2
                       AND (deadline <= $2 OR tries >= $3 OR (node IS NOT NULL AND node <> $1 AND held_until < $4))),
                    (SELECT COUNT(*) FROM image_tasks WHERE expires_at <= $2)",
            args![node, now, TRIES, gone_before],
        )
        .await
        .map_err(lost)?;
    if waiting == 0 && over == 0 && expired == 0 {
        return Ok(Tidied::default());
    }
    let mut tx = store.db.begin().await.map_err(lost)?;
    if waiting > 0 {
        let alive = "UPDATE image_tasks SET held_until = $2 WHERE node = $1 AND status = 'pending'";
        tx.execute(alive, args![node, now]).await.map_err(lost)?;
    }
    let sql = format!(
        "UPDATE image_tasks SET held_until = $2
         WHERE status IN ('pending', 'processing') AND held_until < $2
           AND (deadline <= $2 OR tries >= $3 OR (node IS NOT NULL AND node <> $1 AND held_until < $4))
         RETURNING {COLUMNS}"
    );
    let rows: Vec<Row> = match over {
        0 => Vec::new(),
        _ => tx.fetch_all(built(sql), args![node, now, TRIES, gone_before]).await.map_err(lost)?,
    };
    let failed = rows.len() as u64;
    for row in rows {
        let claimed = row.into_claimed()?;
        let why = if claimed.deadline <= now {
            "The import was not done in time.".to_owned()
        } else if claimed.tries >= TRIES {
            format!("The import was begun {TRIES} times, and each time the process that did it died.")
        } else {
            "The host that has the staged data is gone.".to_owned()
        };
        fail(&mut tx, claimed.task, &why, &claimed.plan.stores, now).await?;
    }
    let purged = tx
        .execute("DELETE FROM image_tasks WHERE expires_at <= $1 AND status IN ('success', 'failure')", args![now])
        .await
        .map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(Tidied { failed, purged })
}
