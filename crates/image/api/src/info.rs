//! `GET /v2/info/…`: what this site can do.

use crate::Glance;
use platform_http::{Call, Fault, Reply};
use serde_json::json;

/// `GET /v2/info/import`: no import methods are enabled.
pub(crate) async fn import(_: Glance, _: Call) -> Result<Reply, Fault> {
    Ok(Reply::json(
        200,
        &json!({"import-methods": {"description": "Import methods available.", "type": "array", "value": []}}),
    ))
}

/// `GET /v2/info/usage`: limits are not kept in identity.
pub(crate) async fn usage(_: Glance, _: Call) -> Result<Reply, Fault> {
    Ok(Reply::json(200, &json!({"usage": {}})))
}

/// `PUT /v2/images/{id}/stage`
pub(crate) async fn stage(_: Glance, _: Call) -> Result<Reply, Fault> {
    Err(Fault::not_found("'glance-direct' method is not available at this site."))
}

/// `POST /v2/images/{id}/import`
pub(crate) async fn start_import(glance: Glance, call: Call) -> Result<Reply, Fault> {
    glance.image(&call.cx, call.param("image_id")).await?;
    let Some(method) = call.json().get("method") else {
        return Err(Fault::bad_request("Import request requires a 'method' field."));
    };
    let Some(name) = method.get("name") else {
        return Err(Fault::bad_request("Import request requires a 'name' field."));
    };
    let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
    Err(Fault::bad_request(format!("Unknown import method name '{name}'.")))
}
