//! `/servers/{id}/tags`: words a server is found by, at most 50.

use super::find;
use crate::ComputeApi;
use crate::faults::db;
use crate::links::Links;
use compute_model::actions::{self, Rule};
use compute_store::instance_changes::instance_tags_set;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;

const INDEX: &str = "os_compute_api:os-server-tags:index";
const SHOW: &str = "os_compute_api:os-server-tags:show";
const UPDATE: &str = "os_compute_api:os-server-tags:update";
const UPDATE_ALL: &str = "os_compute_api:os-server-tags:update_all";
const DELETE: &str = "os_compute_api:os-server-tags:delete";
const DELETE_ALL: &str = "os_compute_api:os-server-tags:delete_all";

/// Most tags a server may have.
const MAX_TAGS: usize = 50;
/// Longest tag, in characters.
const MAX_LENGTH: usize = 60;

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    const ALL: &str = "/servers/{id}/tags";
    const ONE: &str = "/servers/{id}/tags/{tag}";
    vec![
        Route::get(ALL, index).policy(&[INDEX]).schema("server_tags.index").since(2, 26),
        Route::put(ALL, update_all).policy(&[UPDATE_ALL]).schema("server_tags.update_all").since(2, 26),
        Route::delete(ALL, delete_all).policy(&[DELETE_ALL]).since(2, 26),
        Route::get(ONE, show).policy(&[SHOW]).schema("server_tags.show").since(2, 26),
        Route::put(ONE, update).policy(&[UPDATE]).schema("server_tags.update").since(2, 26),
        Route::delete(ONE, delete).policy(&[DELETE]).since(2, 26),
    ]
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, INDEX).await?;
    Ok(Reply::json(200, &json!({"tags": instance.tags()})))
}

async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, SHOW).await?;
    if instance.tags().iter().any(|t| t == call.param("tag")) {
        return Ok(Reply::empty(204));
    }
    Err(no_tag(&call))
}

/// 201 if it is new, 204 if it was there.
async fn update(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let tag = call.param("tag");
    acceptable(tag)?;
    let added = change(&api, &call, UPDATE, &actions::TAGS_UPDATE, |tags| {
        if tags.iter().any(|t| t == tag) {
            return Ok(false);
        }
        if tags.len() >= MAX_TAGS {
            return Err(Fault::bad_request(format!("The number of tags exceeded the per-server limit {MAX_TAGS}")));
        }
        tags.push(tag.to_owned());
        Ok(true)
    })
    .await?;
    if !added {
        return Ok(Reply::empty(204));
    }
    let location = Links::of(&call).url("servers", &format!("{}/tags/{tag}", call.param("id")));
    Ok(Reply::empty(201).location(&location))
}

async fn update_all(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let mut wanted: Vec<String> = Vec::new();
    for tag in call.json()["tags"].as_array().into_iter().flatten().filter_map(|t| t.as_str()) {
        if !wanted.iter().any(|t| t == tag) {
            wanted.push(tag.to_owned());
        }
    }
    change(&api, &call, UPDATE_ALL, &actions::TAGS_UPDATE, |tags| {
        tags.clone_from(&wanted);
        Ok(true)
    })
    .await?;
    Ok(Reply::json(200, &json!({"tags": wanted})))
}

async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let tag = call.param("tag");
    change(&api, &call, DELETE, &actions::TAGS_DELETE, |tags| {
        let position = tags.iter().position(|t| t == tag).ok_or_else(|| no_tag(&call))?;
        tags.remove(position);
        Ok(true)
    })
    .await?;
    Ok(Reply::empty(204))
}

async fn delete_all(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    change(&api, &call, DELETE_ALL, &actions::TAGS_DELETE, |tags| {
        tags.clear();
        Ok(true)
    })
    .await?;
    Ok(Reply::empty(204))
}

fn no_tag(call: &Call) -> Fault {
    Fault::not_found(format!("Server {} has no tag '{}'", call.param("id"), call.param("tag")))
}

/// What the schema says of tags in bodies, for one in the path.
fn acceptable(tag: &str) -> Result<(), Fault> {
    let length = tag.chars().count();
    if (1..=MAX_LENGTH).contains(&length) && !tag.contains([',', '/']) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "Tag '{tag}' is invalid. It must be a non empty string without characters '/' and ','."
    )))
}

/// Looks, changes, and writes if nobody else has in the meantime. The edit says whether anything is to be written.
async fn change(
    api: &ComputeApi,
    call: &Call,
    policy: &str,
    rule: &Rule,
    edit: impl Fn(&mut Vec<String>) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    for _ in 0..find::TRIES {
        let instance = find::live(api, call, policy).await?;
        find::check(call, rule, &instance)?;
        let mut tags = instance.tags();
        if !edit(&mut tags)? {
            return Ok(false);
        }
        let mut tx = api.store.db().begin().await.map_err(db)?;
        if instance_tags_set(&mut tx, &instance, &tags, api.now()).await.map_err(db)? {
            tx.commit().await.map_err(db)?;
            return Ok(true);
        }
        tx.undo().await.map_err(db)?;
    }
    Err(find::contended(call.param("id")))
}
