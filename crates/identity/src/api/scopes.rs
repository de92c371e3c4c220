//! `/v3/auth/{catalog,projects,domains,system}`: what the caller's token shows, and what else it may be scoped to.

use super::domains::render_domain;
use super::guarded;
use super::kit::{Answer, collection, to, url};
use super::projects::{render_project, with_tags};
use crate::store::assignments::{self, On};
use crate::store::projects::{self, ProjectFilter};
use crate::{Error, Identity};
use platform_http::{Call, Reply, Route};
use serde_json::json;

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        guarded(Route::get("/v3/auth/catalog", to(catalog)).policy(&["identity:get_auth_catalog"])),
        guarded(Route::get("/v3/auth/projects", to(own_projects)).policy(&["identity:get_auth_projects"])),
        guarded(Route::get("/v3/auth/domains", to(own_domains)).policy(&["identity:get_auth_domains"])),
        guarded(Route::get("/v3/auth/system", to(own_system)).policy(&["identity:get_auth_system"])),
    ]
}

async fn catalog(me: Identity, call: Call) -> Answer {
    if call.cx.project_id().is_none() {
        return Err(Error::forbidden("A project-scoped token is required to produce a service catalog."));
    }
    let caller = me.caller(&call).await?;
    Ok(Reply::json(200, &json!({"catalog": caller.render_catalog(), "links": {"self": url(&call, "auth/catalog")}})))
}

async fn own_projects(me: Identity, call: Call) -> Answer {
    let user = user_id(&call);
    let filter = ProjectFilter { of_user: Some(user), enabled: Some(true), ..ProjectFilter::default() };
    let found = projects::list(me.db(), &filter).await?;
    let items = with_tags(&me, &call, &found, render_project).await?;
    collection(&call, "projects", items)
}

async fn own_domains(me: Identity, call: Call) -> Answer {
    let user = user_id(&call);
    let filter =
        ProjectFilter { of_user: Some(user), enabled: Some(true), is_domain: true, ..ProjectFilter::default() };
    let found = projects::list(me.db(), &filter).await?;
    let items = with_tags(&me, &call, &found, render_domain).await?;
    collection(&call, "domains", items)
}

async fn own_system(me: Identity, call: Call) -> Answer {
    let roles = assignments::effective(me.db(), user_id(&call), On::System).await?;
    let system = if roles.is_empty() { json!([]) } else { json!([{"all": true}]) };
    Ok(Reply::json(200, &json!({"system": system, "links": {"self": url(&call, "auth/system")}})))
}

fn user_id(call: &Call) -> &str {
    call.cx.user_id().map(|u| u.as_str()).unwrap_or_default()
}
