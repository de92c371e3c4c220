//! What clients send: bodies and queries against the contract's schemas, and the small languages inside query values.

use super::faults;
use base::ProviderId;
use include_dir::{Dir, include_dir};
use platform_http::schema::Schema;
use platform_http::{Call, Fault};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/data/schemas");

/// By OpenStack's names: `POST_RP_SCHEMA_V1_14`.
static SCHEMAS: LazyLock<HashMap<String, Schema>> = LazyLock::new(|| {
    let maps = FILES.files().filter_map(|f| serde_json::from_slice::<Map<String, Value>>(f.contents()).ok());
    maps.flatten().map(|(name, schema)| (name, Schema::from_value(schema))).collect()
});

/// # Panics
/// If there is no such schema: names are part of the program, and a test asks for each.
fn schema(name: &str) -> &'static Schema {
    SCHEMAS.get(name).unwrap_or_else(|| panic!("no schema {name}"))
}

/// (first version, name) of what replaced what, newest first.
pub(super) type Schemas = [((u16, u16), &'static str)];

fn of_version(call: &Call, names: &Schemas) -> &'static Schema {
    let newest = names.iter().find(|((major, minor), _)| call.since(*major, *minor));
    schema(newest.or(names.last()).map_or("", |(_, name)| name))
}

pub(super) fn check_body<'c>(call: &'c Call, names: &Schemas) -> Result<&'c Value, Fault> {
    check(of_version(call, names), call.json())?;
    Ok(call.json())
}

/// Holds any value against one schema.
pub(super) fn check_value(value: &Value, name: &str) -> Result<(), Fault> {
    check(schema(name), value)
}

fn check(schema: &Schema, value: &Value) -> Result<(), Fault> {
    match schema.first_finding(value) {
        None => Ok(()),
        Some(finding) => Err(Fault::bad_request(format!("JSON does not validate: {}", finding.message))),
    }
}

/// Of a repeated key the last value is checked, as OpenStack does.
pub(super) fn check_query(call: &Call, names: &Schemas) -> Result<(), Fault> {
    let pairs = call.query.0.iter().map(|(k, v)| (k.clone(), Value::String(v.clone())));
    match of_version(call, names).first_finding(&Value::Object(pairs.collect())) {
        None => Ok(()),
        Some(f) => Err(Fault::bad_request(format!("Invalid query string parameters: {}", f.message))),
    }
}

/// A body must say that it is JSON; who says what it accepts must accept JSON.
pub(super) fn content_types(call: &Call) -> Result<(), Fault> {
    let has_body = call.header("content-length").and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 0);
    if has_body && call.header("content-type").is_none() {
        return Err(Fault::bad_request("content-type header required when content-length > 0"));
    }
    let accepted = call.header("accept").is_none_or(|accept| {
        accept.split(',').any(|range| {
            let kind = range.split(';').next().unwrap_or(range).trim();
            kind.is_empty() || ["*/*", "application/*", "application/json"].iter().any(|k| kind.eq_ignore_ascii_case(k))
        })
    });
    if accepted || call.method != http::Method::GET {
        return Ok(());
    }
    let refused = Fault::new(http::StatusCode::NOT_ACCEPTABLE, "Only application/json is provided");
    Err(refused.code(faults::code::UNDEFINED))
}

/// The provider that the path names. What is no uuid is nothing we have.
pub(super) fn provider(call: &Call) -> Result<ProviderId, Fault> {
    let uuid = call.param("uuid");
    uuid.parse().map_err(|_| Fault::not_found(format!("No resource provider with uuid {uuid} found")))
}

/// With dashes and in lower case where it is a uuid at all.
pub(super) fn canonical_uuid(text: &str) -> String {
    text.parse::<ProviderId>().map_or_else(|_| text.to_owned(), |id| id.to_string())
}

fn is_uuid(text: &str) -> bool {
    text.parse::<ProviderId>().is_ok()
}

/// `VCPU:2,MEMORY_MB:1024`. Of a class named twice the last counts.
pub(super) fn resources(text: &str) -> Result<Vec<(String, u64)>, Fault> {
    const FORM: &str = "Badly formed resources parameter. Expected resources query string parameter in form: \
                        ?resources=VCPU:2,MEMORY_MB:1024. Got: ";
    if text.trim().is_empty() {
        return Err(Fault::bad_request(format!("{FORM}empty string.")));
    }
    let mut found: Vec<(String, u64)> = Vec::new();
    for item in text.split(',') {
        let parts: Vec<&str> = item.split(':').collect();
        let [class, amount] = parts[..] else { return Err(Fault::bad_request(format!("{FORM}{item}."))) };
        let Ok(amount) = amount.trim().parse::<i64>() else {
            return Err(Fault::bad_request(format!(
                "Requested resource {class} expected positive integer amount. Got: {amount}."
            )));
        };
        let Some(amount) = u64::try_from(amount).ok().filter(|n| *n > 0) else {
            return Err(Fault::bad_request(format!("Requested resource {class} requires amount >= 1. Got: {amount}.")));
        };
        found.retain(|(c, _)| c != class);
        found.push((class.to_owned(), amount));
    }
    Ok(found)
}

/// Required (of each list any one) and forbidden traits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    pub(super) required: Vec<Vec<String>>,
    pub(super) forbidden: Vec<String>,
}

/// Every value of `key`: `A,!B` from 1.22, `in:A,B` and repeats from 1.39.
pub(super) fn traits(call: &Call, key: &str) -> Result<Traits, Fault> {
    let mut found = Traits::default();
    let values: Vec<&str> = call.query.all(key).collect();
    let repeatable = call.since(1, 39);
    let values = if repeatable { &values[..] } else { &values[values.len().saturating_sub(1)..] };
    for value in values {
        let one = trait_list(value, call.since(1, 22), repeatable)?;
        found.required.extend(one.required);
        found.forbidden.extend(one.forbidden);
    }
    Ok(found)
}

pub(super) fn trait_list(value: &str, forbidden_known: bool, any_known: bool) -> Result<Traits, Fault> {
    let bad = |why: String| Err(Fault::bad_request(format!("Invalid query string parameters: {why}")));
    if let Some(list) = value.strip_prefix("in:") {
        let any: Vec<String> = list.split(',').map(|t| t.trim().to_owned()).collect();
        const FORM: &str = "in:HW_CPU_X86_VMX,CUSTOM_MAGIC";
        if !any_known {
            return bad(format!("The format '{FORM}' only supported since microversion 1.39. Got: {value}"));
        }
        if any.iter().any(String::is_empty) {
            return bad(format!(
                "Expected 'required' parameter value of the form: {FORM}. Got an empty trait in: {value}"
            ));
        }
        if any.iter().any(|t| t.starts_with('!')) {
            return bad(format!("The format '{FORM}' does not support forbidden traits. Got: {value}"));
        }
        return Ok(Traits { required: vec![any], forbidden: Vec::new() });
    }
    let (forbidden, required): (Vec<&str>, Vec<&str>) =
        value.split(',').map(str::trim).partition(|t| t.starts_with('!'));
    let forbidden: Vec<&str> = forbidden.into_iter().map(|t| t.trim_start_matches('!')).collect();
    let form = if forbidden_known { "HW_CPU_X86_VMX,!CUSTOM_MAGIC" } else { "HW_CPU_X86_VMX,CUSTOM_MAGIC" };
    let expected = format!("Expected 'required' parameter value of the form: {form}.");
    if required.iter().chain(&forbidden).any(|t| t.is_empty()) {
        return bad(format!("{expected} Got an empty trait in: {value}"));
    }
    if !forbidden.is_empty() && !forbidden_known {
        return bad(format!("{expected} Got: {value}"));
    }
    Ok(Traits {
        required: required.into_iter().map(|t| vec![t.to_owned()]).collect(),
        forbidden: forbidden.into_iter().map(str::to_owned).collect(),
    })
}

/// Aggregates to be in (of each list any one), and to be outside of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) member_of: Vec<Vec<String>>,
    pub(super) not_member_of: Vec<String>,
}

/// Every value of `member_of<suffix>`: `UUID`, `in:A,B`; repeated from 1.24; `!UUID`, `!in:A,B` from 1.32.
pub(super) fn member_of(call: &Call, suffix: &str) -> Result<Membership, Fault> {
    let key = format!("member_of{suffix}");
    let values: Vec<&str> = call.query.all(&key).collect();
    if values.len() > 1 && !call.since(1, 24) {
        return Err(Fault::bad_request(format!("Multiple {key} parameters are not supported")));
    }
    let mut found = Membership::default();
    for value in values {
        let many = ["!in:", "in:"].iter().find_map(|p| value.strip_prefix(p));
        if value.contains(',') && many.is_none() {
            return Err(Fault::bad_request(format!(
                "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid \
                 microversion. Got: {value}"
            )));
        }
        let list: Vec<&str> = match many {
            Some(list) => list.split(',').collect(),
            None => vec![value.strip_prefix('!').unwrap_or(value)],
        };
        if let Some(bad) = list.iter().find(|id| !is_uuid(id)) {
            return Err(Fault::bad_request(format!(
                "Invalid query string parameters: Expected 'member_of' parameter to contain valid UUID(s). Got: {bad}"
            )));
        }
        let list = list.into_iter().map(canonical_uuid);
        if !value.starts_with('!') {
            found.member_of.push(list.collect());
        } else if call.since(1, 32) {
            found.not_member_of.extend(list);
        } else {
            return Err(Fault::bad_request(format!(
                "Forbidden {key} parameters are not supported in the specified microversion"
            )));
        }
    }
    Ok(found)
}

/// `in_tree<suffix>`: any provider of the tree.
pub(super) fn in_tree(value: &str) -> Result<ProviderId, Fault> {
    value.trim().parse().map_err(|_| {
        Fault::bad_request(format!(
            "Invalid query string parameters: Expected 'in_tree' parameter to be a format of uuid. Got: {value}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_compiles() {
        assert!(SCHEMAS.len() > 40);
        for (name, schema) in SCHEMAS.iter() {
            assert_eq!(schema.compile(), Ok(()), "{name}");
        }
    }

    #[test]
    fn resources_and_their_slips() {
        let ok = |text| resources(text).unwrap();
        assert_eq!(ok("VCPU:2,DISK_GB:5,VCPU:3"), [("DISK_GB".to_owned(), 5), ("VCPU".to_owned(), 3)]);
        for bad in ["", " ", "VCPU", "VCPU:", "VCPU:x", "VCPU:0", "VCPU:-1", "VCPU:1:2", "VCPU:1,"] {
            assert_eq!(resources(bad).unwrap_err().status.as_u16(), 400, "{bad}");
        }
    }

    #[test]
    fn traits_and_their_slips() {
        let found = trait_list("A, !B,!!C", true, false).unwrap();
        assert_eq!(found.required, [["A"]]);
        assert_eq!(found.forbidden, ["B", "C"]);
        assert_eq!(trait_list("in:A,B", true, true).unwrap().required, [["A", "B"]]);
        for (bad, forbidden, any) in [
            ("A,!B", false, false),
            ("in:A", true, false),
            ("A,,B", true, true),
            ("in:A,!B", true, true),
            ("!", true, true),
        ] {
            assert!(trait_list(bad, forbidden, any).is_err(), "{bad}");
        }
    }
}
