//! `GET /flavors`, `/flavors/detail`, `/flavors/{id}`.

use super::view::View;
use super::{in_path, sight};
use crate::{ComputeApi, faults, input};
use compute_store::flavors::{Flavor, FlavorList};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    list(&api, &call, "flavors", |view, f| view.brief(f)).await
}

pub(super) async fn detail(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    list(&api, &call, "flavors/detail", |view, f| view.full(f)).await
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let flavor = in_path(&api, &call).await?;
    Ok(Reply::json(200, &json!({"flavor": View::of(&api, &call).full(&flavor)})))
}

async fn list(
    api: &ComputeApi,
    call: &Call,
    collection: &str,
    show: fn(&View<'_>, &Flavor) -> Value,
) -> Result<Reply, Fault> {
    let page = input::page(api, &call.query)?;
    if let Some(marker) = &page.marker
        && api.store.flavor_fetch(marker, sight(call)).await.map_err(faults::db)?.is_none()
    {
        return Err(Fault::bad_request(format!("marker [{marker}] not found")));
    }
    let admin = call.cx.is_admin();
    let name = call.query.last("name");
    if let Some(pattern) = name
        && regex::Regex::new(pattern).is_err()
    {
        return Err(Fault::bad_request(format!("Invalid name filter [{pattern}]")));
    }
    let wanted = FlavorList {
        sight: sight(call),
        is_public: if admin { is_public(call.query.last("is_public"))? } else { Some(true) },
        project: call.cx.project_id().map(|p| p.as_str()),
        disabled: (!admin).then_some(false),
        min_ram_mib: least(call, "minRam")?,
        min_root_gib: least(call, "minDisk")?,
        name,
        sort_key: call.query.last("sort_key").unwrap_or("flavorid"),
        descending: call.query.last("sort_dir") == Some("desc"),
        limit: page.limit,
        marker: page.marker.as_deref(),
    };
    let flavors = api.store.flavor_list(&wanted).await.map_err(faults::db)?;
    let view = View::of(api, call);
    let mut body = json!({"flavors": flavors.iter().map(|f| show(&view, f)).collect::<Vec<_>>()});
    if let Some(last) = flavors.last().filter(|_| flavors.len() == page.limit) {
        body["flavors_links"] = view.next(collection, last);
    }
    Ok(Reply::json(200, &body))
}

/// Admins may ask for private flavors too: `None` (in that word) means all.
fn is_public(filter: Option<&str>) -> Result<Option<bool>, Fault> {
    match filter {
        None => Ok(Some(true)),
        Some(text) if text.trim().eq_ignore_ascii_case("none") => Ok(None),
        Some(text) => {
            input::truth(text).map(Some).ok_or_else(|| Fault::bad_request(format!("Invalid is_public filter [{text}]")))
        }
    }
}

fn least(call: &Call, filter: &'static str) -> Result<Option<i64>, Fault> {
    let Some(text) = call.query.last(filter) else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| Fault::bad_request(format!("Invalid {filter} filter [{text}]")))
}
