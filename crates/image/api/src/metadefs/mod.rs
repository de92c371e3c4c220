//! `/v2/metadefs`: what properties mean. Namespaces hold properties, objects, tags and associations with resource
//! types; the four are alike, so [`items`] has their calls and a table of what differs.

pub(crate) mod items;
pub(crate) mod namespaces;
mod page;
pub(crate) mod resource_types;

use crate::{Glance, fault, policy};
use base::RequestContext;
use base::policy::Target;
use image_model::{Namespace, NamespaceVisibility, Viewer};
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value};

const GET_NAMESPACE: &str = "get_metadef_namespace";

fn target(namespace: &Namespace) -> Target {
    Target::new()
        .with("project_id", namespace.owner.as_ref())
        .with("owner", namespace.owner.as_ref())
        .with("visibility", namespace.visibility.as_str())
}

fn not_found(name: &str) -> Fault {
    Fault::not_found(format!("Namespace {name} not found"))
}

/// The namespace that the path names, if the caller may know of it.
async fn find(glance: &Glance, call: &Call) -> Result<Namespace, Fault> {
    let name = call.param("namespace_name");
    let found = glance.registry.namespace_show(name.to_owned(), Viewer::of(&call.cx)).await;
    let namespace = found.map_err(fault::of_registry)?.ok_or_else(|| not_found(name))?;
    if glance.enforcer.allows(GET_NAMESPACE, &call.cx, &target(&namespace)) {
        Ok(namespace)
    } else {
        Err(not_found(name))
    }
}

/// Only for namespaces that the caller may know of: [`find`] has seen to that.
fn allow(glance: &Glance, cx: &RequestContext, rule: &str, namespace: &Namespace) -> Result<(), Fault> {
    if glance.enforcer.allows(rule, cx, &target(namespace)) { Ok(()) } else { Err(policy::denied(rule)) }
}

/// For calls that are not about one namespace.
fn allow_any(glance: &Glance, cx: &RequestContext, rule: &str) -> Result<(), Fault> {
    let own = Target::new().with("project_id", cx.project_id());
    if glance.enforcer.allows(rule, cx, &own) { Ok(()) } else { Err(policy::denied(rule)) }
}

/// The request's object, without what the service sets itself.
fn body<'a>(call: &'a Call, read_only: &[&str]) -> Result<&'a Map<String, Value>, Fault> {
    let body = call.json().as_object().ok_or_else(|| Fault::bad_request("Body expected in request."))?;
    match read_only.iter().find(|k| body.contains_key(**k)) {
        Some(key) => Err(Fault::forbidden(format!("Attribute '{key}' is read-only."))),
        None => Ok(body),
    }
}

fn text(body: &Map<String, Value>, key: &str) -> Option<String> {
    body.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn created(reply: &Value) -> Reply {
    Reply::json(201, reply)
}

fn is_public(text: Option<&str>) -> Result<Option<NamespaceVisibility>, Fault> {
    text.map(|v| v.parse().map_err(|_| Fault::bad_request(format!("Invalid visibility value: {v}")))).transpose()
}
