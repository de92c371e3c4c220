//! Pages of lists, as their queries ask for them.

use super::items::TAGS;
use crate::fault;
use image_model::{DEFAULT_LIMIT, Direction, Item, Namespace, page_limit};
use platform_http::{Call, Fault};
use std::cmp::Ordering;

/// `None`: nothing is said of it.
fn asked_limit(call: &Call) -> Result<Option<usize>, Fault> {
    call.query.last("limit").map(page_limit).transpose().map_err(fault::of)
}

pub(super) fn limit(call: &Call) -> Result<usize, Fault> {
    Ok(asked_limit(call)?.unwrap_or(DEFAULT_LIMIT))
}

pub(super) fn direction(call: &Call) -> Result<Direction, Fault> {
    let text = call.query.last("sort_dir").unwrap_or("desc");
    text.parse().map_err(|_| Fault::bad_request(format!("Invalid sort direction: {text}")))
}

/// The page of a namespace's tags; all of them unless a limit is asked for.
pub(super) fn tags(call: &Call, namespace: &Namespace, mut tags: Vec<Item>) -> Result<Vec<Item>, Fault> {
    let key = call.query.last("sort_key").unwrap_or("created_at");
    let by: fn(&Item, &Item) -> Ordering = match key {
        "created_at" => |a, b| a.created_at.cmp(&b.created_at),
        "updated_at" => |a, b| a.updated_at.cmp(&b.updated_at),
        "name" => |a, b| a.name.cmp(&b.name),
        _ => return Err(Fault::bad_request(format!("Invalid sort key: {key}"))),
    };
    let descending = direction(call)? == Direction::Desc;
    tags.sort_by(|a, b| by(a, b).then_with(|| a.name.cmp(&b.name)));
    if descending {
        tags.reverse();
    }
    if let Some(marker) = call.query.last("marker") {
        let at = tags.iter().position(|t| t.name == marker).ok_or_else(|| TAGS.missing(namespace, marker))?;
        tags.drain(..=at);
    }
    tags.truncate(asked_limit(call)?.unwrap_or(usize::MAX));
    Ok(tags)
}
