//! The REST API: one table of routes, made of each resource's own.

mod application_credentials;
mod audited;
mod consumers;
mod credentials;
mod delegation;
mod domain_config;
mod domains;
mod ec2tokens;
mod endpoint_filter;
mod endpoints;
mod grants;
mod groups;
mod inferences;
mod kit;
mod limits;
mod policies;
mod project_tags;
mod projects;
mod regions;
mod registered_limits;
mod revoke_events;
mod role_assignments;
mod roles;
mod scopes;
mod services;
mod tokens;
mod trusts;
mod users;
mod versions;

pub(crate) use credentials::id_of_access_key;

use crate::Identity;
use crate::schema;
use base::policy::Target;
use platform_http::{Fault, Method, Reply, Route};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn routes() -> Vec<Route<Identity>> {
    let all = [
        versions::routes(),
        tokens::routes(),
        ec2tokens::routes(),
        scopes::routes(),
        domains::routes(),
        domain_config::routes(),
        projects::routes(),
        project_tags::routes(),
        users::routes(),
        groups::routes(),
        roles::routes(),
        inferences::routes(),
        grants::routes(),
        role_assignments::routes(),
        regions::routes(),
        services::routes(),
        endpoints::routes(),
        endpoint_filter::routes(),
        credentials::routes(),
        application_credentials::routes(),
        trusts::routes(),
        policies::routes(),
        registered_limits::routes(),
        limits::routes(),
        revoke_events::routes(),
        consumers::routes(),
    ];
    all.into_iter().flatten().map(checked).map(audited::audited).collect()
}

/// Puts the check of the route's schema before its handler: of the query where things are listed, else of the body.
fn checked(route: Route<Identity>) -> Route<Identity> {
    let Some(name) = route.schema else { return route };
    assert!(schema::exists(name), "no schema {name}");
    let handler = route.handler.clone();
    let checked = Arc::new(move |me: Identity, call: platform_http::Call| {
        let handler = handler.clone();
        let work: futures_util::future::BoxFuture<'static, Result<Reply, Fault>> = Box::pin(async move {
            match (&call.method, call.json()) {
                (&Method::GET | &Method::HEAD, _) => schema::check_query(name, &call.query)?,
                // no body is an empty one
                (_, Value::Null) => schema::check(name, &json!({}))?,
                (_, body) => schema::check(name, body)?,
            }
            handler(me, call).await
        });
        work
    });
    Route { handler: checked, ..route }
}

/// For rules that look at the token only: asked before the handler runs.
fn guarded(route: Route<Identity>) -> Route<Identity> {
    let [rule] = route.policies[..] else { return route };
    let handler = route.handler.clone();
    let guarded = Arc::new(move |me: Identity, call: platform_http::Call| {
        let handler = handler.clone();
        let work: futures_util::future::BoxFuture<'static, Result<Reply, Fault>> = Box::pin(async move {
            me.allow(&call, rule, &Target::new())?;
            handler(me, call).await
        });
        work
    });
    Route { handler: guarded, ..route }
}

#[cfg(test)]
mod tests {
    use super::routes;
    use crate::audit::change;
    use crate::policy::Policy;
    use platform_http::{Access, Method};
    use std::collections::HashSet;

    /// Routes without a rule, and why.
    const RULELESS: [(&str, &str, &str); 7] = [
        ("GET", "/", "which versions there are"),
        ("GET", "/v3", "which versions there are"),
        ("POST", "/v3/auth/tokens", "logging in"),
        ("GET", "/v3/auth/tokens/OS-PKI/revoked", "gone for everybody"),
        ("GET", "/v3/OS-SIMPLE-CERT/ca", "gone for everybody"),
        ("GET", "/v3/OS-SIMPLE-CERT/certificates", "gone for everybody"),
        ("POST", "/v3/users/{user_id}/password", "the old password in the body is the proof"),
    ];

    #[test]
    fn every_route_needs_a_token_and_has_rules_that_exist() {
        let policy = Policy::load(None).unwrap();
        for route in routes() {
            let known = RULELESS.iter().any(|(m, p, _)| route.method == *m && route.path == *p);
            let what = format!("{} {}", route.method, route.path);
            assert_eq!(route.policies.is_empty(), known, "{what}");
            assert_eq!(route.access == Access::Open, known, "{what}");
            for rule in route.policies {
                assert!(policy.knows(rule), "{what}: {rule}");
            }
        }
    }

    #[test]
    fn every_change_is_audited() {
        // they tell of themselves, or change nothing that is kept
        let own = ["/v3/auth/tokens", "/v3/ec2tokens", "/v3/s3tokens", "/v3/users/{user_id}/password"];
        for route in routes() {
            let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&route.method);
            let is_audited = change(&route.method, route.path).is_some();
            let what = format!("{} {}", route.method, route.path);
            assert_eq!(is_audited, writes && !own.contains(&route.path), "{what}");
        }
        for (method, path, want) in [
            (Method::POST, "/v3/users", "created user None"),
            (Method::PATCH, "/v3/users/{user_id}", "updated user Some(\"user_id\")"),
            (Method::PUT, "/v3/groups/{group_id}/users/{user_id}", "updated group Some(\"group_id\")"),
            (Method::DELETE, "/v3/projects/{project_id}/tags/{value}", "updated project Some(\"project_id\")"),
            (
                Method::PUT,
                "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}",
                "created role_assignment Some(\"role_id\")",
            ),
            (Method::DELETE, "/v3/OS-TRUST/trusts/{trust_id}", "deleted OS-TRUST:trust Some(\"trust_id\")"),
            (Method::POST, "/v3/registered_limits", "created registered_limit None"),
        ] {
            let c = change(&method, path).unwrap();
            assert_eq!(format!("{} {} {:?}", c.operation, c.resource, c.id), want, "{method} {path}");
        }
    }

    #[test]
    fn no_route_is_listed_twice() {
        let mut seen = HashSet::new();
        for route in routes() {
            assert!(seen.insert((route.method.to_string(), route.path)), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn writes_have_schemas() {
        let bare = ["/v3/OS-OAUTH1/consumers", "/v3/OS-OAUTH1/consumers/{consumer_id}"];
        for route in routes() {
            let writes = route.method == Method::POST || route.method == Method::PATCH;
            let own_check = ["/v3/auth/tokens", "/v3/ec2tokens", "/v3/s3tokens"].contains(&route.path)
                || route.path.contains("/config")
                || route.path.ends_with("/OS-EC2")
                || bare.contains(&route.path);
            assert!(!writes || own_check || route.schema.is_some(), "{} {}", route.method, route.path);
        }
    }
}
