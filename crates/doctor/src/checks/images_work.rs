//! I4, images: whoever fills an image renews its hold or loses it. An image that nobody fills any more, and that says so,
//! can be neither filled nor used.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::{ImageId, Timestamp};
use platform_db::{DbError, FromRow, Tx, args, built};

pub(super) struct ImagesHaveWork;

#[derive(FromRow)]
struct Row {
    id: String,
    status: String,
    upload_until: Option<i64>,
    /// The task that is to end, and by when.
    task: Option<String>,
    deadline: Option<i64>,
    /// The task that the image shows.
    shown: Option<String>,
}

/// $1: what was to be over by then is late. A task waits for its turn as long as its deadline allows.
const STUCK: &str = "SELECT i.id, i.status, i.upload_until, t.id AS task, t.deadline, p.value AS shown FROM images i
    LEFT JOIN image_tasks t ON t.image_id = i.id AND t.status IN ('pending', 'processing')
    LEFT JOIN image_properties p ON p.image_id = i.id AND p.name = 'os_glance_import_task'
    WHERE i.deleted_at IS NULL AND (
        (i.status IN ('saving', 'uploading') AND (i.upload_until IS NULL OR i.upload_until < $1))
        OR (i.status = 'importing' AND t.id IS NULL)
        OR (t.deadline < $1 AND t.held_until < $1)
        OR (p.value IS NOT NULL AND t.id IS NULL))";

#[async_trait]
impl Check for ImagesHaveWork {
    fn name(&self) -> &'static str {
        "images_have_work"
    }
    fn holds(&self) -> &'static str {
        "an image that is being filled has somebody who fills it: otherwise nobody can fill it any more"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let late = look.late();
        let sql = format!("{STUCK} ORDER BY i.id LIMIT {MOST}");
        let rows: Vec<Row> = look.db.fetch_all(built(sql), args![late]).await?;
        let finding = |r: Row| {
            let (id, why) = (r.id.clone(), r.why());
            let proof = format!("image {id} {why}");
            let remedy = mend(move |tx, now| Box::pin(async move { release(tx, &r, &why, late, now).await }));
            Finding::new(id, proof, Remedy::Safe("nobody's any more: it can be filled, or copied, again", remedy))
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}

impl Row {
    fn why(&self) -> String {
        let time = |at: Option<i64>| at.map_or_else(|| "no time".to_owned(), |t| Timestamp(t).seconds_z());
        match (&self.task, self.shown.as_deref()) {
            (Some(task), _) => {
                format!("is {}, its task {task} was to end by {}, and nobody does it", self.status, time(self.deadline))
            }
            (None, Some(shown)) => format!("is {}, by the task {shown}, which has ended or never was", self.status),
            (None, None) if self.status == "importing" => "is importing, and there is no task that does it".to_owned(),
            (None, None) => format!("is {}, held until {}", self.status, time(self.upload_until)),
        }
    }
}

async fn release(tx: &mut Tx, seen: &Row, why: &str, late: Timestamp, now: Timestamp) -> Result<bool, DbError> {
    let hold = "UPDATE images SET updated_at = $3 WHERE id = $1 AND status = $2 AND deleted_at IS NULL";
    if tx.execute(hold, args![&seen.id, &seen.status, now]).await? == 0 {
        return Ok(false);
    }
    let sql = format!("{STUCK} AND i.id = $2");
    let still: Option<Row> = tx.fetch_optional(built(sql), args![late, &seen.id]).await?;
    if still.is_none_or(|s| s.why() != seen.why()) {
        return Ok(false);
    }
    let id: ImageId = seen.id.parse().map_err(|_| DbError::NotFound)?;
    image_registry::image_release(tx, id, &format!("Nobody was working on the image any more: it {why}."), now).await?;
    Ok(true)
}
