//! `/os-instance_usage_audit_log`: how many servers each compute host ran in the last whole month. Nova has a task that
//! counts them; here they are counted when asked, so every host is always done.

use crate::{ComputeApi, faults};
use base::Timestamp;
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

pub(super) const LIST: &str = "os_compute_api:os-instance-usage-audit-log:list";
pub(super) const SHOW: &str = "os_compute_api:os-instance-usage-audit-log:show";

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, LIST)?;
    let log = log_before(&api, api.now()).await?;
    Ok(Reply::json(200, &json!({"instance_usage_audit_logs": log})))
}

/// `{id}` is a time, `2012-07-01 10:00:00` with or without a fraction.
pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SHOW)?;
    let text = call.param("id");
    let before = text.split_once(' ').and_then(|(date, time)| Timestamp::parse_iso(&format!("{date}T{time}")));
    let before = before.ok_or_else(|| Fault::bad_request(format!("Invalid timestamp for date {text}")))?;
    let log = log_before(&api, before).await?;
    Ok(Reply::json(200, &json!({"instance_usage_audit_log": log})))
}

async fn log_before(api: &ComputeApi, before: Timestamp) -> Result<Value, Fault> {
    let (begin, end) = month_before(before).ok_or_else(|| Fault::bad_request("There is no month before that."))?;
    let hosts = api.store.usage_by_host(begin, end).await.map_err(faults::db)?;
    let log: Map<String, Value> = hosts
        .iter()
        .map(|(host, servers)| {
            let message = format!("Instance usage audit ran for host {host}, {servers} instances.");
            (host.clone(), json!({"state": "DONE", "instances": servers, "errors": 0, "message": message}))
        })
        .collect();
    Ok(json!({
        "period_beginning": shown(begin),
        "period_ending": shown(end),
        "num_hosts": hosts.len(),
        "num_hosts_done": hosts.len(),
        "num_hosts_running": 0,
        "num_hosts_not_run": 0,
        "hosts_not_run": [],
        "total_instances": hosts.iter().map(|(_, servers)| servers).sum::<i64>(),
        "total_errors": 0,
        "overall_status": "ALL hosts done. 0 errors.",
        "log": log,
    }))
}

/// `2012-06-01 00:00:00`.
fn shown(t: Timestamp) -> String {
    t.seconds_z().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// First moments of the last month that was over at `t`, and of the one after it.
fn month_before(t: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let text = t.seconds_z();
    let (year, month): (i32, i32) = (text.get(..4)?.parse().ok()?, text.get(5..7)?.parse().ok()?);
    let (last_year, last_month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
    let first = |year: i32, month: i32| Timestamp::parse_iso(&format!("{year:04}-{month:02}-01"));
    Some((first(last_year, last_month)?, first(year, month)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_month() {
        let month = |t: &str| month_before(Timestamp::parse_iso(t).unwrap()).map(|(a, b)| (shown(a), shown(b)));
        let of = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(month("2012-07-15T10:00:00"), of("2012-06-01 00:00:00", "2012-07-01 00:00:00"));
        assert_eq!(month("2012-01-01T00:00:00"), of("2011-12-01 00:00:00", "2012-01-01 00:00:00"));
    }
}
