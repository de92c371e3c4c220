//! `/v2/images/{image_id}/actions/…`: taking an image out of use and back.

use crate::{Glance, fault, policy};
use image_model::{RegistryError, Status};
use platform_http::{Call, Fault, Reply};

/// `POST …/actions/deactivate`
pub(crate) async fn deactivate(glance: Glance, call: Call) -> Result<Reply, Fault> {
    toggle(glance, call, policy::DEACTIVATE, Status::Active, Status::Deactivated).await
}

/// `POST …/actions/reactivate`
pub(crate) async fn reactivate(glance: Glance, call: Call) -> Result<Reply, Fault> {
    toggle(glance, call, policy::REACTIVATE, Status::Deactivated, Status::Active).await
}

/// Moves the image; if it is there already, that is fine.
async fn toggle(glance: Glance, call: Call, rule: &'static str, from: Status, to: Status) -> Result<Reply, Fault> {
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    glance.allow(&call.cx, rule, &image)?;
    match glance.registry.image_move(image.id, from, to, call.cx.request_id.clone()).await {
        Ok(_) => Ok(Reply::empty(204)),
        Err(RegistryError::WrongStatus(status)) if status == to => Ok(Reply::empty(204)),
        Err(RegistryError::WrongStatus(status)) => {
            Err(Fault::forbidden(format!("Not allowed to {rule} image in status '{status}'")))
        }
        Err(e) => Err(fault::of_registry(e)),
    }
}
