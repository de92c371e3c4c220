//! `/usages` and `/resource_providers/{uuid}/usages`.

use super::faults::db;
use super::{Api, input, reply};
use crate::store::{self, KindFilter, UsageFilter};
use base::policy::Target;
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

/// Consumers whose type was never told.
const UNKNOWN: &str = "unknown";

pub(super) async fn of_provider(api: Api, call: Call) -> Result<Reply, Fault> {
    let provider = store::provider_get(&api.placement.db, input::provider(&call)?).await?;
    let used = store::usage_of_provider(&api.placement.db, provider.id).await.map_err(db)?;
    let usages: Map<String, Value> = used.into_iter().map(|(class, n)| (class, json!(n))).collect();
    let body = json!({"resource_provider_generation": provider.generation, "usages": usages});
    Ok(reply::json(&call, 200, &body, None))
}

/// A reader of the project may ask, too.
pub(super) async fn of_project(api: Api, call: Call) -> Result<Reply, Fault> {
    let asked = call.query.last("project_id");
    api.allow(&call, "placement:usages", &Target::new().with("project_id", asked))?;
    input::check_query(&call, &[((1, 38), "GET_USAGES_SCHEMA_V1_38"), ((1, 9), "GET_USAGES_SCHEMA_1_9")])?;
    let kind = match call.query.last("consumer_type") {
        None | Some("all") => KindFilter::Any,
        Some(UNKNOWN) => KindFilter::Unknown,
        Some(kind) => KindFilter::Is(kind.to_owned()),
    };
    let filter = UsageFilter {
        project: asked.unwrap_or_default().to_owned(),
        user: call.query.last("user_id").map(str::to_owned),
        kind,
    };
    let used = store::usage_of_project(&api.placement.db, &filter).await.map_err(db)?;
    let mut usages: Map<String, Value> = Map::new();
    if !call.since(1, 38) {
        for u in used {
            let sum = usages.get(&u.resource_class).and_then(Value::as_i64).unwrap_or(0) + u.used;
            usages.insert(u.resource_class, json!(sum));
        }
        return Ok(reply::json(&call, 200, &json!({"usages": usages}), None));
    }
    // asked for all of them together, they are told together
    let together = call.query.last("consumer_type") == Some("all");
    let name = |kind: Option<String>| match (together, kind) {
        (true, _) => "all".to_owned(),
        (false, kind) => kind.unwrap_or_else(|| UNKNOWN.to_owned()),
    };
    let counts = store::consumer_count(&api.placement.db, &filter).await.map_err(db)?;
    let counted = counts.into_iter().map(|(kind, n)| (name(kind), "consumer_count".to_owned(), n));
    let summed = used.into_iter().map(|u| (name(u.consumer_type), u.resource_class, u.used));
    for (kind, what, n) in summed.chain(counted) {
        let of_kind = usages.entry(kind).or_insert_with(|| json!({}));
        let sum = of_kind[&what].as_i64().unwrap_or(0) + n;
        of_kind[&what] = json!(sum);
    }
    Ok(reply::json(&call, 200, &json!({"usages": usages}), None))
}
