//! `/v2/images/{image_id}/members`: the projects that a shared image was offered to. The owner adds and removes them,
//! each of them answers for itself, and none learns of the others.

use crate::{Glance, fault, policy};
use base::ProjectId;
use image_model::{Image, Member, MemberStatus, RegistryError, Visibility};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

const MAX_CHARS: usize = 255;
const NOT_SHARED: &str = "Only shared images have members.";

fn wire(member: &Member) -> Value {
    json!({
        "member_id": member.member_id,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": member.created_at.seconds_z(),
        "updated_at": member.updated_at.seconds_z(),
        "schema": "/v2/schemas/member",
    })
}

async fn find(glance: &Glance, call: &Call) -> Result<Image, Fault> {
    glance.find(&call.cx, call.param("image_id"), |id| format!("Image {id} not found.")).await
}

fn is_shared(image: &Image) -> bool {
    image.visibility == Visibility::Shared
}

/// Owner and admin see all members, a member only itself.
fn may_see(call: &Call, image: &Image, member: &ProjectId) -> bool {
    let own = call.cx.project_id();
    call.cx.is_admin() || own.is_some() && (own == image.owner.as_ref() || own == Some(member))
}

/// The member that the path names, or a 404.
async fn find_member(glance: &Glance, call: &Call, image: &Image) -> Result<Member, Fault> {
    glance.allow(&call.cx, policy::GET_MEMBER, image)?;
    let id = ProjectId::from(call.param("member_id"));
    let missing = || Fault::not_found(format!("{id} not found in the member list of the image {}.", image.id));
    if !may_see(call, image, &id) {
        return Err(missing());
    }
    let member = glance.registry.member_show(image.id, id.clone()).await.map_err(fault::of_registry)?;
    member.ok_or_else(missing)
}

/// `POST …/members`
pub(crate) async fn create(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let member = wanted_member(call.json())?;
    let image = find(&glance, &call).await?;
    if !is_shared(&image) {
        return Err(Fault::forbidden(format!("Not allowed to create members for image {}.", image.id)));
    }
    glance.allow(&call.cx, policy::ADD_MEMBER, &image)?;
    let quota = glance.limits.image_member_quota;
    match glance.registry.member_add(image.id, member.clone(), quota).await {
        Ok(member) => Ok(Reply::json(200, &wire(&member))),
        Err(RegistryError::Duplicate) => {
            Err(Fault::conflict(format!("Member {member} is duplicated for image {}", image.id)))
        }
        Err(RegistryError::TooMany { attempted }) => {
            let why = glance.limits.check_members(attempted).err().map(|r| r.to_string()).unwrap_or_default();
            Err(Fault::too_large(format!("Image member limit exceeded for image {}: {why}:", image.id)))
        }
        Err(e) => Err(fault::of_registry(e)),
    }
}

fn wanted_member(body: &Value) -> Result<ProjectId, Fault> {
    let Value::Object(body) = body else {
        return Err(Fault::bad_request("Body expected in request."));
    };
    match body.get("member") {
        None => Err(Fault::bad_request("Member to be added not specified")),
        Some(Value::String(m)) if m.is_empty() => Err(Fault::bad_request("Member can't be empty")),
        Some(Value::String(m)) if m.chars().count() <= MAX_CHARS && !m.contains('\0') => Ok(m.as_str().into()),
        Some(_) => Err(Fault::bad_request("Expected a member in the form: {\"member\": \"image_id\"}")),
    }
}

/// `GET …/members`
pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = find(&glance, &call).await?;
    if !is_shared(&image) {
        return Err(Fault::forbidden(format!("Not allowed to list members for image {}: {NOT_SHARED}", image.id)));
    }
    glance.allow(&call.cx, policy::GET_MEMBERS, &image)?;
    let mut members = glance.registry.member_list(image.id).await.map_err(fault::of_registry)?;
    let allowed = glance.allows(&call.cx, policy::GET_MEMBER, &image);
    members.retain(|m| allowed && may_see(&call, &image, &m.member_id));
    let members: Vec<Value> = members.iter().map(wire).collect();
    Ok(Reply::json(200, &json!({"members": members, "schema": "/v2/schemas/members"})))
}

/// `GET …/members/{member_id}`
pub(crate) async fn show(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = find(&glance, &call).await?;
    if !is_shared(&image) {
        return Err(Fault::not_found(NOT_SHARED));
    }
    // that there are members is nobody's business who may not see them
    let found = find_member(&glance, &call, &image).await;
    let member = found.map_err(|f| if f.status == 403 { Fault::not_found(f.message) } else { f })?;
    Ok(Reply::json(200, &wire(&member)))
}

/// `PUT …/members/{member_id}`: the member's answer.
pub(crate) async fn update(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let status = wanted_status(call.json())?;
    let image = find(&glance, &call).await?;
    if !is_shared(&image) {
        return Err(Fault::forbidden(format!("Not allowed to update members for image {}.", image.id)));
    }
    let member = find_member(&glance, &call, &image).await?;
    glance.allow(&call.cx, policy::MODIFY_MEMBER, &image)?;
    let status = status.parse::<MemberStatus>().map_err(|_| {
        Fault::bad_request("Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".")
    })?;
    let updated = glance.registry.member_update(image.id, member.member_id, status).await;
    let updated = updated.map_err(fault::of_registry)?;
    let member = updated.ok_or_else(|| Fault::not_found("The resource could not be found."))?;
    Ok(Reply::json(200, &wire(&member)))
}

fn wanted_status(body: &Value) -> Result<String, Fault> {
    let Value::Object(body) = body else {
        return Err(Fault::bad_request("Expected a status in the form: {\"status\": \"status\"}"));
    };
    let status = body.get("status").ok_or_else(|| Fault::bad_request("Status not specified"))?;
    Ok(status.as_str().unwrap_or_default().to_owned())
}

/// `DELETE …/members/{member_id}`
pub(crate) async fn delete(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = find(&glance, &call).await?;
    if !is_shared(&image) {
        return Err(Fault::forbidden(format!("Not allowed to delete members for image {}.", image.id)));
    }
    let member = find_member(&glance, &call, &image).await?;
    glance.allow(&call.cx, policy::DELETE_MEMBER, &image)?;
    glance.registry.member_remove(image.id, member.member_id).await.map_err(fault::of_registry)?;
    Ok(Reply::empty(204))
}
