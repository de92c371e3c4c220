//! `/v3/OS-EP-FILTER`: endpoints, and groups of endpoints by a filter, associated with projects. A project that is
//! associated with any sees only those in its tokens' catalogs.

use super::kit::{Answer, Fields, collection, exact, linked, member, new_id, no_content, stored, to};
use super::projects::{render_project, with_tags};
use super::{endpoints, guarded};
use crate::store::catalog::{self, EndpointRow};
use crate::store::endpoint_filter::{self as filter, EndpointGroupRow, Join};
use crate::store::projects::{self, ProjectRow};
use crate::{Error, Identity};
use platform_http::{Call, Method, Route};
use serde_json::{Map, Value, json};

const GROUPS: &str = "/v3/OS-EP-FILTER/endpoint_groups";
const GROUP: &str = "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}";
const IN_PROJECT: &str = "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}";
const ENDPOINT: &str = "/v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}";

pub(super) fn routes() -> Vec<Route<Identity>> {
    let routes = vec![
        Route::get(GROUPS, to(list)).policy(&["identity:list_endpoint_groups"]).schema("endpoint_groups.list"),
        Route::post(GROUPS, to(create)).policy(&["identity:create_endpoint_group"]).schema("endpoint_groups.create"),
        Route::get(GROUP, to(show)).policy(&["identity:get_endpoint_group"]),
        Route::patch(GROUP, to(update)).policy(&["identity:update_endpoint_group"]).schema("endpoint_groups.update"),
        Route::delete(GROUP, to(delete)).policy(&["identity:delete_endpoint_group"]),
        Route::get("/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects", to(projects_of_group))
            .policy(&["identity:list_projects_associated_with_endpoint_group"]),
        Route::get("/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints", to(endpoints_of_group))
            .policy(&["identity:list_endpoints_associated_with_endpoint_group"]),
        Route::get(IN_PROJECT, to(show_in_project)).policy(&["identity:get_endpoint_group_in_project"]),
        Route::put(IN_PROJECT, to(join_group)).policy(&["identity:add_endpoint_group_to_project"]),
        Route::delete(IN_PROJECT, to(part_group)).policy(&["identity:remove_endpoint_group_from_project"]),
        Route::get("/v3/OS-EP-FILTER/projects/{project_id}/endpoint_groups", to(groups_of_project))
            .policy(&["identity:list_endpoint_groups_for_project"]),
        Route::get("/v3/OS-EP-FILTER/projects/{project_id}/endpoints", to(endpoints_of_project))
            .policy(&["identity:list_endpoints_for_project"]),
        Route::get("/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects", to(projects_of_endpoint))
            .policy(&["identity:list_projects_for_endpoint"]),
        Route::put(ENDPOINT, to(join_endpoint)).policy(&["identity:add_endpoint_to_project"]),
        Route::get(ENDPOINT, to(check_endpoint)).policy(&["identity:check_endpoint_in_project"]),
        Route::new(Method::HEAD, ENDPOINT, to(check_endpoint)).policy(&["identity:check_endpoint_in_project"]),
        Route::delete(ENDPOINT, to(part_endpoint)).policy(&["identity:remove_endpoint_from_project"]),
    ];
    routes.into_iter().map(guarded).collect()
}

fn render(call: &Call, g: &EndpointGroupRow) -> Value {
    let own = json!({"id": g.id, "name": g.name, "description": g.description, "filters": stored(&g.filters)});
    linked(call, &format!("OS-EP-FILTER/endpoint_groups/{}", g.id), own)
}

async fn group(me: &Identity, call: &Call) -> Result<EndpointGroupRow, Error> {
    let id = call.param("endpoint_group_id");
    filter::group(me.db(), id).await?.ok_or_else(|| Error::not_found("Endpoint Group", id))
}

async fn project(me: &Identity, call: &Call) -> Result<ProjectRow, Error> {
    let id = call.param("project_id");
    projects::get(me.db(), id).await?.ok_or_else(|| Error::not_found("project", id))
}

async fn endpoint(me: &Identity, call: &Call) -> Result<EndpointRow, Error> {
    let id = call.param("endpoint_id");
    catalog::endpoint(me.db(), id).await?.ok_or_else(|| Error::not_found("endpoint", id))
}

async fn list(me: Identity, call: Call) -> Answer {
    let mut items = filter::groups(me.db()).await?.iter().map(|g| render(&call, g)).collect();
    exact(&call, &["name"], &mut items);
    collection(&call, "endpoint_groups", items)
}

/// The filters of the body, which must be by one of three attributes at least.
fn filters(call: &Call) -> Result<String, Error> {
    let filters = &call.json()["endpoint_group"]["filters"];
    if filters.as_object().is_none_or(Map::is_empty) {
        return Err(Error::bad_request("filters field is required and cannot be empty"));
    }
    if ["service_id", "region_id", "interface"].iter().all(|key| filters[key].is_null()) {
        return Err(Error::missing("service_id or region_id or interface", "endpoint_group"));
    }
    Ok(filters.to_string())
}

async fn create(me: Identity, call: Call) -> Answer {
    let f = Fields::of(&call, "endpoint_group");
    let row = EndpointGroupRow {
        id: new_id(),
        name: f.text("name").unwrap_or_default(),
        description: f.text("description"),
        filters: filters(&call)?,
    };
    let mut tx = me.db().begin().await?;
    filter::insert_group(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(member(201, "endpoint_group", render(&call, &row)))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = group(&me, &call).await?;
    Ok(member(200, "endpoint_group", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let mut row = group(&me, &call).await?;
    let f = Fields::of(&call, "endpoint_group");
    if let Some(name) = f.text("name") {
        row.name = name;
    }
    f.set_text("description", &mut row.description);
    if f.has("filters") {
        row.filters = filters(&call)?;
    }
    let mut tx = me.db().begin().await?;
    filter::update_group(&mut tx, &row).await?;
    me.commit_change(tx).await?;
    Ok(member(200, "endpoint_group", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = group(&me, &call).await?;
    let mut tx = me.db().begin().await?;
    filter::delete_group(&mut tx, &row.id).await?;
    me.commit_change(tx).await?;
    no_content()
}

async fn projects_of_group(me: Identity, call: Call) -> Answer {
    let row = group(&me, &call).await?;
    let ids = filter::projects(me.db(), Join::Group, &row.id).await?;
    shown_projects(&me, &call, ids).await
}

async fn shown_projects(me: &Identity, call: &Call, ids: Vec<String>) -> Answer {
    let mut rows = Vec::new();
    for id in ids {
        rows.extend(projects::get(me.db(), &id).await?);
    }
    let items = with_tags(me, call, &rows, render_project).await?;
    collection(call, "projects", items)
}

async fn endpoints_of_group(me: Identity, call: Call) -> Answer {
    let row = group(&me, &call).await?;
    let all = catalog::endpoints(me.db()).await?;
    let items = all.iter().filter(|e| row.takes(e)).map(|e| endpoints::render(&call, e)).collect();
    collection(&call, "endpoints", items)
}

async fn show_in_project(me: Identity, call: Call) -> Answer {
    let (row, project) = (group(&me, &call).await?, project(&me, &call).await?);
    let joined = filter::of_project(me.db(), Join::Group, &project.id).await?;
    if !joined.contains(&row.id) {
        return Err(Error::gone_missing("Endpoint Group Project Association not found"));
    }
    let own = json!({"endpoint_group_id": row.id, "project_id": project.id});
    let path = format!("OS-EP-FILTER/endpoint_groups/{}/projects/{}", row.id, project.id);
    Ok(member(200, "project_endpoint_group", linked(&call, &path, own)))
}

async fn join_group(me: Identity, call: Call) -> Answer {
    let (row, project) = (group(&me, &call).await?, project(&me, &call).await?);
    let mut tx = me.db().begin().await?;
    if !filter::join(&mut tx, Join::Group, &project.id, &row.id).await? {
        return Err(Error::conflict("project_endpoint_group", "Duplicate entry"));
    }
    me.commit_change(tx).await?;
    no_content()
}

async fn part_group(me: Identity, call: Call) -> Answer {
    let (row, project) = (group(&me, &call).await?, project(&me, &call).await?);
    let mut tx = me.db().begin().await?;
    if !filter::part(&mut tx, Join::Group, &project.id, &row.id).await? {
        return Err(Error::gone_missing("Endpoint Group Project Association not found"));
    }
    me.commit_change(tx).await?;
    no_content()
}

async fn groups_of_project(me: Identity, call: Call) -> Answer {
    let project = project(&me, &call).await?;
    let joined = filter::of_project(me.db(), Join::Group, &project.id).await?;
    let all = filter::groups(me.db()).await?;
    let items = all.iter().filter(|g| joined.contains(&g.id)).map(|g| render(&call, g)).collect();
    collection(&call, "endpoint_groups", items)
}

/// Those joined directly, and those that the project's groups take.
async fn endpoints_of_project(me: Identity, call: Call) -> Answer {
    let project = project(&me, &call).await?;
    let direct = filter::of_project(me.db(), Join::Endpoint, &project.id).await?;
    let joined = filter::of_project(me.db(), Join::Group, &project.id).await?;
    let groups: Vec<EndpointGroupRow> =
        filter::groups(me.db()).await?.into_iter().filter(|g| joined.contains(&g.id)).collect();
    let all = catalog::endpoints(me.db()).await?;
    let own = all.iter().filter(|e| direct.contains(&e.id) || groups.iter().any(|g| g.takes(e)));
    collection(&call, "endpoints", own.map(|e| endpoints::render(&call, e)).collect())
}

async fn projects_of_endpoint(me: Identity, call: Call) -> Answer {
    let row = endpoint(&me, &call).await?;
    let ids = filter::projects(me.db(), Join::Endpoint, &row.id).await?;
    shown_projects(&me, &call, ids).await
}

async fn join_endpoint(me: Identity, call: Call) -> Answer {
    let (row, project) = (endpoint(&me, &call).await?, project(&me, &call).await?);
    let mut tx = me.db().begin().await?;
    if !filter::join(&mut tx, Join::Endpoint, &project.id, &row.id).await? {
        return Err(Error::conflict("project_endpoint", "Duplicate entry"));
    }
    me.commit_change(tx).await?;
    no_content()
}

async fn check_endpoint(me: Identity, call: Call) -> Answer {
    let (row, project) = (endpoint(&me, &call).await?, project(&me, &call).await?);
    let joined = filter::of_project(me.db(), Join::Endpoint, &project.id).await?;
    if joined.contains(&row.id) { no_content() } else { Err(not_joined(&row, &project)) }
}

fn not_joined(e: &EndpointRow, p: &ProjectRow) -> Error {
    Error::gone_missing(format!("Endpoint {} not found in project {}", e.id, p.id))
}

async fn part_endpoint(me: Identity, call: Call) -> Answer {
    let (row, project) = (endpoint(&me, &call).await?, project(&me, &call).await?);
    let mut tx = me.db().begin().await?;
    if !filter::part(&mut tx, Join::Endpoint, &project.id, &row.id).await? {
        return Err(not_joined(&row, &project));
    }
    me.commit_change(tx).await?;
    no_content()
}
