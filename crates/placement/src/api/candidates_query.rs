//! The query of `/allocation_candidates`, from text to a [`Request`].

use super::faults::code;
use super::input;
use crate::{Group, Request};
use platform_http::{Call, Fault};
use std::collections::{BTreeMap, BTreeSet};

const SCHEMAS: &input::Schemas = &[
    ((1, 36), "GET_SCHEMA_1_36"),
    ((1, 35), "GET_SCHEMA_1_35"),
    ((1, 33), "GET_SCHEMA_1_33"),
    ((1, 31), "GET_SCHEMA_1_31"),
    ((1, 25), "GET_SCHEMA_1_25"),
    ((1, 21), "GET_SCHEMA_1_21"),
    ((1, 17), "GET_SCHEMA_1_17"),
    ((1, 16), "GET_SCHEMA_1_16"),
    ((1, 10), "GET_SCHEMA_1_10"),
];

fn bad_value(message: String) -> Fault {
    Fault::bad_request(message).code(code::BAD_VALUE)
}

pub(super) fn read(call: &Call) -> Result<Request, Fault> {
    input::check_query(call, SCHEMAS)?;
    let mut request = Request {
        limit: call.query.first("limit").and_then(|n| n.parse().ok()),
        isolate: call.query.first("group_policy") == Some("isolate"),
        same_subtree: same_subtree(call)?,
        ..Request::default()
    };
    root_required(call, &mut request)?;
    let mut groups = groups(call)?;
    if call.since(1, 36) {
        check_resourceless(&groups, &request.same_subtree)?;
    } else {
        check_orphans(&groups)?;
    }
    check_conflicts(call, &groups)?;
    request.unnamed = groups.remove("").unwrap_or_default();
    request.groups = groups;
    if request.groups.len() > 1 && !call.query.has("group_policy") {
        return Err(Fault::bad_request(
            "The \"group_policy\" parameter is required when specifying more than one \"resources{N}\" parameter.",
        ));
    }
    Ok(request)
}

/// By suffix; the unsuffixed one is "".
fn groups(call: &Call) -> Result<BTreeMap<String, Group>, Fault> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (key, value) in &call.query.0 {
        let found = ["resources", "required", "member_of", "in_tree"]
            .into_iter()
            .find_map(|prefix| Some((prefix, key.strip_prefix(prefix)?)));
        let Some((prefix, suffix)) = found else { continue };
        let group = groups.entry(suffix.to_owned()).or_default();
        match prefix {
            "resources" => group.resources = input::resources(value)?,
            "required" => {
                let traits = input::traits(call, key)?;
                (group.required, group.forbidden) = (traits.required, traits.forbidden);
            }
            "member_of" => {
                let m = input::member_of(call, suffix)?;
                (group.member_of, group.not_member_of) = (m.member_of, m.not_member_of);
            }
            _ => group.in_tree = Some(input::in_tree(value)?),
        }
    }
    Ok(groups)
}

fn same_subtree(call: &Call) -> Result<Vec<Vec<String>>, Fault> {
    let lists = call.query.all("same_subtree").map(|value| {
        let suffixes: BTreeSet<String> = value.split(',').map(|s| s.trim().to_owned()).collect();
        if suffixes.contains("") {
            return Err(bad_value(
                "Empty string (unsuffixed group) can not be specified in `same_subtree` ".to_owned(),
            ));
        }
        Ok(suffixes.into_iter().collect())
    });
    lists.collect()
}

fn root_required(call: &Call, request: &mut Request) -> Result<(), Fault> {
    let values: Vec<&str> = call.query.all("root_required").collect();
    let value = match values[..] {
        [] => return Ok(()),
        [one] => one,
        _ => {
            let text = "Query parameter 'root_required' may be specified only once.";
            return Err(Fault::bad_request(text).code(code::DUPLICATE_KEY));
        }
    };
    let traits = input::trait_list(value, true, false)?;
    request.root_required = traits.required.into_iter().flatten().collect();
    request.root_forbidden = traits.forbidden;
    let both: Vec<&str> =
        request.root_required.iter().filter(|t| request.root_forbidden.contains(t)).map(String::as_str).collect();
    if both.is_empty() {
        return Ok(());
    }
    let both = both.join(", ");
    Err(bad_value(format!("Conflicting required and forbidden traits found in root_required: {both}")))
}

/// From 1.36 a group may have no resources if `same_subtree` names it.
fn check_resourceless(groups: &BTreeMap<String, Group>, same_subtree: &[Vec<String>]) -> Result<(), Fault> {
    let resourceless: Vec<&str> =
        groups.iter().filter(|(_, g)| g.resources.is_empty()).map(|(s, _)| s.as_str()).collect();
    if resourceless.len() == groups.len() {
        let text = "There must be at least one resources or resources[$S] parameter.";
        return Err(Fault::bad_request(text).code(code::MISSING_VALUE));
    }
    let named: BTreeSet<&str> = same_subtree.iter().flatten().map(String::as_str).collect();
    let bad: Vec<&str> = resourceless.into_iter().filter(|s| !named.contains(s)).collect();
    if !bad.is_empty() {
        return Err(bad_value(format!(
            "Resourceless suffixed group request should be specified in `same_subtree` query param: bad group(s) - \
             {bad:?}."
        )));
    }
    let unknown: Vec<&str> = named.into_iter().filter(|s| !groups.contains_key(*s)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known: Vec<&str> = groups.keys().map(String::as_str).collect();
    Err(bad_value(format!("Real suffixes should be specified in `same_subtree`: {unknown:?} not found in {known:?}.")))
}

/// Before 1.36 traits and aggregates are nothing without resources.
fn check_orphans(groups: &BTreeMap<String, Group>) -> Result<(), Fault> {
    let orphans = |key: &str, has: fn(&Group) -> bool| -> Vec<String> {
        let lonely = groups.iter().filter(|(_, g)| g.resources.is_empty() && has(g));
        lonely.map(|(suffix, _)| format!("{key}{suffix}")).collect()
    };
    let traits = orphans("required", |g| !g.required.is_empty());
    if !traits.is_empty() {
        return Err(Fault::bad_request(format!(
            "All traits parameters must be associated with resources.  Found the following orphaned traits keys: {}",
            traits.join(", ")
        )));
    }
    let aggregates = orphans("member_of", |g| !g.member_of.is_empty() || !g.not_member_of.is_empty());
    if !aggregates.is_empty() {
        return Err(Fault::bad_request(format!(
            "All member_of parameters must be associated with resources. Found the following orphaned member_of keys: \
             {}",
            aggregates.join(", ")
        )));
    }
    if groups.is_empty() {
        return Err(Fault::bad_request("At least one request group (`resources` or `resources{$S}`) is required."));
    }
    match groups.values().all(|g| !g.resources.is_empty()) {
        true => Ok(()),
        false => Err(Fault::bad_request("All request groups must specify resources.")),
    }
}

fn check_conflicts(call: &Call, groups: &BTreeMap<String, Group>) -> Result<(), Fault> {
    let conflicts: Vec<String> = groups
        .iter()
        .flat_map(|(suffix, g)| {
            let refused = g.required.iter().filter(|any| any.iter().all(|t| g.forbidden.contains(t)));
            refused.map(move |any| format!("required{suffix}: ({})", any.join(", ")))
        })
        .collect();
    if conflicts.is_empty() || !call.since(1, 22) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "Conflicting required and forbidden traits found in the following traits keys: {}",
        conflicts.join(", ")
    )))
}
