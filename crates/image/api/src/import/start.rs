//! `POST /v2/images/{image_id}/import`, and what can be imported: `GET /v2/info/import`.

use super::inject;
use crate::{Glance, fault, policy, quota};
use base::Secret;
use image_model::{
    Image, ImportRequest, Method, MethodName, NewTask, Plan, RegistryError, Resource, Status, Task, TaskId, TaskKind,
    TaskStatus,
};
use platform_http::{Call, Fault, Reply};
use serde_json::json;

/// `GET /v2/info/import`
pub(crate) async fn info(glance: Glance, _: Call) -> Result<Reply, Fault> {
    let methods = &glance.imports.settings.methods;
    let methods = json!({"description": "Import methods available.", "type": "array", "value": methods});
    Ok(Reply::json(200, &json!({ "import-methods": methods })))
}

/// 202: the image is importing, and a task says how far that is.
pub(crate) async fn start(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let asked = ImportRequest::parse(call.json(), &glance.imports.settings.methods).map_err(fault::of)?;
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    asked.check_image(&image).map_err(fault::of)?;
    let method = asked.details().map_err(fault::of)?;
    let rule = if asked.method == MethodName::CopyImage { policy::COPY_IMAGE } else { policy::MODIFY_IMAGE };
    glance.allow(&call.cx, rule, &image)?;
    quota::enforce(&glance, call.cx.project_id(), Resource::SizeTotal, 0).await?;
    if image.properties.contains_key("os_glance_import_task") {
        return Err(Fault::conflict("Image has active task"));
    }
    let stores = stores(&glance, &call, &asked, &image)?;
    if stores.is_empty() {
        tracing::info!(image.id = %image.id, "image {} is in all stores already", image.id);
        return Ok(Reply::empty(202));
    }
    if let Method::WebDownload { uri } = &method {
        glance.imports.fetcher.check(uri).map_err(|e| Fault::bad_request(e.to_string()))?;
    }
    let input = json!({"image_id": image.id, "import_req": asked.body(), "backend": stores});
    let plan = Plan {
        method,
        stores,
        all_stores_must_succeed: asked.all_stores_must_succeed,
        inject: inject::chosen(&glance, &call.cx, asked.method),
    };
    let mut new = new_task(&glance, &call, TaskKind::ApiImageImport, &image, input, plan);
    if let Method::GlanceDownload { .. } = new.plan.method {
        // it goes there as the caller, whose token only this process has
        new.node = Some(glance.imports.node.clone());
        let token = call.header("x-auth-token").unwrap_or_default();
        glance.imports.keep_token(&new.task.id, Secret::new(token));
    }
    let id = new.task.id.clone();
    let begun = glance.registry.import_begin(Box::new(new), None).await;
    begun.map_err(|e| {
        glance.imports.take_token(&id);
        refused(e, &image, asked.method)
    })?;
    platform_faults::at("image.import.recorded").await;
    tracing::info!(image.id = %image.id, task = %id, "image {} is being imported by {}", image.id, asked.method);
    super::begin(&glance);
    Ok(Reply::empty(202))
}

fn stores(glance: &Glance, call: &Call, asked: &ImportRequest, image: &Image) -> Result<Vec<String>, Fault> {
    let stores = &glance.stores;
    let writable = stores.all().iter().filter(|s| !s.backend.is_read_only());
    // all stores are those that take data; one that takes none can be named, and the import says so
    let all: Vec<String> = match asked.all_stores {
        true => writable.map(|s| s.name.clone()).collect(),
        false => stores.names().map(str::to_owned).collect(),
    };
    let present: Vec<String> = image.locations.iter().map(|l| stores.name_of(l).to_owned()).collect();
    let default = &stores.default_store().name;
    asked.choose_stores(&all, default, call.header("x-image-meta-store"), &present).map_err(fault::of)
}

pub(crate) fn new_task(
    glance: &Glance,
    call: &Call,
    kind: TaskKind,
    image: &Image,
    input: serde_json::Value,
    plan: Plan,
) -> NewTask {
    let now = glance.clock.now();
    let task = Task {
        id: TaskId::random(),
        kind,
        status: TaskStatus::Pending,
        owner: call.cx.project_id().cloned(),
        user: call.cx.user_id().cloned(),
        request: call.cx.request_id.clone(),
        image: Some(image.id),
        input,
        result: None,
        message: String::new(),
        created_at: now,
        updated_at: now,
        expires_at: None,
    };
    NewTask { task, plan, node: None, deadline: now.plus(glance.imports.settings.timeout) }
}

/// Somebody was faster.
fn refused(error: RegistryError, image: &Image, method: MethodName) -> Fault {
    match error {
        RegistryError::Duplicate => Fault::conflict(format!(
            "New operation on image '{}' is not permitted as prior operation is still in progress",
            image.id
        )),
        RegistryError::WrongStatus(Status::Uploading) if method == MethodName::GlanceDirect => {
            Fault::conflict("The image's data is still being staged")
        }
        RegistryError::WrongStatus(status) => {
            Fault::conflict(format!("Image status transition from {status} to {} is not allowed", Status::Importing))
        }
        other => fault::of_registry(other),
    }
}
