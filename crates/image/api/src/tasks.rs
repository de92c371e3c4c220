//! `/v2/tasks`: what imports leave, for admins; `/v2/images/{image_id}/tasks`: those of one image, for who sees it.

use crate::images::create::allow_new;
use crate::images::list::link;
use crate::import::{begin, new_task};
use crate::{Glance, fault, policy, quota};
use base::Timestamp;
use base::policy::Target;
use image_model::{
    MAX_LIMIT, Method, Plan, Resource, Task, TaskId, TaskKind, TaskQuery, TaskSort, new_image, task_query,
};
use platform_http::{Call, Fault, Reply, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const PATH: &str = "/v2/tasks";

fn allow(glance: &Glance, call: &Call) -> Result<(), Fault> {
    if glance.enforcer.allows(policy::TASKS_API_ACCESS, &call.cx, &Target::new()) {
        Ok(())
    } else {
        Err(policy::denied(policy::TASKS_API_ACCESS))
    }
}

/// `GET /v2/tasks`
pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    allow(&glance, &call)?;
    let mut query = task_query(&call.query.0).map_err(fault::of)?;
    query.owner = own_only(&call);
    let limit = query.limit;
    let tasks = glance.registry.task_list(query).await.map_err(|e| match e {
        image_model::RegistryError::NoTask(_) => Fault::bad_request(e.to_string()),
        other => fault::of_registry(other),
    })?;
    let next = tasks.last().filter(|_| tasks.len() == limit).map(|last| last.id.to_string());
    let mut pairs: Vec<(&str, &str)> =
        call.query.0.iter().filter(|(k, _)| k != "marker").map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let shown: Vec<Value> = tasks.iter().map(|t| Value::Object(stub(t))).collect();
    let mut body = json!({"tasks": shown, "first": link(PATH, &pairs), "schema": "/v2/schemas/tasks"});
    if let Some(marker) = &next {
        pairs.push(("marker", marker));
        body["next"] = json!(link(PATH, &pairs));
    }
    Ok(Reply::json(200, &body))
}

/// Policy may open the calls to others than admins: they see their own project's.
fn own_only(call: &Call) -> Option<base::ProjectId> {
    if call.cx.is_admin() { None } else { Some(call.cx.project_id().cloned().unwrap_or_else(|| "".into())) }
}

fn visible(call: &Call, task: &Task) -> bool {
    own_only(call).is_none_or(|own| task.owner == Some(own))
}

/// `GET /v2/tasks/{task_id}`
pub(crate) async fn show(glance: Glance, call: Call) -> Result<Reply, Fault> {
    allow(&glance, &call)?;
    let id = TaskId(call.param("task_id").to_owned());
    let found = glance.registry.task_show(id.clone()).await.map_err(fault::of_registry)?;
    let task = found.filter(|t| visible(&call, t));
    let task = task.ok_or_else(|| Fault::not_found(format!("Task with the given id {id} was not found")))?;
    Ok(Reply::json(200, &full(&task)))
}

/// `DELETE /v2/tasks/{task_id}`
pub(crate) async fn delete(glance: Glance, call: Call) -> Result<Reply, Fault> {
    allow(&glance, &call)?;
    let why = "This operation is currently not permitted on Glance Tasks. They are auto deleted after reaching the time \
               based on their expires_at property.";
    Err(Fault::new(StatusCode::METHOD_NOT_ALLOWED, why).header("allow", "GET"))
}

/// `POST /v2/tasks`: the way to import before images had one of their own. The image is made here.
pub(crate) async fn create(glance: Glance, call: Call) -> Result<Reply, Fault> {
    allow(&glance, &call)?;
    let input = input(call.json())?;
    let uri = input.get("import_from").and_then(Value::as_str).unwrap_or_default();
    check_uri(&glance, uri)?;
    let mut properties = input.get("image_properties").cloned().unwrap_or_else(|| json!({}));
    if properties.as_object().is_some_and(Map::is_empty) {
        properties = json!({"disk_format": "qcow2", "container_format": "bare"});
    }
    let image = new_image(&properties, call.cx.project_id(), glance.clock.now(), &glance.limits).map_err(fault::of)?;
    allow_new(&glance, &call, &image)?;
    quota::enforce(&glance, call.cx.project_id(), Resource::CountTotal, 1).await?;
    let stores = vec![glance.stores.default_store().name.clone()];
    let method = Method::WebDownload { uri: uri.to_owned() };
    let plan = Plan { method, stores, all_stores_must_succeed: true, inject: BTreeMap::new() };
    let new = new_task(&glance, &call, TaskKind::Import, &image, Value::Object(input), plan);
    let id = image.id;
    let task = glance.registry.import_begin(Box::new(new), Some(image)).await.map_err(|e| match e {
        image_model::RegistryError::Duplicate => Fault::conflict(format!("Image ID {id} already exists!")),
        other => fault::of_registry(other),
    })?;
    begin(&glance);
    Ok(Reply::json(201, &full(&task)).location(&format!("{PATH}/{}", task.id)))
}

/// The `input` of a body as Glance's schema has it.
fn input(body: &Value) -> Result<Map<String, Value>, Fault> {
    let Value::Object(body) = body else { return Err(Fault::bad_request("Body expected in request.")) };
    for key in ["type", "input"] {
        if !body.contains_key(key) {
            return Err(Fault::bad_request(format!("Task '{key}' is required")));
        }
    }
    let schema = |why: String| Fault::bad_request(format!("Provided object does not match schema 'task': {why}"));
    let kind = &body["type"];
    if !["import", "api_image_import", "location_import"].iter().any(|k| kind == k) {
        return Err(schema(format!("{kind} is not one of ['import', 'api_image_import', 'location_import']")));
    }
    if kind != TaskKind::Import.as_str() {
        return Err(Fault::bad_request(format!("Tasks of the type {kind} are made by calls of their own")));
    }
    let Value::Object(input) = &body["input"] else {
        return Err(schema(format!("{} is not of type 'object'", body["input"])));
    };
    for key in ["import_from", "import_from_format", "image_properties"] {
        if !input.contains_key(key) {
            return Err(Fault::bad_request(format!("Input does not contain '{key}' field")));
        }
    }
    Ok(input.clone())
}

/// The same rules as for `web-download`, after words of its own.
fn check_uri(glance: &Glance, uri: &str) -> Result<(), Fault> {
    if uri.is_empty() {
        return Err(Fault::bad_request(format!("Invalid location: {uri}")));
    }
    if uri.starts_with("file:///") || uri.starts_with("filesystem:///") {
        return Err(Fault::bad_request(
            "File based imports are not allowed. Please use a non-local source of image data.",
        ));
    }
    if !uri.starts_with("http://") && !uri.starts_with("https://") {
        return Err(Fault::bad_request(
            "The given uri is not valid. Please specify a valid uri from the following list of supported uri ['http']",
        ));
    }
    glance
        .imports
        .fetcher
        .check(uri)
        .map(drop)
        .map_err(|_| Fault::bad_request(format!("URI for legacy import task does not pass filtering: {uri}")))
}

/// `GET /v2/images/{image_id}/tasks`
pub(crate) async fn of_image(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    let query = TaskQuery {
        limit: MAX_LIMIT,
        marker: None,
        sort: TaskSort::CreatedAt,
        descending: false,
        status: None,
        kind: None,
        image: Some(image.id),
        owner: own_only(&call),
    };
    let tasks = glance.registry.task_list(query).await.map_err(fault::of_registry)?;
    let tasks: Vec<Value> = tasks.iter().map(record).collect();
    Ok(Reply::json(200, &json!({ "tasks": tasks })))
}

/// As lists show it.
fn stub(task: &Task) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in [
        ("id", json!(task.id)),
        ("type", json!(task.kind)),
        ("status", json!(task.status)),
        ("owner", json!(task.owner)),
        ("created_at", json!(task.created_at.seconds_z())),
        ("updated_at", json!(task.updated_at.seconds_z())),
        ("self", json!(format!("{PATH}/{}", task.id))),
        ("schema", json!("/v2/schemas/task")),
    ] {
        out.insert(key.to_owned(), value);
    }
    if let Some(at) = task.expires_at {
        out.insert("expires_at".to_owned(), json!(at.seconds_z()));
    }
    out
}

fn full(task: &Task) -> Value {
    let mut out = stub(task);
    for (key, value) in [
        ("input", task.input.clone()),
        ("result", json!(task.result)),
        ("message", json!(task.message)),
        ("image_id", json!(task.image)),
        ("request_id", json!(task.request)),
        ("user_id", json!(task.user)),
    ] {
        out.insert(key.to_owned(), value);
    }
    Value::Object(out)
}

/// A row as Glance gives it out unchanged.
fn record(task: &Task) -> Value {
    let time = |at: Timestamp| at.micros_naive();
    json!({
        "id": task.id, "type": task.kind, "status": task.status, "owner": task.owner,
        "expires_at": task.expires_at.map(time), "created_at": time(task.created_at),
        "updated_at": time(task.updated_at), "deleted_at": null, "deleted": false, "image_id": task.image,
        "request_id": task.request, "user_id": task.user, "input": task.input, "result": task.result,
        "message": task.message,
    })
}
