//! Tasks: what imports leave. There are no imports, so there are none.

use crate::{Glance, policy};
use base::policy::Target;
use platform_http::{Call, Fault, Reply};
use serde_json::json;

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
    Ok(Reply::json(200, &json!({"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"})))
}

/// `GET /v2/tasks/{task_id}`
pub(crate) async fn show(glance: Glance, call: Call) -> Result<Reply, Fault> {
    allow(&glance, &call)?;
    let id = call.param("task_id");
    Err(Fault::not_found(format!("Task with the given id {id} was not found")))
}

/// `GET /v2/images/{image_id}/tasks`
pub(crate) async fn of_image(glance: Glance, call: Call) -> Result<Reply, Fault> {
    glance.image(&call.cx, call.param("image_id")).await?;
    Ok(Reply::json(200, &json!({"tasks": []})))
}
