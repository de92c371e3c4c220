//! Which request changes what: the words of an event, from a route.

use platform_http::Method;

/// What a route does, in Keystone's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// `created`, `updated`, `deleted`.
    pub(crate) operation: &'static str,
    /// `user`, `role_assignment` …
    pub(crate) resource: &'static str,
    /// CADF's name for that.
    pub(crate) kind: &'static str,
    /// The parameter of the path that is its id. `None`: the answer has it.
    pub(crate) id: Option<&'static str>,
}

/// Collection, the parameter of its members, what they are.
const COLLECTIONS: [(&str, &str, &str, &str); 16] = [
    ("/v3/users", "user_id", "user", "data/security/account/user"),
    ("/v3/groups", "group_id", "group", "data/security/group"),
    ("/v3/projects", "project_id", "project", "data/security/project"),
    ("/v3/domains", "domain_id", "domain", "data/security/domain"),
    ("/v3/roles", "role_id", "role", "data/security/role"),
    ("/v3/OS-TRUST/trusts", "trust_id", "OS-TRUST:trust", "data/security/trust"),
    (
        "/v3/users/{user_id}/application_credentials",
        "application_credential_id",
        "application_credential",
        "data/security/credential",
    ),
    ("/v3/users/{user_id}/access_rules", "access_rule_id", "access_rule", "data/security/credential"),
    ("/v3/users/{user_id}/credentials/OS-EC2", "credential_id", "credential", "data/security/credential"),
    ("/v3/credentials", "credential_id", "credential", "data/security/credential"),
    ("/v3/regions", "region_id", "region", "data/security/region"),
    ("/v3/services", "service_id", "service", "data/security/service"),
    ("/v3/endpoints", "endpoint_id", "endpoint", "data/security/endpoint"),
    ("/v3/policies", "policy_id", "policy", "data/security/policy"),
    ("/v3/OS-OAUTH1/consumers", "consumer_id", "OS-OAUTH1:consumer", "data/security/account"),
    ("/v3/limits", "limit_id", "limit", "data/security/limit"),
];

/// Parts of a thing that have requests of their own: what stands in the path, what is changed by it.
const PARTS: [(&str, &str, &str, &str); 9] = [
    ("/v3/groups/{group_id}/users/", "group_id", "group", "data/security/group"),
    ("/v3/projects/{project_id}/tags", "project_id", "project", "data/security/project"),
    ("/v3/domains/config", "", "domain_config", "data/security/domain"),
    ("/v3/domains/{domain_id}/config", "domain_id", "domain", "data/security/domain"),
    ("/v3/roles/{role_id}/implies/", "role_id", "role", "data/security/role"),
    ("/v3/registered_limits", "registered_limit_id", "registered_limit", "data/security/limit"),
    ("/v3/OS-EP-FILTER/endpoint_groups", "endpoint_group_id", "endpoint_group", "data/security/endpoint"),
    ("/v3/OS-EP-FILTER/projects/", "project_id", "project", "data/security/project"),
    ("/v3/policies/{policy_id}/", "policy_id", "policy", "data/security/policy"),
];

/// What a request of that route changes. `None`: nothing, or it tells of itself.
pub(crate) fn change(method: &Method, path: &str) -> Option<Change> {
    let operation = match *method {
        Method::POST => "created",
        Method::PUT | Method::PATCH => "updated",
        Method::DELETE => "deleted",
        _ => return None,
    };
    for (collection, id, resource, kind) in COLLECTIONS {
        match path.strip_prefix(collection) {
            Some("") if operation == "created" => return Some(Change { operation, resource, kind, id: None }),
            Some(rest) if rest.strip_prefix("/{").and_then(|r| r.strip_suffix('}')) == Some(id) => {
                return Some(Change { operation, resource, kind, id: Some(id) });
            }
            _ => {}
        }
    }
    if path.ends_with("/roles/{role_id}") || path.ends_with("/roles/{role_id}/inherited_to_projects") {
        let operation = if operation == "deleted" { "deleted" } else { "created" };
        let kind = "service/security/account/user";
        return Some(Change { operation, resource: "role_assignment", kind, id: Some("role_id") });
    }
    let (_, id, resource, kind) = PARTS.into_iter().find(|(part, ..)| path.starts_with(part))?;
    let is_whole = path.ends_with(&format!("{{{id}}}")) || !path.contains('{');
    let operation = if is_whole { operation } else { "updated" };
    Some(Change { operation, resource, kind, id: path.contains(&format!("{{{id}}}")).then_some(id) })
}
