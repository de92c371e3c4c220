//! `/v3/projects/{project_id}/tags`.

use super::kit::{Answer, no_content, to, url};
use super::projects::permitted;
use crate::store::projects;
use crate::{Error, Identity, schema};
use platform_http::{Call, Method, Reply, Route};
use serde_json::json;

const ONE: &str = "/v3/projects/{project_id}/tags/{tag}";
/// Keystone's limit.
const MAX_TAGS: usize = 80;

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/projects/{project_id}/tags", to(list)).policy(&["identity:list_project_tags"]),
        Route::put("/v3/projects/{project_id}/tags", to(replace))
            .policy(&["identity:update_project_tags"])
            .schema("projects.tags"),
        Route::delete("/v3/projects/{project_id}/tags", to(clear)).policy(&["identity:delete_project_tags"]),
        Route::get(ONE, to(check)).policy(&["identity:get_project_tag"]),
        Route::new(Method::HEAD, ONE, to(check)).policy(&["identity:get_project_tag"]),
        Route::put(ONE, to(add)).policy(&["identity:create_project_tag"]),
        Route::delete(ONE, to(remove)).policy(&["identity:delete_project_tag"]),
    ]
}

fn shown(call: &Call, id: &str, tags: &[String]) -> Reply {
    let own = url(call, &format!("projects/{id}/tags"));
    Reply::json(200, &json!({"tags": tags, "links": {"self": own, "next": null, "previous": null}}))
}

async fn list(me: Identity, call: Call) -> Answer {
    let project = permitted(&me, &call, "identity:list_project_tags").await?;
    let tags = projects::tags(me.db(), &project.id).await?;
    Ok(shown(&call, &project.id, &tags))
}

async fn replace(me: Identity, call: Call) -> Answer {
    let project = permitted(&me, &call, "identity:update_project_tags").await?;
    let mut tags = super::projects::tags_in(call.json());
    tags.sort();
    let given = tags.len();
    tags.dedup();
    if tags.len() != given {
        return Err(Error::bad_request("Invalid input for field 'tags': has non-unique elements"));
    }
    if tags.len() > MAX_TAGS {
        return Err(Error::bad_request(format!("Invalid input for field 'tags': more than {MAX_TAGS} tags")));
    }
    let mut tx = me.db().begin().await?;
    projects::set_tags(&mut tx, &project.id, &tags).await?;
    tx.commit().await?;
    Ok(shown(&call, &project.id, &tags))
}

async fn clear(me: Identity, call: Call) -> Answer {
    let project = permitted(&me, &call, "identity:delete_project_tags").await?;
    let mut tx = me.db().begin().await?;
    projects::set_tags(&mut tx, &project.id, &[]).await?;
    tx.commit().await?;
    no_content()
}

async fn check(me: Identity, call: Call) -> Answer {
    let project = permitted(&me, &call, "identity:get_project_tag").await?;
    let tag = call.param("tag");
    if projects::tags(me.db(), &project.id).await?.iter().any(|t| t == tag) { no_content() } else { Err(no_tag(tag)) }
}

fn no_tag(tag: &str) -> Error {
    Error::not_found("project tag", tag)
}

async fn add(me: Identity, call: Call) -> Answer {
    let project = permitted(&me, &call, "identity:create_project_tag").await?;
    let tag = call.param("tag");
    schema::check("projects.tag", &json!(tag))?;
    let tags = projects::tags(me.db(), &project.id).await?;
    if tags.len() >= MAX_TAGS && !tags.iter().any(|t| t == tag) {
        return Err(Error::bad_request(format!("Project {} has {MAX_TAGS} tags already.", project.id)));
    }
    let mut tx = me.db().begin().await?;
    projects::add_tag(&mut tx, &project.id, tag).await?;
    tx.commit().await?;
    Ok(Reply::empty(201).location(&url(&call, &format!("projects/{}/tags/{tag}", project.id))))
}

async fn remove(me: Identity, call: Call) -> Answer {
    let project = permitted(&me, &call, "identity:delete_project_tag").await?;
    let tag = call.param("tag");
    let mut tx = me.db().begin().await?;
    if !projects::remove_tag(&mut tx, &project.id, tag).await? {
        return Err(no_tag(tag));
    }
    tx.commit().await?;
    no_content()
}
