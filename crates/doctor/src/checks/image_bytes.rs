//! I7, the other way round: bytes in the stores belong to an image. Others only fill the disk.

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
        "what is in the image stores belongs to an image: other bytes only take room"
    }

    /// The stores are listed before the database is asked: whatever was stored by then is known there, as an image's data
    /// or as that of an upload that has not ended.
    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let Some(stores) = &look.images else { return Ok(Vec::new()) };
        let (mut stored, mut unseen) = (Vec::new(), None);
        for store in stores.all() {
            match store.backend.list().await {
                Ok(listed) => stored.extend(listed),
                // what is wrong elsewhere is worth telling all the same
                Err(error) => unseen = Some(error),
            }
        }
        let mut snapshot = look.snapshot().await?;
        let mut owned: HashSet<String> = HashSet::with_capacity(stored.len());
        let mut locations = snapshot
            .stream::<(String,)>("SELECT url FROM image_locations UNION SELECT url FROM image_leftovers", args![]);
        while let Some((url,)) = locations.try_next().await? {
            owned.insert(url);
        }
        drop(locations);
        // of versions that did not write down where an upload will be
        let uploads: Vec<(String, String)> = snapshot
            .fetch_all("SELECT id, upload FROM images WHERE upload IS NOT NULL AND deleted_at IS NULL", args![])
            .await?;
        for (id, upload) in uploads {
            if let Ok(id) = id.parse::<ImageId>() {
                owned.insert(stores.default_store().backend.location(&image_model::data_key(id, &upload)));
            }
        }
        let nobodys = stored.into_iter().filter(|s| !owned.contains(&s.location) && s.modified < look.late());
        let finding = |s: image_model::Stored| {
            let proof = format!("{} ({} bytes, of {}) belongs to no image", s.location, s.size, s.modified.seconds_z());
            let what = "delete it, if no other cloud and no restored backup needs it";
            Finding::new(s.location, proof, Remedy::Person(what))
        };
        let findings: Vec<Finding> = nobodys.take(MOST).map(finding).collect();
        match unseen {
            Some(error) if findings.is_empty() => Err(error.into()),
            _ => Ok(findings),
        }
    }
}
