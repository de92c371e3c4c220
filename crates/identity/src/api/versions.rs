//! Version documents, and the JSON home that says which resources there are.

use super::kit::{Answer, to};
use crate::Identity;
use platform_http::{Call, Reply, Route};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

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
    Ok(Reply::json(300, &json!({"versions": {"values": [v3(&at)]}})).location(&at))
}

async fn version(_: Identity, call: Call) -> Answer {
    if wants_json_home(&call) {
        return Ok(json_home(""));
    }
    let at = format!("{}/v3/", call.root_url);
    Ok(Reply::json(200, &json!({"version": v3(&at)})))
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

/// What documents of relations and parameters begin with.
const RELATIONS: &str = "https://docs.openstack.org/api/openstack-identity/3/";

/// Keystone's names of those of its resources that are here.
static RESOURCES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../data/json_home.json")).unwrap_or_default());

/// Resources by their relation.
fn json_home(prefix: &str) -> Reply {
    let mut resources = Map::new();
    for (relation, resource) in &*RESOURCES {
        let mut resource = resource.clone();
        for key in ["href", "href-template"] {
            if let Some(path) = resource[key].as_str() {
                resource[key] = json!(format!("{prefix}{path}"));
            }
        }
        for parameter in resource.get_mut("href-vars").and_then(Value::as_object_mut).into_iter().flatten() {
            *parameter.1 = json!(format!("{RELATIONS}{}", parameter.1.as_str().unwrap_or_default()));
        }
        resources.insert(format!("{RELATIONS}{relation}"), resource);
    }
    Reply::bytes(200, JSON_HOME, json!({"resources": resources}).to_string()).header("vary", "Accept")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// `/users/{}/projects`: parameters have other names here.
    fn shape(path: &str) -> String {
        let segment = |s: &str| if s.starts_with('{') { "{}".to_owned() } else { s.to_owned() };
        path.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn the_home_lists_what_there_is() {
        let listed: BTreeSet<String> = RESOURCES
            .values()
            .map(|r| shape(r["href"].as_str().or(r["href-template"].as_str()).unwrap_or_default()))
            .collect();
        let routes: BTreeSet<String> =
            super::super::routes().iter().filter_map(|r| Some(shape(r.path.strip_prefix("/v3")?))).collect();
        let not_there: Vec<_> = listed.difference(&routes).collect();
        assert!(not_there.is_empty(), "{not_there:?}");
        // Keystone's home does not list these either
        let unlisted: Vec<&str> = routes.difference(&listed).map(String::as_str).collect();
        assert_eq!(
            unlisted,
            [
                "",
                "/OS-INHERIT/projects/{}/groups/{}/roles/inherited_to_projects",
                "/OS-INHERIT/projects/{}/users/{}/roles/inherited_to_projects",
                "/projects/{}/tags",
            ]
        );
    }
}
