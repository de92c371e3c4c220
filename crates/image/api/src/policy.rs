//! Policy rules by name, and what they are asked about: the stored image.

use base::RequestContext;
use base::policy::{Enforcer, PolicyError, Target};
use image_model::{Image, Visibility};
use platform_http::Fault;

pub(crate) const ADD_IMAGE: &str = "add_image";
pub(crate) const DELETE_IMAGE: &str = "delete_image";
pub(crate) const GET_IMAGE: &str = "get_image";
pub(crate) const GET_IMAGES: &str = "get_images";
pub(crate) const MODIFY_IMAGE: &str = "modify_image";
pub(crate) const PUBLICIZE_IMAGE: &str = "publicize_image";
pub(crate) const COMMUNITIZE_IMAGE: &str = "communitize_image";
pub(crate) const DOWNLOAD_IMAGE: &str = "download_image";
pub(crate) const DOWNLOAD_FROM_STORE: &str = "download_from_store";
pub(crate) const COPY_IMAGE: &str = "copy_image";
pub(crate) const UPLOAD_IMAGE: &str = "upload_image";
pub(crate) const ADD_LOCATION: &str = "add_image_location";
pub(crate) const FETCH_LOCATION: &str = "fetch_image_location";
pub(crate) const GET_IMAGE_LOCATION: &str = "get_image_location";
pub(crate) const DELETE_IMAGE_LOCATION: &str = "delete_image_location";
pub(crate) const STORES_INFO_DETAIL: &str = "stores_info_detail";
pub(crate) const ADD_MEMBER: &str = "add_member";
pub(crate) const DELETE_MEMBER: &str = "delete_member";
pub(crate) const GET_MEMBER: &str = "get_member";
pub(crate) const GET_MEMBERS: &str = "get_members";
pub(crate) const MODIFY_MEMBER: &str = "modify_member";
pub(crate) const DEACTIVATE: &str = "deactivate";
pub(crate) const REACTIVATE: &str = "reactivate";
pub(crate) const CACHE_IMAGE: &str = "cache_image";
pub(crate) const CACHE_LIST: &str = "cache_list";
pub(crate) const CACHE_DELETE: &str = "cache_delete";
pub(crate) const CACHE_CLEAN: &str = "cache_clean";
pub(crate) const CACHE_PRUNE: &str = "cache_prune";
pub(crate) const LIST_CACHED_NODES: &str = "list_cached_nodes";
pub(crate) const TASKS_API_ACCESS: &str = "tasks_api_access";

const RULES: &str = include_str!("../policies/image.json");

/// Glance's own rules. An operator's file goes over them.
pub fn default_policy() -> Result<Enforcer, PolicyError> {
    Enforcer::from_json(RULES)
}

/// The image as rules see it. `member_id` is the caller's project where it can only be there as a member.
pub(crate) fn target(cx: &RequestContext, image: &Image) -> Target {
    let as_member =
        cx.project_id().filter(|p| image.visibility == Visibility::Shared && image.owner.as_ref() != Some(*p));
    Target::new()
        .with("id", &image.id)
        .with("image_id", &image.id)
        .with("name", image.name.as_ref())
        .with("project_id", image.owner.as_ref())
        .with("owner", image.owner.as_ref())
        .with("member_id", as_member)
        .with("visibility", image.visibility.as_str())
        .with("status", image.status.as_str())
        .with("protected", image.protected)
        .with("os_hidden", image.os_hidden)
        .with("disk_format", image.disk_format.map(|f| f.as_str()))
        .with("container_format", image.container_format.map(|f| f.as_str()))
}

/// The rule that a visibility needs beside the one for changing the image at all.
pub(crate) fn rule_for(visibility: Visibility) -> Option<&'static str> {
    match visibility {
        Visibility::Public => Some(PUBLICIZE_IMAGE),
        Visibility::Community => Some(COMMUNITIZE_IMAGE),
        Visibility::Private | Visibility::Shared => None,
    }
}

pub(crate) fn denied(rule: &str) -> Fault {
    Fault::forbidden(format!("You are not authorized to complete {rule} action."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform_http::Access;

    /// Routes with a token and without a rule, as with Glance: they answer everybody alike.
    const WITHOUT_RULES: [&str; 5] = [
        "GET /v2/info/import",
        "GET /v2/info/stores",
        // of the caller's own project
        "GET /v2/info/usage",
        "GET /v2/schemas/metadefs/{name}",
        "GET /v2/schemas/{name}",
    ];

    #[test]
    fn every_route_names_its_rules() {
        let bare = |r: &platform_http::Route<_>| r.policies.is_empty() && r.access != Access::Open;
        let routes = crate::table();
        let mut without: Vec<String> =
            routes.iter().filter(|r| bare(r)).map(|r| format!("{} {}", r.method, r.path)).collect();
        without.sort();
        assert_eq!(without, WITHOUT_RULES, "those that name no rule");
    }

    #[test]
    fn the_rules_that_are_asked_exist() {
        let enforcer = default_policy().unwrap();
        assert_eq!(enforcer.undefined().count(), 0);
        let names: Vec<&str> = enforcer.rule_names().collect();
        for route in crate::table() {
            for rule in route.policies {
                assert!(names.contains(rule), "{} {} asks {rule}", route.method, route.path);
            }
        }
    }
}
