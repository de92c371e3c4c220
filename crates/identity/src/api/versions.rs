//! Version documents, and the JSON home that says which resources there are.

use super::kit::{Answer, to};
use crate::Identity;
use platform_http::{Call, Reply, Route};
use serde_json::{Map, Value, json};

/// When v3.14 came.
const UPDATED: &str = "2020-04-07T00:00:00Z";
const JSON_HOME: &str = "application/json-home";

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![Route::get("/", to(versions)).open(), Route::get("/v3", to(version)).open()]
}

async fn versions(_: Identity, call: Call) -> Answer {
    if wants_json_home(&call) {
        return Ok(json_home("/v3"));
    }
    let at = format!("{}/v3/", call.root_url);
    Ok(Reply::json(300, &json!({"versions": {"values": [v3(&at)]}})).location(&at).header("vary", "X-Auth-Token"))
}

async fn version(_: Identity, call: Call) -> Answer {
    if wants_json_home(&call) {
        return Ok(json_home(""));
    }
    let at = format!("{}/v3/", call.root_url);
    Ok(Reply::json(200, &json!({"version": v3(&at)})).header("vary", "X-Auth-Token"))
}

fn v3(at: &str) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": UPDATED,
        "links": [{"rel": "self", "href": at}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

fn wants_json_home(call: &Call) -> bool {
    call.header("accept").is_some_and(|a| a.split(',').any(|t| t.trim().starts_with(JSON_HOME)))
}

/// Resources by their relation, made from the table of routes: nothing is listed that is not there.
fn json_home(prefix: &str) -> Reply {
    let mut resources = Map::new();
    for route in super::routes() {
        let Some(relative) = route.path.strip_prefix("/v3").filter(|p| !p.is_empty()) else { continue };
        let name = relation(relative);
        let href = format!("{prefix}{relative}");
        let params = parameters(relative);
        let resource = if params.is_empty() {
            json!({"href": href})
        } else {
            let vars: Map<String, Value> = params
                .iter()
                .map(|p| {
                    ((*p).to_owned(), json!(format!("https://docs.openstack.org/api/openstack-identity/3/param/{p}")))
                })
                .collect();
            json!({"href-template": href, "href-vars": vars})
        };
        resources.insert(format!("https://docs.openstack.org/api/openstack-identity/3/rel/{name}"), resource);
    }
    let bytes = json!({"resources": resources}).to_string();
    Reply::bytes(200, JSON_HOME, bytes).header("vary", "Accept")
}

fn parameters(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect()
}

/// `/users/{user_id}/projects` is `user_projects`, `/users/{user_id}` is `user`.
fn relation(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let mut words = Vec::new();
    for (i, segment) in segments.iter().enumerate() {
        if segment.starts_with('{') {
            continue;
        }
        let followed = segments.get(i + 1).is_some_and(|next| next.starts_with('{'));
        let word = segment.replace('-', "_");
        words.push(if followed { singular(&word) } else { word });
    }
    words.join("_")
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_named_as_keystone_names_them() {
        for (path, name) in [
            ("/users", "users"),
            ("/users/{user_id}", "user"),
            ("/users/{user_id}/projects", "user_projects"),
            ("/auth/tokens", "auth_tokens"),
            ("/policies/{policy_id}", "policy"),
        ] {
            assert_eq!(relation(path), name);
        }
    }
}
