//! `/os-quota-sets/{project}`, with `?user_id=` for a user in it.

use super::shown;
use crate::{ComputeApi, faults, input};
use base::policy::Target;
use compute_store::quota_limits::{self, LimitsOf, Usage};
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

pub(super) const SHOW: &str = "os_compute_api:os-quota-sets:show";
pub(super) const DETAIL: &str = "os_compute_api:os-quota-sets:detail";
pub(super) const DEFAULTS: &str = "os_compute_api:os-quota-sets:defaults";
pub(super) const UPDATE: &str = "os_compute_api:os-quota-sets:update";
pub(super) const DELETE: &str = "os_compute_api:os-quota-sets:delete";

/// First microversion 2.N whose quota sets have no networks' resources.
const NETWORK_GONE: u16 = 36;

/// Whose quotas a request is about.
struct Subject<'a> {
    project: &'a str,
    user: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// Asks `rule` about the project in the path.
    fn of(api: &ComputeApi, call: &'a Call, rule: &str) -> Result<Self, Fault> {
        let project = call.param("id");
        api.allow(&call.cx, rule, &Target::new().with("project_id", project))?;
        Ok(Self { project, user: call.query.first("user_id").filter(|u| !u.is_empty()) })
    }

    fn limits(&self) -> LimitsOf<'a> {
        match self.user {
            Some(user) => LimitsOf::User { project: self.project, user },
            None => LimitsOf::Project(self.project),
        }
    }

    async fn usage(&self, api: &ComputeApi) -> Result<Usage, Fault> {
        let usage = match self.user {
            Some(user) if api.unified_limits.is_none() => api.store.usage_of_user(self.project, user).await,
            _ => return api.usage(self.project).await,
        };
        usage.map_err(faults::db)
    }
}

fn answer(call: &Call, id: Option<&str>, value: impl Fn(&str) -> Value) -> Reply {
    let mut set: Map<String, Value> = id.map(|id| ("id".to_owned(), json!(id))).into_iter().collect();
    set.extend(shown(call, NETWORK_GONE).map(|resource| (resource.to_owned(), value(resource))));
    Reply::json(200, &json!({"quota_set": set}))
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let subject = Subject::of(&api, &call, SHOW)?;
    let limits = api.limits(subject.limits()).await?;
    Ok(answer(&call, Some(subject.project), |resource| json!(limits.get(resource))))
}

pub(super) async fn detail(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let subject = Subject::of(&api, &call, DETAIL)?;
    let limits = api.limits(subject.limits()).await?;
    let used = subject.usage(&api).await?;
    Ok(answer(&call, Some(subject.project), |resource| {
        let in_use = used.get(resource).copied().unwrap_or(0);
        json!({"limit": limits.get(resource), "in_use": in_use, "reserved": 0})
    }))
}

pub(super) async fn defaults(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let subject = Subject::of(&api, &call, DEFAULTS)?;
    let limits = api.limits(LimitsOf::Defaults).await?;
    Ok(answer(&call, Some(subject.project), |resource| json!(limits.get(resource))))
}

pub(super) async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let subject = Subject::of(&api, &call, UPDATE)?;
    if api.unified_limits.is_some() {
        // as Nova: identity's limits are shown, and stay
        let limits = api.limits(subject.limits()).await?;
        return Ok(answer(&call, None, |resource| json!(limits.get(resource))));
    }
    let body = call.json()["quota_set"].as_object();
    let force = body.and_then(|b| b.get("force")).and_then(input::json_truth).unwrap_or(false);
    let wanted: BTreeMap<String, i64> = body
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "force")
        .filter_map(|(key, value)| Some((key.clone(), input::integer(value)?)))
        .collect();
    if !force {
        let ranges = Ranges::of(&api, &subject).await?;
        wanted.iter().try_for_each(|(resource, limit)| ranges.check(resource, *limit))?;
    }
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    quota_limits::limits_set(&mut tx, subject.project, subject.user, &wanted).await.map_err(faults::db)?;
    let limits = quota_limits::limits_get(&mut tx, subject.limits()).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    Ok(answer(&call, None, |resource| json!(limits.get(resource))))
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let subject = Subject::of(&api, &call, DELETE)?;
    if api.unified_limits.is_some() {
        return Ok(Reply::empty(202));
    }
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    quota_limits::limits_reset(&mut tx, subject.project, subject.user).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    Ok(Reply::empty(202))
}

/// Within which bounds limits may be set without force: not below what is used, a user's not above what the project
/// has left, a project's not below what its users were promised.
struct Ranges {
    used: Usage,
    /// Sums of the limits that users of the project have of their own.
    promised: HashMap<String, i64>,
    /// For a user: the project's limits, and his own so far.
    within: Option<(quota_limits::Limits, HashMap<String, i64>)>,
}

impl Ranges {
    async fn of(api: &ComputeApi, subject: &Subject<'_>) -> Result<Self, Fault> {
        let promised = api.store.limits_of_users(subject.project).await.map_err(faults::db)?;
        let within = match subject.user {
            None => None,
            Some(user) => Some((
                api.store.limits_fetch(LimitsOf::Project(subject.project)).await.map_err(faults::db)?,
                api.store.limits_own(subject.project, user).await.map_err(faults::db)?,
            )),
        };
        Ok(Self { used: subject.usage(api).await?, promised, within })
    }

    fn check(&self, resource: &str, limit: i64) -> Result<(), Fault> {
        let infinite = |n: i64| if n == -1 { i64::MAX } else { n };
        let of = |map: &HashMap<String, i64>| map.get(resource).copied().unwrap_or(0);
        let (minimum, maximum) = match &self.within {
            None => (of(&self.used).max(of(&self.promised)), -1),
            Some((project, own)) => match project.get(resource) {
                -1 => (of(&self.used), -1),
                limit => (of(&self.used), limit - of(&self.promised) + of(own)),
            },
        };
        if infinite(limit) < minimum {
            return Err(Fault::bad_request(format!(
                "Quota limit {limit} for {resource} must be greater than or equal to already used and reserved {minimum}."
            )));
        }
        if infinite(limit) > infinite(maximum) {
            return Err(Fault::bad_request(format!(
                "Quota limit {limit} for {resource} must be less than or equal to {maximum}."
            )));
        }
        Ok(())
    }
}
