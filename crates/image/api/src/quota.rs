//! Unified limits of the caller's project, where the operator wants them kept.

use crate::{Glance, fault};
use base::ProjectId;
use image_model::Resource;
use platform_http::{Allowed, Call, Fault, LimitsUnavailable, Reply};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const SERVICE_TYPE: &str = "image";

/// 413 if the project would have more of it than it may. Who acts for no project has no limits.
///
/// Asked before what `delta` is for; of what counts already, as an image in state `saving` does, `delta` is 0. Two who
/// come at once may both find room, or both none, as in Glance.
pub(crate) async fn enforce(
    glance: &Glance,
    project: Option<&ProjectId>,
    resource: Resource,
    delta: u64,
) -> Result<(), Fault> {
    let Some((project, allowed)) = allowed(glance, project).await? else { return Ok(()) };
    let limit = allowed.of(resource.as_str());
    if limit < 0 {
        return Ok(());
    }
    let usage = glance.registry.usage_show(project.clone()).await.map_err(fault::of_registry)?;
    usage.check(project, resource, delta, limit).map_err(|refusal| {
        tracing::info!(%project, "{refusal}");
        fault::of(refusal)
    })
}

/// `None`: nothing is limited.
async fn allowed<'p>(
    glance: &Glance,
    project: Option<&'p ProjectId>,
) -> Result<Option<(&'p ProjectId, Arc<Allowed>)>, Fault> {
    let (Some(limits), Some(project)) = (&glance.unified_limits, project) else { return Ok(None) };
    let allowed = limits.allowed(SERVICE_TYPE, project).await.map_err(unavailable)?;
    Ok(Some((project, allowed)))
}

fn unavailable(error: LimitsUnavailable) -> Fault {
    tracing::error!(%error, "unified limits");
    Fault::unavailable("The project's limits cannot be asked for; try again.")
}

/// `GET /v2/info/usage`: of each resource what the caller's project has and may have.
pub(crate) async fn usage(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let mut out = Map::new();
    if let Some((project, allowed)) = allowed(&glance, call.cx.project_id()).await? {
        let usage = glance.registry.usage_show(project.clone()).await.map_err(fault::of_registry)?;
        for resource in Resource::ALL {
            let name = resource.as_str();
            out.insert(name.to_owned(), json!({"usage": usage.of(resource), "limit": allowed.of(name)}));
        }
    }
    Ok(Reply::json(200, &json!({ "usage": Value::Object(out) })))
}
