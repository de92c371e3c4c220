//! `/v3/limits`: how much of a resource one project or domain may have. The model is flat: trees do not matter.

use super::guarded;
use super::kit::{Answer, Fields, collection, exact, linked, member, new_id, no_content, to};
use crate::error::duplicate_is;
use crate::store::catalog;
use crate::store::limits::{self, LimitRow};
use crate::store::projects::{self, ProjectFilter};
use crate::{Error, Identity};
use base::Scope;
use base::policy::Target;
use platform_http::{Call, Reply, Route};
use serde_json::{Value, json};

const ONE: &str = "/v3/limits/{limit_id}";

pub(super) fn routes() -> Vec<Route<Identity>> {
    let mut routes: Vec<Route<Identity>> = [
        Route::get("/v3/limits/model", to(model)).policy(&["identity:get_limit_model"]),
        Route::get("/v3/limits", to(list)).policy(&["identity:list_limits"]).schema("limits.list"),
        Route::post("/v3/limits", to(create)).policy(&["identity:create_limits"]).schema("limits.create"),
        Route::patch(ONE, to(update)).policy(&["identity:update_limit"]).schema("limits.update"),
        Route::delete(ONE, to(delete)).policy(&["identity:delete_limit"]),
    ]
    .into_iter()
    .map(guarded)
    .collect();
    routes.push(Route::get(ONE, to(show)).policy(&["identity:get_limit"]));
    routes
}

async fn model(_: Identity, call: Call) -> Answer {
    let model = json!({
        "name": "flat",
        "description": "Limit enforcement and validation does not take project hierarchy into consideration.",
    });
    Ok(Reply::json(200, &json!({"model": model, "links": {"self": super::kit::url(&call, "limits/model")}})))
}

fn render(call: &Call, l: &LimitRow) -> Value {
    let own = json!({
        "id": l.id,
        "service_id": l.service_id,
        "region_id": l.region_id,
        "resource_name": l.resource_name,
        "project_id": l.project_id,
        "domain_id": l.domain_id,
        "resource_limit": l.resource_limit,
        "description": l.description,
    });
    linked(call, &format!("limits/{}", l.id), own)
}

fn missing(id: &str) -> Error {
    Error::gone_missing(format!("Could not find limit for {id}."))
}

async fn find(me: &Identity, call: &Call) -> Result<LimitRow, Error> {
    let id = call.param("limit_id");
    limits::get(me.db(), id).await?.ok_or_else(|| missing(id))
}

/// All for the system, admins and services; a domain's or a project's own for their tokens.
async fn list(me: Identity, call: Call) -> Answer {
    let mut found = limits::all(me.db()).await?;
    let token = call.cx.token.as_ref().ok_or(Error::Unauthorized)?;
    if !(token.has_role("admin") || token.has_role("service") || token.scope == Scope::System) {
        match &token.scope {
            Scope::Domain { id, .. } => {
                let filter = ProjectFilter { domain_id: Some(id.as_str()), ..ProjectFilter::default() };
                let own = projects::list(me.db(), &filter).await?;
                found.retain(|l| match (&l.project_id, &l.domain_id) {
                    (Some(project), _) => own.iter().any(|p| p.id == *project),
                    (None, domain) => domain.as_deref() == Some(id.as_str()),
                });
            }
            Scope::Project { id, .. } => found.retain(|l| l.project_id.as_deref() == Some(id.as_str())),
            Scope::System | Scope::Unscoped => found.clear(),
        }
    }
    let mut items = found.iter().map(|l| render(&call, l)).collect();
    exact(&call, &["service_id", "region_id", "resource_name", "project_id", "domain_id"], &mut items);
    collection(&call, "limits", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let registered = limits::all_registered(me.db()).await?;
    let mut rows = Vec::new();
    for asked in call.json()["limits"].as_array().into_iter().flatten() {
        let f = Fields::over(asked);
        let (service, region) = (f.text("service_id").unwrap_or_default(), f.text("region_id"));
        let name = f.text("resource_name").unwrap_or_default();
        if catalog::service(me.db(), &service).await?.is_none() {
            return Err(Error::missing("service_id", "limit"));
        }
        if let Some(id) = &region
            && catalog::region(me.db(), id).await?.is_none()
        {
            return Err(Error::missing("region_id", "limit"));
        }
        let base = registered
            .iter()
            .find(|r| r.service_id == service && r.region_id == region && r.resource_name == name)
            .ok_or_else(|| Error::forbidden("Unable to create a limit that has no corresponding registered limit."))?;
        let (project_id, domain_id) = owner(&me, f).await?;
        rows.push(LimitRow {
            id: new_id(),
            registered_limit_id: base.id.clone(),
            project_id,
            domain_id,
            resource_limit: f.int("resource_limit").unwrap_or_default(),
            description: f.text("description"),
            service_id: service,
            region_id: region,
            resource_name: name,
        });
    }
    let mut tx = me.db().begin().await?;
    for row in &rows {
        let taken = || "Duplicate entry".to_owned();
        limits::insert(&mut tx, row).await.map_err(duplicate_is("limit", taken))?;
    }
    tx.commit().await?;
    let items: Vec<Value> = rows.iter().map(|l| render(&call, l)).collect();
    Ok(Reply::json(201, &json!({"limits": items})))
}

/// Project and domain: exactly one. A project that acts as a domain counts as one.
async fn owner(me: &Identity, f: Fields<'_>) -> Result<(Option<String>, Option<String>), Error> {
    if let Some(id) = f.text("project_id") {
        let project = projects::get(me.db(), &id).await?.ok_or_else(|| Error::missing("project_id", "limit"))?;
        return Ok(if project.is_domain { (None, Some(id)) } else { (Some(id), None) });
    }
    let id = f.text("domain_id").ok_or_else(|| Error::missing("project_id or domain_id", "limit"))?;
    projects::domain(me.db(), &id).await?.ok_or_else(|| Error::missing("domain_id", "limit"))?;
    Ok((None, Some(id)))
}

async fn show(me: Identity, call: Call) -> Answer {
    let id = call.param("limit_id");
    let found = limits::get(me.db(), id).await?;
    let mut target = Target::new();
    if let Some(l) = &found {
        target = target.with("target.limit.project_id", l.project_id.clone());
        if let Some(project) = &l.project_id {
            let domain = projects::get(me.db(), project).await?.and_then(|p| p.domain_id);
            target = target.with("target.limit.project.domain_id", domain);
        }
        target = target.with("target.limit.domain.id", l.domain_id.clone());
    }
    me.allow(&call, "identity:get_limit", &target)?;
    Ok(member(200, "limit", render(&call, &found.ok_or_else(|| missing(id))?)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let mut row = find(&me, &call).await?;
    let f = Fields::of(&call, "limit");
    row.resource_limit = f.int("resource_limit").unwrap_or(row.resource_limit);
    f.set_text("description", &mut row.description);
    let mut tx = me.db().begin().await?;
    limits::update(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(member(200, "limit", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = find(&me, &call).await?;
    let mut tx = me.db().begin().await?;
    limits::delete(&mut tx, &row.id).await?;
    tx.commit().await?;
    no_content()
}
