//! Who sees an image.

use crate::{Image, Visibility};
use base::{ProjectId, RequestContext};
use serde::{Deserialize, Serialize};

/// For whom images are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    pub project: Option<ProjectId>,
    /// Sees everything.
    pub admin: bool,
}

impl Viewer {
    /// The cloud itself.
    pub fn cloud() -> Self {
        Self { project: None, admin: true }
    }
    pub fn of(cx: &RequestContext) -> Self {
        Self { project: cx.project_id().cloned(), admin: cx.is_admin() }
    }
}

/// Whether `viewer` may know of the image when naming it by its id. `member`: the image has been shared with the
/// viewer's project, whatever the project answered to that.
pub fn sees(viewer: &Viewer, image: &Image, member: bool) -> bool {
    viewer.admin
        || image.owner.is_none()
        || matches!(image.visibility, Visibility::Public | Visibility::Community)
        || viewer.project.is_some() && viewer.project == image.owner
        || image.visibility == Visibility::Shared && member
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::create::tests::image;

    #[test]
    fn by_id() {
        let viewer = |project: Option<&str>, admin| Viewer { project: project.map(ProjectId::from), admin };
        let owner = viewer(Some("owner"), false);
        let other = viewer(Some("other"), false);
        let nobody = viewer(None, false);
        for v in Visibility::ALL {
            let mut image = image();
            image.owner = Some("owner".into());
            image.visibility = *v;
            let open = matches!(v, Visibility::Public | Visibility::Community);
            assert!(sees(&owner, &image, false), "{v}");
            assert!(sees(&viewer(None, true), &image, false), "{v}");
            assert_eq!(sees(&other, &image, false), open, "{v}");
            assert_eq!(sees(&nobody, &image, false), open, "{v}");
            assert_eq!(sees(&other, &image, true), open || *v == Visibility::Shared, "{v}");
            image.owner = None;
            assert!(sees(&nobody, &image, false), "{v}");
        }
    }
}
