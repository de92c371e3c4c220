//! `/v2/metadefs/resource_types`

use super::allow_any;
use crate::{Glance, fault};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

/// `GET /v2/metadefs/resource_types`
pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    allow_any(&glance, &call.cx, "list_metadef_resource_types")?;
    let all = glance.registry.resource_types().await.map_err(fault::of_registry)?;
    let shown: Vec<Value> = all
        .iter()
        .map(|t| {
            json!({
                "name": t.name, "created_at": t.created_at.seconds_z(), "updated_at": t.updated_at.seconds_z(),
            })
        })
        .collect();
    Ok(Reply::json(200, &json!({"resource_types": shown})))
}
