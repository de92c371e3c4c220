//! I4, images: an upload renews its hold or loses it. An image that stays `saving` can be neither filled nor used.

use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::Timestamp;
use platform_db::{args, built};

pub(super) struct UploadsEnd;

#[async_trait]
impl Check for UploadsEnd {
    fn name(&self) -> &'static str {
        "uploads_end"
    }
    fn holds(&self) -> &'static str {
        "an image is being saved only while its uploader says so: otherwise nobody can fill it any more"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let sql = format!(
            "SELECT id, upload_until FROM images WHERE status = 'saving' AND (upload_until IS NULL OR upload_until < $1)
             ORDER BY id LIMIT {MOST}"
        );
        let rows: Vec<(String, Option<i64>)> = look.db.fetch_all(built(sql), args![look.late()]).await?;
        let finding = |(id, until): (String, Option<i64>)| {
            let until = until.map_or_else(|| "no time".to_owned(), |t| Timestamp(t).seconds_z());
            let proof = format!("image {id} is saving, held until {until}");
            let what = "see that an image-api runs: it queues lost uploads again and removes their bytes";
            Finding::new(id, proof, Remedy::Person(what))
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}
