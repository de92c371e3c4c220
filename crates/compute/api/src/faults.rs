//! Refusals as Nova writes them: `{"badRequest": {"code": 400, "message": "…"}}`.

use http::StatusCode;
use platform_http::{Fault, FaultFormat, Reply};
use serde_json::{Map, json};

pub struct NovaFaults;

/// The key a fault's body has for a status; `computeFault` for all others.
const NAMES: &[(u16, &str)] = &[
    (400, "badRequest"),
    (401, "unauthorized"),
    (403, "forbidden"),
    (404, "itemNotFound"),
    (405, "badMethod"),
    (409, "conflictingRequest"),
    (413, "overLimit"),
    (415, "badMediaType"),
    (429, "overLimit"),
    (501, "notImplemented"),
    (503, "serviceUnavailable"),
];

impl FaultFormat for NovaFaults {
    fn render(&self, fault: &Fault, _accept: Option<&str>, request_id: &str) -> Reply {
        let status = fault.status.as_u16();
        let name = NAMES.iter().find(|(s, _)| *s == status).map_or("computeFault", |(_, n)| n);
        let message = if fault.status == StatusCode::INTERNAL_SERVER_ERROR && fault.message.is_empty() {
            format!("Unexpected API Error. The cause is in the operator's log under {request_id}.")
        } else {
            fault.message.to_string()
        };
        let mut body = json!({"code": status, "message": message});
        let retry_after = fault.headers.iter().find(|(n, _)| *n == "retry-after");
        if let (413 | 429, Some((_, seconds))) = (status, retry_after) {
            body["retryAfter"] = json!(seconds);
        }
        Reply::json(status, &Map::from_iter([(name.to_owned(), body)]))
    }
}

/// A database's failure as a caller sees it: worth another try (503), the caller's own doing (400), or our fault (500).
pub(crate) fn db(error: platform_db::DbError) -> Fault {
    if error.worth_retrying() {
        tracing::warn!(%error, "the database is not available");
        return Fault::unavailable("The database is not available; try again.");
    }
    if let platform_db::DbError::Unacceptable(_) = &error {
        return Fault::bad_request(format!("Invalid input received: {error}"));
    }
    Fault::internal(&error)
}

/// The same of placement's tables, which are in the same database.
pub(crate) fn placement(error: placement::StoreError) -> Fault {
    match error {
        placement::StoreError::Db(error) => db(error),
        other => Fault::internal(&other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn shown(fault: Fault) -> serde_json::Value {
        let body = NovaFaults.render(&fault, None, "req-1").body.collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn each_status_has_its_key() {
        assert_eq!(shown(Fault::conflict("no")).await, json!({"conflictingRequest": {"code": 409, "message": "no"}}));
        let odd = Fault::new(StatusCode::NOT_ACCEPTABLE, "v");
        assert_eq!(shown(odd).await, json!({"computeFault": {"code": 406, "message": "v"}}));
        let internal = shown(Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "")).await;
        assert!(internal["computeFault"]["message"].as_str().unwrap().starts_with("Unexpected API Error."));
    }
}
