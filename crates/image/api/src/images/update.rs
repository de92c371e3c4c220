//! `PATCH /v2/images/{image_id}`

use super::{change_image, wire};
use crate::{Glance, fault, policy};
use base::RequestContext;
use image_model::{Change, Draft, Image, Op, Visibility, apply, parse_patch};
use platform_http::{Call, Fault, Reply};

pub(crate) async fn update(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let content_type = call.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let draft = Draft::of_content_type(content_type).unwrap_or(Draft::V10);
    let changes = parse_patch(draft, call.json()).map_err(fault::of)?;
    let image = update_image(&glance, &call.cx, call.param("image_id"), &changes).await?;
    Ok(Reply::json(200, &wire::image(&image, &glance.stores)))
}

pub(crate) async fn update_image(
    glance: &Glance,
    cx: &RequestContext,
    id: &str,
    changes: &[Change],
) -> Result<Image, Fault> {
    let missing = |id: &str| format!("No image found with ID {id}");
    change_image(glance, cx, id, missing, |image| {
        allow(glance, cx, image, changes)?;
        apply(image, changes, cx.is_admin(), &glance.limits).map_err(fault::of)
    })
    .await
}

/// Changing anything is one rule; who may open an image to others is another.
fn allow(glance: &Glance, cx: &RequestContext, image: &Image, changes: &[Change]) -> Result<(), Fault> {
    if changes.is_empty() {
        return Ok(());
    }
    glance.allow(cx, policy::MODIFY_IMAGE, image)?;
    let opened = changes.iter().filter(|c| c.root() == "visibility" && c.op != Op::Remove);
    let wanted = opened.filter_map(|c| c.value.as_str()?.parse::<Visibility>().ok());
    for rule in wanted.filter_map(policy::rule_for) {
        glance.allow(cx, rule, image)?;
    }
    Ok(())
}
