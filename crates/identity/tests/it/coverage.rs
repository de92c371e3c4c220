//! Every route against somebody who may do nothing.

use crate::world::{on_each, password};
use serde_json::{Value, json};

/// Rules that allow everybody with a token.
const FOR_ALL: &[&str] = &[
    "identity:get_auth_catalog",
    "identity:get_auth_projects",
    "identity:get_auth_domains",
    "identity:get_auth_system",
    "identity:list_regions",
    "identity:get_region",
    "identity:list_registered_limits",
    "identity:get_registered_limit",
    "identity:list_limits",
    // their own, which are none
    "identity:list_credentials",
    "identity:get_limit_model",
];

/// Rules that let people look after what is their own: the path must name somebody else.
const MUST_BE_FOREIGN: &str = "0123456789abcdef0123456789abcdef";

/// A body that passes the route's schema, so that the rule and not the body is what refuses.
pub(crate) fn body(schema: Option<&str>) -> Value {
    match schema {
        Some("users.create") => json!({"user": {"name": "x"}}),
        Some("users.update") => json!({"user": {"name": "x"}}),
        Some("groups.create" | "groups.update") => json!({"group": {"name": "x"}}),
        Some("domains.create" | "domains.update") => json!({"domain": {"name": "x"}}),
        Some("projects.create" | "projects.update") => json!({"project": {"name": "x"}}),
        Some("projects.tags") => json!({"tags": []}),
        Some("roles.create" | "roles.update") => json!({"role": {"name": "x"}}),
        Some("regions.create" | "regions.update") => json!({"region": {"description": "x"}}),
        Some("services.create" | "services.update") => json!({"service": {"type": "x"}}),
        Some("endpoints.create" | "endpoints.update") => {
            json!({"endpoint": {"interface": "public", "service_id": MUST_BE_FOREIGN, "url": "http://x"}})
        }
        Some("endpoint_groups.create" | "endpoint_groups.update") => {
            json!({"endpoint_group": {"name": "x", "filters": {}}})
        }
        Some("credentials.create") => {
            json!({"credential": {"blob": "x", "type": "cert", "user_id": MUST_BE_FOREIGN}})
        }
        Some("credentials.update") => json!({"credential": {"blob": "x"}}),
        Some("policies.create" | "policies.update") => json!({"policy": {"blob": "x", "type": "x"}}),
        Some("registered_limits.create") => json!({"registered_limits": [
            {"service_id": MUST_BE_FOREIGN, "resource_name": "x", "default_limit": 1}]}),
        Some("registered_limits.update") => json!({"registered_limit": {"default_limit": 1}}),
        Some("limits.create") => json!({"limits": [{"service_id": MUST_BE_FOREIGN, "resource_name": "x",
            "resource_limit": 1, "project_id": MUST_BE_FOREIGN}]}),
        Some("limits.update") => json!({"limit": {"resource_limit": 1}}),
        Some("application_credentials.create") => json!({"application_credential": {"name": "x"}}),
        Some("trusts.create") => json!({"trust": {"trustor_user_id": MUST_BE_FOREIGN,
            "trustee_user_id": MUST_BE_FOREIGN, "impersonation": false, "project_id": null}}),
        Some(query) if query.ends_with(".list") => Value::Null,
        Some(other) => panic!("no body for {other}"),
        None => Value::Null,
    }
}

pub(crate) fn fill_in(path: &str) -> String {
    let named = |s: &str| match s {
        "{group}" if path.contains("/config") => "identity".to_owned(),
        "{option}" => "driver".to_owned(),
        s if s.starts_with('{') => MUST_BE_FOREIGN.to_owned(),
        s => s.to_owned(),
    };
    path.split('/').map(named).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn somebody_without_any_role_gets_403_wherever_there_is_a_rule() {
    on_each(|w| async move {
        let admin = w.admin().await;
        w.user(&admin, "nobody", None).await;
        let nobody = w.token(password("nobody", "nobody"), Value::Null).await;
        let mut refused = 0;
        let routes: Vec<_> = w.service.table().cloned().collect();
        for route in routes {
            if route.policies.is_empty() {
                continue;
            }
            let path = fill_in(route.path);
            let body = body(route.schema);
            let mut headers = vec![("x-auth-token", &*nobody)];
            if route.path == "/v3/auth/tokens" {
                headers.push(("x-subject-token", &*admin));
            }
            let what = format!("{} {}", route.method, route.path);
            let reply = w.call(route.method.as_str(), &path, &headers, &body).await;
            let for_all = route.policies.iter().all(|p| FOR_ALL.contains(p));
            // a trust is looked up before it is asked about, as Keystone does
            let trust = route.path.starts_with("/v3/OS-TRUST/trusts/{trust_id}");
            match reply.status {
                403 => refused += 1,
                200 | 404 if for_all => {}
                404 if trust => {}
                other => panic!("{what}: {other} {}", reply.body),
            }
            let bare = w.call(route.method.as_str(), &path, &[], &body).await;
            assert_eq!(bare.status, 401, "{what} without a token");
        }
        assert!(refused > 150, "{refused}");
    })
    .await;
}
