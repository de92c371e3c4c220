//! The query string of a list of servers, as Nova reads it.

use crate::{ComputeApi, input};
use base::Timestamp;
use compute_model::states::{self, vm};
use compute_store::instance_list::{Column, Deleted, Direction, Filter, InstanceQuery, SortKey};
use platform_http::{Call, Fault, Page};

pub(super) const ALL_FILTERS: &str = "os_compute_api:servers:allow_all_filters";

/// Filters that everybody may use, and the minor version that brought each. Others are silently dropped for those who
/// may not use all: their lists are then unfiltered.
const FOR_EVERYBODY: &[(&str, u16)] = &[
    ("reservation_id", 1),
    ("name", 1),
    ("status", 1),
    ("image", 1),
    ("flavor", 1),
    ("ip", 1),
    ("changes-since", 1),
    ("all_tenants", 1),
    ("ip6", 5),
    ("tags", 26),
    ("tags-any", 26),
    ("not-tags", 26),
    ("not-tags-any", 26),
    ("changes-before", 66),
    ("locked", 73),
    ("availability_zone", 83),
    ("config_drive", 83),
    ("key_name", 83),
    ("created_at", 83),
    ("launched_at", 83),
    ("terminated_at", 83),
    ("power_state", 83),
    ("task_state", 83),
    ("vm_state", 83),
    ("progress", 83),
    ("user_id", 83),
    ("hostname", 90),
];

/// Texts that are compared as a whole; all others are regular expressions.
const EXACT: &[&str] =
    &["uuid", "host", "node", "user_id", "flavor", "image", "image_ref", "vm_state", "task_state", "reservation_id"];

/// What a query string asks for.
pub(super) enum Wanted {
    /// What no server can be.
    Nothing,
    These(InstanceQuery),
}

/// Whether the list is to span projects. Present without a value, it is.
pub(super) fn all_tenants(call: &Call) -> Result<bool, Fault> {
    match call.query.last("all_tenants") {
        None => Ok(false),
        Some("") => Ok(true),
        Some(text) => input::truth(text)
            .ok_or_else(|| Fault::bad_request(format!("Invalid input received: Unrecognized value '{text}'"))),
    }
}

pub(super) fn read(api: &ComputeApi, call: &Call, page: &Page) -> Result<Wanted, Fault> {
    // unlike other lists, this one takes "no more than none" at its word
    if call.query.last("limit").is_some_and(|text| text.parse() == Ok(0)) {
        return Ok(Wanted::Nothing);
    }
    let asked = Asked { call, all: api.allows(&call.cx, ALL_FILTERS, &crate::policy::own(&call.cx)) };
    let across = all_tenants(call)?;
    let mut filters = Vec::new();
    if !asked.status(&mut filters)? {
        return Ok(Wanted::Nothing);
    }
    asked.times(&mut filters)?;
    asked.texts(&mut filters)?;
    asked.others(&mut filters)?;
    // a project to filter by counts only where more than one is looked at
    let project = if across {
        asked.get("project_id").or_else(|| asked.get("tenant_id")).map(str::to_owned)
    } else {
        call.cx.project_id().map(|p| p.0.clone())
    };
    Ok(Wanted::These(InstanceQuery {
        project,
        deleted: asked.deleted(),
        filters,
        sort: sort(call)?,
        marker: page.marker.clone(),
        limit: page.limit,
        user_data: call.since(2, 3) && api.allows(&call.cx, super::view::ATTRIBUTES, &crate::policy::own(&call.cx)),
    }))
}

struct Asked<'a> {
    call: &'a Call,
    /// The caller may use every filter.
    all: bool,
}

impl Asked<'_> {
    fn may(&self, key: &str) -> bool {
        self.all || FOR_EVERYBODY.iter().any(|(k, minor)| *k == key && self.call.since(2, *minor))
    }
    /// The last value of a filter the caller may use.
    fn get(&self, key: &str) -> Option<&str> {
        self.call.query.last(key).filter(|_| self.may(key))
    }
    fn list(&self, key: &str) -> Option<Vec<String>> {
        self.get(key).map(|text| text.split(',').map(str::to_owned).collect())
    }

    /// `false`: a status that no server has, which is an empty list below 2.38 and an error from then on.
    fn status(&self, filters: &mut Vec<Filter>) -> Result<bool, Fault> {
        if !self.call.query.has("status") {
            return Ok(true);
        }
        let Some(found) = states::states_of_statuses(self.call.query.all("status")) else {
            return if self.call.since(2, 38) { Err(Fault::bad_request("Invalid status value")) } else { Ok(false) };
        };
        if found.vm_states == [vm::DELETED] && !self.call.cx.is_admin() {
            return Err(Fault::forbidden("Only administrators may list deleted instances"));
        }
        let owned = |states: &[&str]| states.iter().map(|s| (*s).to_owned()).collect();
        filters.extend(Column::text("vm_state").map(|c| Filter::OneOf(c, owned(&found.vm_states))));
        if let Some(tasks) = &found.task_states {
            filters.extend(Column::text("task_state").map(|c| Filter::OneOf(c, owned(tasks))));
        }
        Ok(true)
    }

    fn deleted(&self) -> Deleted {
        let by_status = states::states_of_statuses(self.call.query.all("status"));
        if by_status.is_some_and(|s| s.vm_states == [vm::DELETED]) {
            return Deleted::Only;
        }
        match self.get("deleted") {
            Some(text) if input::truth(text) == Some(true) => Deleted::Only,
            Some(_) => Deleted::No,
            // who asks what has changed wants to hear of what is gone
            None if self.get("changes-since").is_some() || self.get("changes-before").is_some() => Deleted::Any,
            None => Deleted::No,
        }
    }

    fn times(&self, filters: &mut Vec<Filter>) -> Result<(), Fault> {
        let time = |key: &str| -> Result<Option<Timestamp>, Fault> {
            let invalid = || Fault::bad_request(format!("Invalid filter field: {key}."));
            self.get(key).map(|text| Timestamp::parse_iso(text).ok_or_else(invalid)).transpose()
        };
        let (since, before) = (time("changes-since")?, time("changes-before")?);
        if let (Some(since), Some(before)) = (since, before)
            && since > before
        {
            return Err(Fault::bad_request("The value of changes-since must be less than or equal to changes-before."));
        }
        filters.extend(since.map(Filter::ChangedSince));
        filters.extend(before.map(Filter::ChangedBefore));
        Ok(())
    }

    fn texts(&self, filters: &mut Vec<Filter>) -> Result<(), Fault> {
        for key in self.call.query.keys() {
            let Some(value) = self.get(key) else { continue };
            let project = matches!(key, "project_id" | "tenant_id");
            let Some(column) = Column::text(key).filter(|_| !project) else { continue };
            if EXACT.contains(&key) {
                filters.push(Filter::Equal(column, value.to_owned()));
                continue;
            }
            regex::Regex::new(value).map_err(|_| {
                Fault::bad_request(format!(
                    "Invalid input for query parameters {key}. Value: {value}. '{value}' is not a 'regex'"
                ))
            })?;
            filters.push(Filter::Matches(column, value.to_owned()));
        }
        Ok(())
    }

    fn others(&self, filters: &mut Vec<Filter>) -> Result<(), Fault> {
        for key in self.call.query.keys() {
            let Some(value) = self.get(key) else { continue };
            if let Some(column) = Column::number(key) {
                filters.push(value.parse().map_or(Filter::Never, |n| Filter::Number(column, n)));
            }
            if let Some(column) = Column::time(key) {
                filters.push(Timestamp::parse_iso(value).map_or(Filter::Never, |t| Filter::At(column, t)));
            }
        }
        if let Some(text) = self.get("config_drive") {
            filters.push(input::truth(text).map_or(Filter::Never, Filter::ConfigDrive));
        }
        if let Some(text) = self.get("auto_disk_config") {
            filters.push(input::truth(text).map_or(Filter::Never, Filter::DiskConfig));
        }
        if let Some(text) = self.get("locked") {
            let invalid =
                || Fault::bad_request(format!("Unrecognized value '{text}', acceptable values are: true, false"));
            filters.push(Filter::Locked(input::truth(text).ok_or_else(invalid)?));
        }
        filters.extend(self.list("tags").map(Filter::AllTags));
        filters.extend(self.list("tags-any").map(Filter::AnyTag));
        filters.extend(self.list("not-tags").map(Filter::NotAllTags));
        filters.extend(self.list("not-tags-any").map(Filter::NotAnyTag));
        if let Some(text) = self.get("metadata") {
            let pairs: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(text).map_err(|_| Fault::bad_request("Invalid filter field: metadata."))?;
            let pair = |(k, v): (String, serde_json::Value)| Filter::Metadata(k, input::text(&v).unwrap_or_default());
            filters.extend(pairs.into_iter().map(pair));
        }
        // servers have no addresses before there is a network service
        if self.get("ip").is_some() || self.get("ip6").is_some() {
            filters.push(Filter::Never);
        }
        Ok(())
    }
}

/// `sort_key` and `sort_dir`, repeated in pairs. Keys that Nova accepts but cannot sort by are left out.
fn sort(call: &Call) -> Result<Vec<(SortKey, Direction)>, Fault> {
    let keys: Vec<&str> = call.query.all("sort_key").collect();
    let directions: Vec<&str> = call.query.all("sort_dir").collect();
    if directions.len() > keys.len().max(1) {
        return Err(Fault::bad_request("Sort direction size exceeds sort key size"));
    }
    let direction = |n: usize| match directions.get(n).or(directions.first()) {
        None => Ok(Direction::Desc),
        Some(&"asc") => Ok(Direction::Asc),
        Some(&"desc") => Ok(Direction::Desc),
        Some(other) => {
            Err(Fault::bad_request(format!("Unknown sort direction, must be one of: asc, desc. Got {other}")))
        }
    };
    if keys.is_empty() && !directions.is_empty() {
        let age = SortKey::by_name("created_at").map(|k| direction(0).map(|d| (k, d)));
        return age.into_iter().collect();
    }
    let mut sort = Vec::new();
    for (n, wire) in keys.iter().enumerate() {
        if matches!(*wire, "host" | "node") && !call.cx.is_admin() {
            return Err(Fault::forbidden(format!("Only administrators can sort servers by {wire}")));
        }
        if let Some(key) = SortKey::by_name(wire) {
            sort.push((key, direction(n)?));
        }
    }
    Ok(sort)
}
