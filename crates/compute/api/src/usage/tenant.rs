//! `/os-simple-tenant-usage`: hours times size, from `start` to `end`.

use crate::links::Links;
use crate::{ComputeApi, faults, input};
use base::Timestamp;
use base::policy::Target;
use compute_store::usages::{ServerUsage, UsagePeriod};
use platform_http::{Call, Fault, Page, Reply};
use serde_json::{Map, Value, json};

pub(super) const LIST: &str = "os_compute_api:os-simple-tenant-usage:list";
pub(super) const SHOW: &str = "os_compute_api:os-simple-tenant-usage:show";

const MICROS_PER_HOUR: f64 = 3_600_000_000.0;

struct Period {
    start: Timestamp,
    /// Never in the future.
    end: Timestamp,
    now: Timestamp,
}

impl Period {
    fn of(call: &Call, now: Timestamp) -> Result<Self, Fault> {
        let given = |key: &str| call.query.first(key).filter(|t| !t.is_empty()).map_or(Ok(now), datetime);
        let (start, end) = (given("start")?, given("end")?);
        if start >= end {
            return Err(Fault::bad_request("Invalid start time. The start time cannot occur after the end time."));
        }
        Ok(Self { start, end: end.min(now), now })
    }

    /// How long the server ran within the period, in hours.
    fn hours(&self, s: &ServerUsage) -> f64 {
        let start = s.launched_at.max(self.start.0);
        let end = s.ended_at.map_or(self.end.0, |ended| ended.min(self.end.0));
        (end - start).max(0) as f64 / MICROS_PER_HOUR
    }
}

/// `2012-10-08T20:10:44`, with or without a fraction; with a space for the T only with one.
fn datetime(text: &str) -> Result<Timestamp, Fault> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b':' | b'.'));
    let known = plain(date) && plain(time) && (text.contains('T') || time.contains('.'));
    known
        .then(|| Timestamp::parse_iso(&format!("{date}T{time}")))
        .flatten()
        .ok_or_else(|| Fault::bad_request("Invalid datetime string: Datetime is in invalid format"))
}

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, LIST)?;
    let period = Period::of(&call, api.now())?;
    let detailed = call.query.first("detailed") == Some("1");
    let (servers, next) = page(&api, &call, &period, None).await?;
    let usages: Vec<Value> =
        servers.chunk_by(|a, b| a.project_id == b.project_id).map(|s| summary(&period, s, detailed)).collect();
    let mut body = json!({"tenant_usages": usages});
    if let Some(next) = next {
        body["tenant_usages_links"] = next;
    }
    Ok(Reply::json(200, &body))
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let project = call.param("id");
    api.allow(&call.cx, SHOW, &Target::new().with("project_id", project))?;
    let period = Period::of(&call, api.now())?;
    let (servers, next) = page(&api, &call, &period, Some(project)).await?;
    let usage = if servers.is_empty() { json!({}) } else { summary(&period, &servers, true) };
    let mut body = json!({"tenant_usage": usage});
    if let Some(next) = next {
        body["tenant_usage_links"] = next;
    }
    Ok(Reply::json(200, &body))
}

/// The servers of a page, and the link to the next page. Below 2.40 there is one page only.
async fn page(
    api: &ComputeApi,
    call: &Call,
    period: &Period,
    project: Option<&str>,
) -> Result<(Vec<ServerUsage>, Option<Value>), Fault> {
    let paged = call.since(2, 40);
    let page = if paged {
        input::page(api, &call.query)?
    } else {
        Page { limit: api.config.max_limit, marker: None, limited: false }
    };
    if let Some(marker) = &page.marker {
        let known = match marker.parse() {
            Ok(id) => api.store.instance_fetch(id).await.map_err(faults::db)?.is_some(),
            Err(_) => false,
        };
        if !known {
            return Err(Fault::bad_request(format!("Marker {marker} could not be found.")));
        }
    }
    let wanted = UsagePeriod {
        start: period.start,
        end: period.end,
        project,
        limit: page.limit,
        marker: page.marker.as_deref(),
    };
    let servers = api.store.usage_list(wanted).await.map_err(faults::db)?;
    let collection = match project {
        Some(project) => format!("os-simple-tenant-usage/{project}"),
        None => "os-simple-tenant-usage".to_owned(),
    };
    let last = servers.last().filter(|_| paged && servers.len() == page.limit);
    let next = last.map(|s| Links::of(call).next(call, &collection, &s.uuid));
    Ok((servers, next))
}

/// One project's servers, and what they come to.
fn summary(period: &Period, servers: &[ServerUsage], detailed: bool) -> Value {
    let total =
        |size: fn(&ServerUsage) -> i64| -> f64 { servers.iter().map(|s| period.hours(s) * size(s) as f64).sum() };
    let mut shown = Map::from_iter([
        ("tenant_id".to_owned(), json!(servers.first().map(|s| &s.project_id))),
        ("start".to_owned(), json!(period.start.micros_naive())),
        ("stop".to_owned(), json!(period.end.micros_naive())),
        ("total_hours".to_owned(), json!(total(|_| 1))),
        ("total_vcpus_usage".to_owned(), json!(total(|s| s.vcpus))),
        ("total_memory_mb_usage".to_owned(), json!(total(|s| s.ram_mib))),
        ("total_local_gb_usage".to_owned(), json!(total(|s| s.disk_gib))),
    ]);
    if detailed {
        let each: Vec<Value> = servers.iter().map(|s| server(period, s)).collect();
        shown.insert("server_usages".to_owned(), json!(each));
    }
    Value::Object(shown)
}

fn server(period: &Period, s: &ServerUsage) -> Value {
    let until = s.ended_at.map_or(period.now, Timestamp);
    json!({
        "instance_id": s.uuid,
        "name": s.name,
        "tenant_id": s.project_id,
        "flavor": s.flavor_name(),
        "vcpus": s.vcpus,
        "memory_mb": s.ram_mib,
        "local_gb": s.disk_gib,
        "hours": period.hours(s),
        "started_at": Timestamp(s.launched_at).micros_naive(),
        "ended_at": s.ended_at.map(|at| Timestamp(at).micros_naive()),
        "state": if s.ended_at.is_some() { "terminated" } else { s.vm_state.as_str() },
        "uptime": until.since(Timestamp(s.launched_at)).as_secs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_to_write_a_time() {
        let t = Timestamp::parse_iso("2012-10-08T20:10:44Z").unwrap();
        assert_eq!(datetime("2012-10-08T20:10:44").unwrap(), t);
        assert_eq!(datetime("2012-10-08T20:10:44.000000").unwrap(), t);
        assert_eq!(datetime("2012-10-08 20:10:44.0").unwrap(), t);
        for bad in
            ["2012-10-08", "2012-10-08 20:10:44", "2012-10-08T20:10:44Z", "yesterday", "T", "2012-13-08T20:10:44"]
        {
            assert!(datetime(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_lies_within_the_period_counts() {
        let hour = 3_600_000_000;
        let period = Period { start: Timestamp(10 * hour), end: Timestamp(20 * hour), now: Timestamp(30 * hour) };
        let server = |launched_at, ended_at| ServerUsage {
            uuid: String::new(),
            project_id: String::new(),
            name: String::new(),
            flavor: "{}".into(),
            vcpus: 1,
            ram_mib: 1,
            disk_gib: 1,
            vm_state: "active".into(),
            launched_at,
            ended_at,
        };
        for (from, to, hours) in [
            (0, None, 10.0),
            (15 * hour, None, 5.0),
            (0, Some(12 * hour), 2.0),
            (12 * hour, Some(13 * hour), 1.0),
            (0, Some(5 * hour), 0.0),
            (25 * hour, None, 0.0),
        ] {
            assert_eq!(period.hours(&server(from, to)), hours, "{from} {to:?}");
        }
    }
}
