//! ComputeCapabilitiesFilter: extra specs `capabilities:a:b`, and ones without a namespace that name a host attribute.

use crate::{Config, HostState, Request, ops};
use serde_json::Value;

pub(super) fn passes(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    request.flavor.extra_specs.iter().all(|(key, wanted)| {
        let mut scope = key.split(':');
        match (scope.next(), key.contains(':')) {
            (Some("capabilities"), true) => has(h, scope, wanted),
            (Some("hw"), true) if key == "hw:maxphysaddr_bits" => {
                has(h, ["cpu_info", "maxphysaddr", "bits"].into_iter(), &format!(">= {wanted}"))
            }
            (Some(name), false) if h.attribute(name).is_some() => has(h, std::iter::once(name), wanted),
            _ => true,
        }
    })
}

fn has<'a>(h: &HostState, mut scope: impl Iterator<Item = &'a str>, wanted: &str) -> bool {
    let found = scope.next().and_then(|name| h.attribute(name));
    let found = scope.try_fold(found, |at, name| Some(Some(at?.get(name)?.clone()))).flatten();
    found.is_some_and(|v| ops::matches(&printed(&v), wanted))
}

/// As Python's `str` prints it: flavors in the field are written against that.
fn printed(v: &Value) -> String {
    match v {
        Value::String(s) => s.clone(),
        Value::Bool(b) => (if *b { "True" } else { "False" }).to_owned(),
        Value::Null => "None".to_owned(),
        Value::Number(n) => n.to_string(),
        other => within(other),
    }
}

/// Inside of a list or an object, texts have quotes.
fn within(v: &Value) -> String {
    match v {
        Value::String(s) => format!("'{s}'"),
        Value::Array(list) => format!("[{}]", list.iter().map(within).collect::<Vec<_>>().join(", ")),
        Value::Object(o) => {
            format!("{{{}}}", o.iter().map(|(k, v)| format!("'{k}': {}", within(v))).collect::<Vec<_>>().join(", "))
        }
        plain => printed(plain),
    }
}
