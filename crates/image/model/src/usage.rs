//! What a project has of the resources that unified limits bound.

use crate::Refusal;
use base::ProjectId;
use serde::{Deserialize, Serialize};

/// Named as the registered limits of the service type `image` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// MiB of stored data, each copy counted.
    SizeTotal,
    /// MiB of data that is staged, or being copied.
    StageTotal,
    /// Images.
    CountTotal,
    /// Images that are being uploaded, staged, imported or copied.
    CountUploading,
}

impl Resource {
    pub const ALL: [Self; 4] = [Self::SizeTotal, Self::StageTotal, Self::CountTotal, Self::CountUploading];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::SizeTotal => "image_size_total",
            Self::StageTotal => "image_stage_total",
            Self::CountTotal => "image_count_total",
            Self::CountUploading => "image_count_uploading",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub stored_bytes: u64,
    pub staged_bytes: u64,
    pub images: u64,
    pub uploading: u64,
}

impl Usage {
    /// In the resource's unit. What is not a whole MiB does not count, as in Glance.
    pub fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::SizeTotal => mebibytes(self.stored_bytes),
            Resource::StageTotal => mebibytes(self.staged_bytes),
            Resource::CountTotal => self.images,
            Resource::CountUploading => self.uploading,
        }
    }

    /// Whether `delta` more is within `limit` (below 0: always), in the words of Glance and oslo.limit.
    pub fn check(&self, project: &ProjectId, resource: Resource, delta: u64, limit: i64) -> Result<(), Refusal> {
        let used = self.of(resource);
        let Ok(most) = u64::try_from(limit) else { return Ok(()) };
        if used.saturating_add(delta) <= most {
            return Ok(());
        }
        Err(Refusal::TooLarge(format!(
            "The request returned a 413 Request Entity Too Large. This generally means that rate limiting or a quota \
             threshold was breached.\n\nThe response body:\nProject {project} is over a limit for [Resource {} is over \
             limit of {limit} due to current usage {used} and delta {delta}]",
            resource.as_str()
        )))
    }
}

/// Whole ones.
pub fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let usage = Usage { stored_bytes: (3 << 20) - 1, images: 1, ..Usage::default() };
        let check = |resource, delta, limit| usage.check(&"p1".into(), resource, delta, limit);
        assert_eq!(check(Resource::SizeTotal, 1, 3), Ok(()), "2 MiB and a bit");
        assert!(check(Resource::SizeTotal, 2, 3).is_err());
        assert_eq!(check(Resource::StageTotal, 0, 0), Ok(()));
        assert_eq!(check(Resource::CountTotal, u64::MAX, -1), Ok(()));
        let words = check(Resource::CountTotal, 1, 1).unwrap_err().to_string();
        assert!(
            words.ends_with(
                "Project p1 is over a limit for [Resource image_count_total is over limit of 1 due to current usage 1 and \
                 delta 1]"
            ),
            "{words}"
        );
    }
}
