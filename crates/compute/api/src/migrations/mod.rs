//! `GET /os-migrations`: moves of servers between hosts. Nothing moves servers yet, so there are none; the request is
//! judged all the same.

use crate::{ComputeApi, input};
use base::Timestamp;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;

const INDEX: &str = "os_compute_api:os-migrations:index";
const ALL_PROJECTS: &str = "os_compute_api:os-migrations:index:all_projects";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![Route::get("/os-migrations", index).policy(&[INDEX, ALL_PROJECTS]).schema("migrations.index")]
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, INDEX)?;
    let wanted = call.query.last("project_id");
    if wanted.is_none() || wanted != call.cx.project_id().map(|p| p.as_str()) {
        api.allow_own(&call.cx, ALL_PROJECTS)?;
    }
    if call.since(2, 59)
        && let Some(marker) = input::page(&api, &call.query)?.marker
    {
        return Err(Fault::bad_request(format!("Marker {marker} could not be found.")));
    }
    if call.since(2, 66) {
        check_window(&call)?;
    }
    Ok(Reply::json(200, &json!({"migrations": []})))
}

fn check_window(call: &Call) -> Result<(), Fault> {
    let time = |key: &str| call.query.last(key).and_then(Timestamp::parse_iso);
    match (time("changes-since"), time("changes-before")) {
        (Some(since), Some(before)) if since > before => {
            Err(Fault::bad_request("The value of changes-since must be less than or equal to changes-before."))
        }
        _ => Ok(()),
    }
}
