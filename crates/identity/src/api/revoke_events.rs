//! `/v3/OS-REVOKE/events`: which tokens are void, for services that validate by themselves.

use super::guarded;
use super::kit::{Answer, to, url};
use crate::store::revocations;
use crate::{Error, Identity};
use base::Timestamp;
use platform_http::{Call, Reply, Route};
use serde_json::{Map, Value, json};

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![guarded(Route::get("/v3/OS-REVOKE/events", to(list)).policy(&["identity:list_revoke_events"]))]
}

async fn list(me: Identity, call: Call) -> Answer {
    let since = match call.query.last("since") {
        None => Timestamp(0),
        Some(text) => {
            Timestamp::parse_iso(text).ok_or_else(|| Error::bad_request(format!("invalid date format {text}")))?
        }
    };
    let events: Vec<Value> = revocations::since(me.db(), since)
        .await?
        .into_iter()
        .map(|r| {
            let ids = [
                ("audit_id", r.audit_id),
                ("user_id", r.user_id),
                ("project_id", r.project_id),
                ("domain_id", r.domain_id),
            ];
            let mut event: Map<String, Value> =
                ids.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.into()))).collect();
            event.insert("issued_before".into(), Timestamp(r.issued_before).micros_z().into());
            event.insert("revoked_at".into(), Timestamp(r.revoked_at).micros_z().into());
            Value::Object(event)
        })
        .collect();
    let own = url(&call, "OS-REVOKE/events");
    Ok(Reply::json(200, &json!({"events": events, "links": {"next": null, "self": own, "previous": null}})))
}
