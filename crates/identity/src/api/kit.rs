//! What handlers share: links, collections, reading bodies and filters.

use crate::auth::Resolved;
use crate::bootstrap::DEFAULT_DOMAIN;
use crate::{Error, Identity};
use base::Scope;
use base::policy::Target;
use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use platform_http::{Call, Fault, Query, Reply};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) type Answer = Result<Reply, Error>;

/// A handler with errors of ours as one that the table of routes takes.
pub(crate) fn to<F, Fut>(handler: F) -> impl Fn(Identity, Call) -> BoxFuture<'static, Result<Reply, Fault>>
where
    F: Fn(Identity, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    move |me, call| {
        if holds_null(&call) {
            return Box::pin(async { Err(Fault::bad_request("Null characters are not allowed.")) });
        }
        if !matches!(call.json(), Value::Object(_) | Value::Null) {
            return Box::pin(async { Err(Error::malformed().into()) });
        }
        Box::pin(handler(me, call).map_ok(varying).map_err(Fault::from))
    }
}

/// Every answer depends on who asks, unless it says what else it depends on.
fn varying(reply: Reply) -> Reply {
    if reply.headers.contains_key("vary") { reply } else { reply.header("vary", "X-Auth-Token") }
}

/// A null character anywhere in path, query or body: PostgreSQL cannot store it, and nothing is named with it.
fn holds_null(call: &Call) -> bool {
    fn inside(value: &Value) -> bool {
        match value {
            Value::String(s) => s.contains('\0'),
            Value::Array(items) => items.iter().any(inside),
            Value::Object(fields) => fields.iter().any(|(k, v)| k.contains('\0') || inside(v)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    call.path.contains("%00")
        || call.query.0.iter().any(|(k, v)| k.contains('\0') || v.contains('\0'))
        || inside(call.json())
}

pub(crate) fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// `http://host/v3/users/1`.
pub(crate) fn url(call: &Call, path: &str) -> String {
    format!("{}/v3/{path}", call.root_url)
}

/// A resource with its own link, whatever it has beside.
pub(crate) fn linked(call: &Call, path: &str, mut value: Value) -> Value {
    value["links"]["self"] = json!(url(call, path));
    value
}

/// `{"user": {…}}`.
pub(crate) fn member(status: u16, key: &str, value: Value) -> Reply {
    Reply::json(status, &json!({key: value}))
}

/// Most items of one answer when `limit` asks for pages: Keystone's `max_db_limit`.
const MAX_PAGE: usize = 1000;

/// `{"users": […], "links": {…}}`, or the page of it that `limit` and `marker` ask for.
pub(crate) fn collection(call: &Call, key: &str, mut items: Vec<Value>) -> Answer {
    if let Some(marker) = call.query.last("marker") {
        let at = items.iter().position(|item| item["id"] == marker);
        let at = at.ok_or_else(|| Error::gone_missing(format!("Marker {marker} could not be found.")))?;
        items.drain(..=at);
    }
    let here = format!("{}{}", call.root_url, call.path.trim_end_matches('/'));
    let mut body =
        json!({"links": {"next": null, "self": format!("{here}{}", query_text(&call.query)), "previous": null}});
    if let Some(limit) = page_size(&call.query)?
        && items.len() > limit
    {
        items.truncate(limit);
        if let Some(last) = items.last().and_then(|item| item["id"].as_str()) {
            body["links"]["next"] = json!(format!("{here}?{}", call.query.with("marker", last)));
        }
        body["truncated"] = json!(true);
    }
    body[key] = items.into();
    Ok(Reply::json(200, &body))
}

fn page_size(query: &Query) -> Result<Option<usize>, Error> {
    let Some(text) = query.last("limit") else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(0) => Ok(None),
        Ok(n) => Ok(Some(n.min(MAX_PAGE))),
        Err(_) => Err(Error::bad_request(format!("Invalid input for field 'limit': {text} is not a number"))),
    }
}

/// What a query may hold as it is (RFC 3986), without what separates its parts.
const IN_QUERIES: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'@')
    .remove(b',')
    .remove(b'/');

fn query_text(query: &Query) -> String {
    let encode = |s: &str| utf8_percent_encode(s, IN_QUERIES).to_string();
    let pair =
        |(k, v): &(String, String)| if v.is_empty() { encode(k) } else { format!("{}={}", encode(k), encode(v)) };
    let pairs: Vec<String> = query.0.iter().map(pair).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

pub(crate) fn no_content() -> Answer {
    Ok(Reply::empty(204))
}

impl Identity {
    /// The caller's token with all that is known of it.
    pub(crate) async fn caller(&self, call: &Call) -> Result<Arc<Resolved>, Error> {
        let token = call.header("x-auth-token").ok_or(Error::Unauthorized)?;
        self.resolve_token(token, std::time::Duration::ZERO).await
    }

    pub(crate) fn allow(&self, call: &Call, rule: &str, target: &Target) -> Result<(), Error> {
        self.0.policy.check(rule, &call.cx, target)
    }
}

/// The domain a new thing goes to when its body names none.
pub(crate) fn own_domain(call: &Call) -> String {
    match call.cx.token.as_ref().map(|t| &t.scope) {
        Some(Scope::Domain { id, .. }) => id.0.clone(),
        _ => DEFAULT_DOMAIN.to_owned(),
    }
}

/// The domain of a domain-scoped token: lists show it nothing else.
pub(crate) fn scope_domain(call: &Call) -> Option<&str> {
    match call.cx.token.as_ref().map(|t| &t.scope) {
        Some(Scope::Domain { id, .. }) => Some(id.as_str()),
        _ => None,
    }
}

/// A request's object, read by attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    /// What stands under `key` in the body: schemas have made sure that it is there.
    pub(crate) fn of(call: &'a Call, key: &str) -> Self {
        Self(&call.json()[key])
    }
    pub(crate) fn over(value: &'a Value) -> Self {
        Self(value)
    }
    pub(crate) fn has(self, key: &str) -> bool {
        self.0.get(key).is_some()
    }
    /// Text; null and missing alike are `None`.
    pub(crate) fn text(self, key: &str) -> Option<String> {
        self.0.get(key)?.as_str().map(str::to_owned)
    }
    /// The name, without blanks around it: of everything but roles and what belongs to users.
    pub(crate) fn name(self) -> Option<String> {
        self.text("name").map(|name| name.trim().to_owned())
    }
    /// Sets `to` if the body says anything about it; null counts as nothing there.
    pub(crate) fn set_text(self, key: &str, to: &mut Option<String>) {
        if self.has(key) {
            *to = self.text(key);
        }
    }
    /// The texts of a list.
    pub(crate) fn list(self, key: &str) -> Vec<String> {
        let items = self.0.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }
    /// A whole number, which may be written `5.0`; one beyond 64 bits is as large as can be.
    pub(crate) fn int(self, key: &str) -> Option<i64> {
        let value = self.0.get(key)?;
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is what is wanted")]
        value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
    }
    pub(crate) fn flag(self, key: &str) -> Option<bool> {
        match self.0.get(key)? {
            Value::Bool(b) => Some(*b),
            // a word that means neither grants nothing
            Value::String(s) => {
                Some(matches!(s.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "on" | "y" | "yes"))
            }
            _ => None,
        }
    }
    /// Attributes beyond `known`, as a JSON object.
    pub(crate) fn extra(self, known: &[&str]) -> String {
        self.extra_over("{}", known)
    }
    /// The same, laid over those stored.
    pub(crate) fn extra_over(self, stored: &str, known: &[&str]) -> String {
        let mut all: Map<String, Value> = serde_json::from_str(stored).unwrap_or_default();
        for (k, v) in self.0.as_object().into_iter().flatten() {
            if !known.contains(&k.as_str()) && !matches!(k.as_str(), "id" | "links") {
                all.insert(k.clone(), v.clone());
            }
        }
        Value::Object(all).to_string()
    }
    /// Resource options laid over those stored; null takes one away.
    pub(crate) fn options_over(self, stored: &str) -> String {
        let mut all: Map<String, Value> = serde_json::from_str(stored).unwrap_or_default();
        for (k, v) in self.0.get("options").and_then(Value::as_object).into_iter().flatten() {
            if v.is_null() {
                all.remove(k);
            } else {
                all.insert(k.clone(), v.clone());
            }
        }
        Value::Object(all).to_string()
    }
    /// Refuses an id in the body that is not the one in the path.
    pub(crate) fn same_id(self, id: &str) -> Result<(), Error> {
        match self.text("id") {
            Some(other) if other != id => Err(Error::bad_request("Cannot change ID")),
            _ => Ok(()),
        }
    }
    /// Refuses a domain in the body that is not the thing's own.
    pub(crate) fn same_domain(self, id: Option<&str>) -> Result<(), Error> {
        if self.has("domain_id") && self.text("domain_id").as_deref() != id {
            return Err(Error::bad_request("Cannot change Domain ID"));
        }
        Ok(())
    }
}

/// Stored JSON.
pub(crate) fn stored(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!({}))
}

/// Made-up attributes under the real ones.
pub(crate) fn with_extra(extra: &str, own: Value) -> Value {
    let mut all: Map<String, Value> = serde_json::from_str(extra).unwrap_or_default();
    if let Value::Object(own) = own {
        all.extend(own);
    }
    Value::Object(all)
}

/// Refuses to change what is marked immutable, unless the change takes the mark away.
pub(crate) fn refuse_immutable(options: &str, what: &str, id: &str, change: Option<Fields<'_>>) -> Result<(), Error> {
    if stored(options)["immutable"] != Value::Bool(true) {
        return Ok(());
    }
    let unmarks = change.is_some_and(|c| {
        let only_options = c.0.as_object().is_some_and(|o| o.len() == 1 && o.contains_key("options"));
        only_options && c.0["options"]["immutable"] != Value::Bool(true)
    });
    if unmarks {
        return Ok(());
    }
    let verb = if change.is_some() { "update" } else { "delete" };
    Err(Error::forbidden(format!(
        "Unable to {verb} immutable {what} resource: `{id}. Set resource option \"immutable\" to false first."
    )))
}

/// `enabled`, `enabled=1`, `enabled=true`: yes. 0, false, no, off: no.
pub(crate) fn truthy(text: &str) -> bool {
    !matches!(text.to_ascii_lowercase().as_str(), "0" | "false" | "n" | "no" | "off" | "f")
}

pub(crate) fn query_flag(query: &Query, key: &str) -> Option<bool> {
    query.last(key).map(truthy)
}

/// `name__contains=x` and its like, which only the finished list can answer.
pub(crate) fn inexact(call: &Call, items: &mut Vec<Value>) {
    for (key, want) in &call.query.0 {
        let Some((attribute, how)) = key.split_once("__") else { continue };
        let Some(holds) = comparison(how) else { continue };
        items.retain(|item| item[attribute].as_str().is_some_and(|have| holds(have, want)));
    }
}

fn comparison(how: &str) -> Option<fn(&str, &str) -> bool> {
    Some(match how {
        "contains" => |have, want| have.contains(want),
        "icontains" => |have, want| have.to_lowercase().contains(&want.to_lowercase()),
        "startswith" => |have, want| have.starts_with(want),
        "istartswith" => |have, want| have.to_lowercase().starts_with(&want.to_lowercase()),
        "endswith" => |have, want| have.ends_with(want),
        "iendswith" => |have, want| have.to_lowercase().ends_with(&want.to_lowercase()),
        _ => return None,
    })
}

/// Exact filters over a finished, short list.
pub(crate) fn exact(call: &Call, keys: &[&str], items: &mut Vec<Value>) {
    for key in keys {
        let Some(want) = call.query.last(key) else { continue };
        items.retain(|item| match &item[*key] {
            Value::String(have) => have == want,
            Value::Bool(have) => *have == truthy(want),
            Value::Null => want.is_empty(),
            Value::Number(have) => want.parse().is_ok_and(|w: serde_json::Number| w == *have),
            Value::Array(_) | Value::Object(_) => false,
        });
    }
}
