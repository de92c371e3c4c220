//! Answers: JSON, with the headers of 1.15, and links.

use base::{Clock, SystemClock, Timestamp};
use platform_http::{Call, Reply};
use serde_json::Value;

/// `modified` `None`: what is told is a state of now, or has no time of its own.
pub(super) fn json(call: &Call, status: u16, body: &Value, modified: Option<Timestamp>) -> Reply {
    dated(call, Reply::json(status, body), modified)
}

pub(super) fn dated(call: &Call, reply: Reply, modified: Option<Timestamp>) -> Reply {
    if !call.since(1, 15) {
        return reply;
    }
    let at = modified.filter(|at| at.0 > 0).unwrap_or_else(|| SystemClock.now());
    reply.header("last-modified", &at.http_date()).header("cache-control", "no-cache")
}

/// `/placement/resource_providers/…`: links are paths, so that a proxy in front need not be known.
pub(super) fn link(call: &Call, path: &str) -> String {
    let after_scheme = call.root_url.split_once("://").map_or(call.root_url.as_str(), |(_, rest)| rest);
    let prefix = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
    format!("{prefix}{path}")
}

pub(super) fn location(call: &Call, reply: Reply, path: &str) -> Reply {
    reply.location(&format!("{}{path}", call.root_url))
}
