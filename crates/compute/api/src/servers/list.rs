//! `GET /servers` and `GET /servers/detail`.

use super::list_filters::{self, Wanted};
use super::view::{self, Place, Viewer};
use crate::links::Links;
use crate::{ComputeApi, faults, input};
use compute_store::instance_list::ListError;
use compute_store::instances::InstanceRow;
use platform_http::{Call, Fault, Page, Reply};
use serde::Serialize;
use serde_json::Value;

const INDEX: &str = "os_compute_api:servers:index";
const INDEX_ALL: &str = "os_compute_api:servers:index:get_all_tenants";
const DETAIL: &str = "os_compute_api:servers:detail";
const DETAIL_ALL: &str = "os_compute_api:servers:detail:get_all_tenants";
pub(super) const INDEX_POLICIES: &[&str] = &[INDEX, INDEX_ALL, list_filters::ALL_FILTERS];
pub(super) const DETAIL_POLICIES: &[&str] = &[
    DETAIL,
    DETAIL_ALL,
    list_filters::ALL_FILTERS,
    view::ATTRIBUTES,
    view::HOST_STATUS,
    view::HOST_STATUS_UNKNOWN,
    view::EXTRA_SPECS,
];

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, INDEX)?;
    let (rows, page) = rows(&api, &call, INDEX_ALL).await?;
    let viewer = Viewer::of(&api, &call);
    let servers = rows.iter().map(|r| viewer.brief(&r.instance)).collect();
    Ok(Reply::json(200, &Answer { servers, servers_links: next(&call, "servers", &rows, &page) }))
}

pub(super) async fn detail(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, DETAIL)?;
    let (rows, page) = rows(&api, &call, DETAIL_ALL).await?;
    let viewer = Viewer::of(&api, &call);
    let servers = rows.iter().map(|r| viewer.full(r, Place::List)).collect();
    Ok(Reply::json(200, &Answer { servers, servers_links: next(&call, "servers/detail", &rows, &page) }))
}

async fn rows(api: &ComputeApi, call: &Call, all_tenants: &str) -> Result<(Vec<InstanceRow>, Page), Fault> {
    let page = input::page(api, &call.query)?;
    let query = match list_filters::read(api, call, &page)? {
        Wanted::Nothing => return Ok((Vec::new(), page)),
        Wanted::These(query) => query,
    };
    if list_filters::all_tenants(call)? {
        api.allow_own(&call.cx, all_tenants)?;
    }
    match api.store.instance_list(&query).await {
        Ok(rows) => Ok((rows, page)),
        Err(e @ ListError::MarkerNotFound(_)) => Err(Fault::bad_request(e.to_string())),
        Err(ListError::Db(e)) => Err(faults::db(e)),
    }
}

#[derive(Serialize)]
struct Answer<T> {
    servers: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    servers_links: Option<Value>,
}

/// The link to the next page, if this one came out full.
fn next(call: &Call, collection: &str, rows: &[InstanceRow], page: &Page) -> Option<Value> {
    let last = rows.last().filter(|_| rows.len() == page.limit)?;
    Some(Links::of(call).next(call, collection, &last.instance.uuid))
}
