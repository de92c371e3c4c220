//! Who may call what, over the whole table of routes: each names its rules; a token without roles gets nowhere that a
//! rule protects, and an admin is refused nowhere.

use crate::world::{NOBODY, OWN_ADMIN, PROJECT, World};
use base::policy::Target;
use compute_api::{ComputeApi, MICROVERSIONS, default_policy, routes};
use http::Method;
use platform_http::schema::Schema;
use platform_http::{Access, Route};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// Routes with a token and without a rule, as with Nova: they answer everybody alike.
const WITHOUT_RULES: &[&str] = &[
    "GET /flavors",
    // what the caller's token shows of the image service
    "GET /images",
    "GET /images/detail",
    "GET /images/{id}",
    "DELETE /images/{id}",
    "GET /images/{id}/metadata",
    "POST /images/{id}/metadata",
    "PUT /images/{id}/metadata",
    "GET /images/{id}/metadata/{key}",
    "PUT /images/{id}/metadata/{key}",
    "DELETE /images/{id}/metadata/{key}",
    "GET /versions/{id}",
    // refused for everybody
    "POST /os-baremetal-nodes",
    "DELETE /os-baremetal-nodes/{id}",
    "POST /os-baremetal-nodes/{id}/action (add_interface)",
    "POST /os-baremetal-nodes/{id}/action (remove_interface)",
];

/// Rules that only decide what an answer shows.
const ONLY_SHOWN: &[(&str, &str)] = &[
    ("/flavors/detail", "os_compute_api:os-flavor-extra-specs:index"),
    ("/flavors/{id}", "os_compute_api:os-flavor-extra-specs:index"),
];

fn named(route: &Route<ComputeApi>) -> String {
    let action = route.action.map(|a| format!(" ({a})")).unwrap_or_default();
    format!("{} {}{action}", route.method, route.path)
}

/// The first version that has the route.
fn minor(route: &Route<ComputeApi>) -> u16 {
    route.versions.min.max(MICROVERSIONS.min).minor
}

/// Sends the route's request with a body that its schema takes, at ids that exist.
async fn send(w: &World, token: &'static str, route: &Route<ComputeApi>, ids: &Ids) -> u16 {
    let path = ids.fill(route.path);
    let body = body(route);
    let body = (route.method == Method::POST || route.method == Method::PUT).then_some(body);
    let query = if route.path == "/os-assisted-volume-snapshots/{id}" { "?delete_info={}" } else { "" };
    let caller = w.as_(token).at(minor(route));
    let answer = caller.send(route.method.as_str(), &format!("{path}{query}"), body).await;
    assert_ne!(answer.status, 500, "{}: {}", named(route), answer.body);
    answer.status
}

struct Ids(HashMap<&'static str, String>);

impl Ids {
    /// Ids by the first word of the path.
    async fn of(w: &World, token: &'static str) -> Self {
        let admin = w.as_(token);
        let server = admin.created(json!({"metadata": {"k": "v"}})).await;
        w.all_active().await;
        let group = json!({"server_group": {"name": "g", "policy": "affinity"}});
        let group = admin.post("/os-server-groups", group).await.expect(200);
        let aggregate = admin.post("/os-aggregates", json!({"aggregate": {"name": "a"}})).await.expect(200);
        Self(HashMap::from([
            ("servers", server),
            ("flavors", "1".to_owned()),
            ("os-server-groups", group["server_group"]["id"].as_str().unwrap().to_owned()),
            ("os-aggregates", aggregate["aggregate"]["id"].to_string()),
            ("os-hypervisors", "1".to_owned()),
            ("os-hosts", "h1".to_owned()),
            ("os-quota-sets", PROJECT.to_owned()),
            ("os-simple-tenant-usage", PROJECT.to_owned()),
            ("os-services", "enable".to_owned()),
            ("os-instance_usage_audit_log", "2012-07-01%2010:00:00".to_owned()),
        ]))
    }

    fn fill(&self, path: &str) -> String {
        let resource = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let id = self.0.get(resource).map_or("x", String::as_str);
        let filled = path.replacen("{id}", id, 1);
        filled.split('/').map(|word| if word.starts_with('{') { "x" } else { word }).collect::<Vec<_>>().join("/")
    }
}

/// The least body the route's schema takes.
fn body(route: &Route<ComputeApi>) -> Value {
    let schema = route.schema.and_then(|prefix| body_schema(prefix, minor(route)));
    let made = schema.map_or(Value::Null, |schema| least(&schema));
    match (route.action, made) {
        (Some(action), Value::Object(o)) if o.contains_key(action) => Value::Object(o),
        (Some(action), _) => json!({action: null}),
        (None, made) => made,
    }
}

/// The request schema `prefix` at a version, from the files.
fn body_schema(prefix: &str, minor: u16) -> Option<Value> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let of = |v: &str| if v == "latest" { u16::MAX } else { v.trim_start_matches("2.").parse().unwrap() };
    let files = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap());
    let found = files.into_iter().find(|f| {
        let name = f.file_name().into_string().unwrap();
        let range = name.strip_suffix(".json").and_then(|n| n.strip_prefix(prefix)).and_then(|n| n.strip_prefix('.'));
        let range = range.filter(|r| r.starts_with("2.")).and_then(|r| r.split_once('-'));
        range.is_some_and(|(from, to)| of(from) <= minor && minor <= of(to))
    })?;
    Some(serde_json::from_slice(&std::fs::read(found.path()).unwrap()).unwrap())
}

/// Values of every kind that schemas ask for; the first that fits is taken.
fn candidates() -> Vec<Value> {
    let uuid = "5aaee3c3-12ba-7633-b32b-635be6236232";
    vec![
        json!(null),
        json!("h1"),
        json!("a"),
        json!("1"),
        json!(uuid),
        json!("1.2.3.4"),
        json!("http://a.b/c"),
        json!("2012-01-01T00:00:00"),
        json!("network-changed"),
        json!(1),
        json!(true),
        json!([]),
        json!({}),
        json!([uuid]),
        json!(["anti-affinity"]),
    ]
}

fn least(schema: &Value) -> Value {
    if schema.is_null() {
        return json!("a");
    }
    if let Some(first) = schema["enum"].as_array().and_then(|e| e.first()) {
        return first.clone();
    }
    if schema["properties"].is_object() || schema["patternProperties"].is_object() {
        return least_object(schema);
    }
    if schema["items"].is_object() && schema["minItems"].is_number() {
        return json!([least(&schema["items"])]);
    }
    candidates().into_iter().find(|c| fits(schema, c)).unwrap_or(Value::Null)
}

/// What is required; else one more property; else all of them.
fn least_object(schema: &Value) -> Value {
    let of = |key: &str| schema[key].as_object().into_iter().flatten();
    let known: Vec<(&str, &Value)> = of("properties")
        .map(|(key, s)| (key.as_str(), s))
        .chain(of("patternProperties").map(|(_, s)| ("x", s)))
        .collect();
    let object = |wanted: &dyn Fn(&str) -> bool| -> Value {
        known.iter().filter(|(key, _)| wanted(key)).map(|(key, s)| ((*key).to_owned(), least(s))).collect()
    };
    let required = |key: &str| schema["required"].as_array().is_some_and(|r| r.iter().any(|r| r == key));
    let mut tries = vec![object(&required)];
    tries.extend(known.iter().map(|(more, _)| object(&|key| required(key) || key == *more)));
    tries.push(object(&|_| true));
    let first = tries[0].clone();
    tries.into_iter().find(|object| fits(schema, object)).unwrap_or(first)
}

fn fits(schema: &Value, value: &Value) -> bool {
    Schema::from_value(schema.clone()).first_finding(value).is_none()
}

#[test]
fn every_route_names_its_rules() {
    let mut without = Vec::new();
    for route in routes() {
        if route.policies.is_empty() && route.access == Access::Token && !is_gone(&route) {
            without.push(named(&route));
        }
    }
    without.sort();
    let mut known = WITHOUT_RULES.to_vec();
    known.sort_unstable();
    assert_eq!(without, known, "those that name no rule");
}

/// Whether the route answers everybody with 410: as the table in its source says.
fn is_gone(route: &Route<ComputeApi>) -> bool {
    let word = route.action.map_or(format!("Method::{}", route.method), |action| format!("\"{action}\""));
    let table = include_str!("../../src/gone/mod.rs").lines();
    table.filter(|line| line.contains(&format!("(\"{}\",", route.path))).any(|line| line.contains(&word))
}

#[tokio::test]
async fn without_roles_nothing_that_is_protected_opens() {
    let w = World::new().await;
    w.host("h1").await;
    let ids = Ids::of(&w, OWN_ADMIN).await;
    let enforcer = default_policy().unwrap();
    let cx = w.context(NOBODY).await;
    let own = Target::new().with("project_id", PROJECT).with("user_id", "nobody");
    let mut protected = 0;
    for route in routes() {
        let Some(first) = route.policies.first() else { continue };
        if enforcer.allows(first, &cx, &own)
            || ONLY_SHOWN.contains(&(route.path, *first)) && route.method == Method::GET
        {
            continue;
        }
        let status = send(&w, NOBODY, &route, &ids).await;
        assert!(matches!(status, 403 | 404), "{}: {status}", named(&route));
        protected += usize::from(status == 403);
    }
    assert!(protected > 90, "only {protected} routes were refused by a rule");
}

#[tokio::test]
async fn admins_are_refused_nowhere() {
    let w = World::new().await;
    w.host("h1").await;
    let last = |route: &Route<ComputeApi>| route.method == Method::DELETE;
    let mut table = routes();
    table.sort_by_key(last);
    for route in table {
        if route.access == Access::Open {
            continue;
        }
        w.flavor("1", 1, 512, 1).await;
        let ids = Ids::of(&w, OWN_ADMIN).await;
        let status = send(&w, OWN_ADMIN, &route, &ids).await;
        assert!(!matches!(status, 401 | 403), "{}: {status}", named(&route));
        assert_eq!(status == 410, is_gone(&route), "{}: {status}", named(&route));
        w.sql("UPDATE instances SET deleted_at = 1 WHERE deleted_at IS NULL").await;
        for table in ["quota_usage", "quota_limits", "quota_classes", "server_groups", "aggregates"] {
            w.sql(&format!("DELETE FROM {table}")).await;
        }
        w.host("h1").await;
    }
}
