//! Lists of images, one image, and its end.

use super::{id_of, in_path, refused, view};
use crate::links::Links;
use crate::{ComputeApi, input};
use base::Timestamp;
use image_model::{Filter, Image, ListQuery, NumberColumn, ProxyError, TextColumn, TimeColumn, TimeOp};
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

pub(super) async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    list(&api, &call, "images", view::brief).await
}

pub(super) async fn detail(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    list(&api, &call, "images/detail", view::full).await
}

async fn list(
    api: &ComputeApi,
    call: &Call,
    collection: &str,
    show: fn(&Call, &Image) -> Value,
) -> Result<Reply, Fault> {
    let page = input::page(api, &call.query)?;
    let mut query = ListQuery::newest(page.limit);
    if let Some(marker) = &page.marker {
        let missing = || Fault::bad_request(format!("marker [{marker}] not found"));
        query.marker = Some(marker.parse().map_err(|_| missing())?);
    }
    for (key, value) in &call.query.0 {
        query.filters.extend(filter(key, value)?);
    }
    let found = api.images.list(&call.cx, query).await.map_err(refused)?;
    let mut body = json!({"images": found.iter().map(|image| show(call, image)).collect::<Vec<_>>()});
    if let Some(last) = found.last().filter(|_| found.len() == page.limit) {
        body["images_links"] = Links::of(call).next(call, collection, &last.id.to_string());
    }
    Ok(Reply::json(200, &body))
}

/// Nova's filters in the image service's words; unknown ones are dropped.
fn filter(key: &str, value: &str) -> Result<Option<Filter>, Fault> {
    let property = |name: &str, value: &str| Filter::Property(name.to_owned(), value.to_owned());
    let number = |column| {
        let least: i64 = value.parse().map_err(|_| Fault::bad_request(format!("Invalid {key} filter [{value}]")))?;
        Ok(Some(Filter::AtLeast(column, least)))
    };
    Ok(match key {
        "name" => Some(Filter::Text(TextColumn::Name, vec![value.to_owned()])),
        "status" => Some(Filter::Text(TextColumn::Status, vec![value.to_ascii_lowercase()])),
        "changes-since" => {
            let since = Timestamp::parse_iso(value)
                .ok_or_else(|| Fault::bad_request(format!("Invalid changes-since filter [{value}]")))?;
            Some(Filter::Time(TimeColumn::UpdatedAt, TimeOp::Gte, since))
        }
        // a uuid, or a link to the server
        "server" => Some(property("instance_uuid", value.rsplit('/').next().unwrap_or(value))),
        "type" => Some(property("image_type", value)),
        "minRam" => return number(NumberColumn::MinRam),
        "minDisk" => return number(NumberColumn::MinDisk),
        _ => key.strip_prefix("property-").map(|name| property(name, value)),
    })
}

pub(super) async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let image = in_path(&api, &call).await?;
    Ok(Reply::json(200, &json!({"image": view::full(&call, &image)})))
}

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.images.delete(&call.cx, id_of(&call)?).await.map_err(|e| match e {
        ProxyError::Forbidden(_) => Fault::forbidden("You are not allowed to delete the image."),
        other => refused(other),
    })?;
    Ok(Reply::empty(204))
}
