//! I7, the other way round: bytes in the store belong to an image. Others only fill the disk.

use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use base::ImageId;
use futures_util::TryStreamExt;
use platform_db::args;
use std::collections::HashSet;

pub(super) struct ImageBytes;

#[async_trait]
impl Check for ImageBytes {
    fn name(&self) -> &'static str {
        "image_bytes"
    }
    fn holds(&self) -> &'static str {
        "what is in the image store belongs to an image: other bytes only take room"
    }

    /// The store is listed before the database is asked: whatever was stored by then is known there, as an image's data
    /// or as that of an upload that has not ended.
    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let Some(backend) = &look.images else { return Ok(Vec::new()) };
        let stored = backend.list().await?;
        let mut snapshot = look.snapshot().await?;
        let mut owned: HashSet<String> = HashSet::with_capacity(stored.len());
        let mut locations = snapshot.stream::<(String,)>("SELECT url FROM image_locations", args![]);
        while let Some((url,)) = locations.try_next().await? {
            owned.insert(url);
        }
        drop(locations);
        let uploads: Vec<(String, String)> = snapshot
            .fetch_all("SELECT id, upload FROM images WHERE upload IS NOT NULL AND deleted_at IS NULL", args![])
            .await?;
        for (id, upload) in uploads {
            if let Ok(id) = id.parse::<ImageId>() {
                owned.insert(backend.location(&image_model::data_key(id, &upload)));
            }
        }
        let nobodys = stored.into_iter().filter(|s| !owned.contains(&s.location) && s.modified < look.late());
        let finding = |s: image_model::Stored| {
            let proof = format!("{} ({} bytes, of {}) belongs to no image", s.location, s.size, s.modified.seconds_z());
            let what = "delete it, if no other cloud and no restored backup needs it";
            Finding::new(s.location, proof, Remedy::Person(what))
        };
        Ok(nobodys.take(MOST).map(finding).collect())
    }
}
