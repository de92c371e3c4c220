//! `GET /limits`: what a project may have and what it has.

use crate::ComputeApi;
use compute_store::quota_limits::LimitsOf;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Map, json};

const LIMITS: &str = "os_compute_api:limits";
const OTHER_PROJECT: &str = "os_compute_api:limits:other_project";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![Route::get("/limits", index).policy(&[LIMITS, OTHER_PROJECT]).schema("limits.index")]
}

/// Resource, its name in the answer, and the microversion (2.N) that took it away.
const ABSOLUTE: &[(&str, &str, Option<u16>)] = &[
    ("ram", "maxTotalRAMSize", None),
    ("instances", "maxTotalInstances", None),
    ("cores", "maxTotalCores", None),
    ("key_pairs", "maxTotalKeypairs", None),
    ("floating_ips", "maxTotalFloatingIps", Some(36)),
    ("metadata_items", "maxServerMeta", None),
    ("metadata_items", "maxImageMeta", Some(39)),
    ("injected_files", "maxPersonality", Some(57)),
    ("injected_file_content_bytes", "maxPersonalitySize", Some(57)),
    ("security_groups", "maxSecurityGroups", Some(36)),
    ("security_group_rules", "maxSecurityGroupRules", Some(36)),
    ("server_groups", "maxServerGroups", None),
    ("server_group_members", "maxServerGroupMembers", None),
];

/// The same for what is used. Networks' resources are counted by the network service, never here.
const USED: &[(&str, &str, Option<u16>)] = &[
    ("ram", "totalRAMUsed", None),
    ("cores", "totalCoresUsed", None),
    ("instances", "totalInstancesUsed", None),
    ("floating_ips", "totalFloatingIpsUsed", Some(36)),
    ("security_groups", "totalSecurityGroupsUsed", Some(36)),
    ("server_groups", "totalServerGroupsUsed", None),
];

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, LIMITS)?;
    let project = match call.query.last("tenant_id") {
        Some(other) => {
            api.allow_own(&call.cx, OTHER_PROJECT)?;
            other
        }
        None => call.cx.project_id().map(|p| p.as_str()).unwrap_or_default(),
    };
    let limits = api.limits(LimitsOf::Project(project)).await?;
    let used = api.usage(project).await?;
    let shown = |gone: &Option<u16>| gone.is_none_or(|minor| !call.since(2, minor));
    let mut absolute = Map::new();
    for (resource, name, _) in ABSOLUTE.iter().filter(|(_, _, gone)| shown(gone)) {
        absolute.insert((*name).to_owned(), json!(limits.get(resource)));
    }
    for (resource, name, _) in USED.iter().filter(|(_, _, gone)| shown(gone)) {
        absolute.insert((*name).to_owned(), json!(used.get(*resource).copied().unwrap_or(0)));
    }
    Ok(Reply::json(200, &json!({"limits": {"rate": [], "absolute": absolute}})))
}
