//! `GET /os-migrations`: moves of servers between hosts. Evacuations, so far.

use crate::links::Links;
use crate::{ComputeApi, faults, input};
use base::Timestamp;
use compute_store::migration_list::MigrationQuery;
use compute_store::migrations::Migration;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};

const INDEX: &str = "os_compute_api:os-migrations:index";
const ALL_PROJECTS: &str = "os_compute_api:os-migrations:index:all_projects";
const HOST: &str = "os_compute_api:os-migrations:index:host";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![Route::get("/os-migrations", index).policy(&[INDEX, ALL_PROJECTS, HOST]).schema("migrations.index")]
}

async fn index(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, INDEX)?;
    let wanted = call.query.last("project_id");
    if wanted.is_none() || wanted != call.cx.project_id().map(|p| p.as_str()) {
        api.allow_own(&call.cx, ALL_PROJECTS)?;
    }
    let query = read(&api, &call)?;
    let found = match query.hidden {
        // none is ever hidden
        true => Vec::new(),
        false => {
            let found = api.store.migration_list(&query.list).await.map_err(faults::db)?;
            let marker = query.list.marker.as_deref().unwrap_or_default();
            found.ok_or_else(|| Fault::bad_request(format!("Marker {marker} could not be found.")))?
        }
    };
    let hosts = api.allow_own(&call.cx, HOST).is_ok();
    let mut shown: Vec<Value> = found.iter().map(|m| show(&call, m, hosts)).collect();
    if !call.since(2, 59) {
        // they were not sorted then, which came out as the order in which they were made
        shown.reverse();
    }
    let mut body = json!({"migrations": shown});
    if let Some(last) = found.last().filter(|_| query.list.limit == Some(found.len())) {
        body["migrations_links"] = Links::of(&call).next(&call, "os-migrations", &last.uuid);
    }
    Ok(Reply::json(200, &body))
}

struct Wanted {
    list: MigrationQuery,
    hidden: bool,
}

fn read(api: &ComputeApi, call: &Call) -> Result<Wanted, Fault> {
    let text = |key: &str| call.query.last(key).map(str::to_owned);
    let time = |key: &str| call.query.last(key).and_then(Timestamp::parse_iso);
    let mut list = MigrationQuery {
        status: text("status"),
        host: text("host"),
        source_compute: text("source_compute"),
        migration_type: text("migration_type"),
        instance: text("instance_uuid"),
        user_id: text("user_id"),
        project_id: text("project_id"),
        ..MigrationQuery::default()
    };
    if call.since(2, 59) {
        let page = input::page(api, &call.query)?;
        (list.marker, list.limit) = (page.marker, Some(page.limit));
        list.since = time("changes-since");
    }
    if call.since(2, 66) {
        list.before = time("changes-before");
        if list.since.zip(list.before).is_some_and(|(since, before)| since > before) {
            return Err(Fault::bad_request("The value of changes-since must be less than or equal to changes-before."));
        }
    }
    Ok(Wanted { list, hidden: call.query.last("hidden").and_then(input::truth).unwrap_or(false) })
}

fn show(call: &Call, m: &Migration, hosts: bool) -> Value {
    let place = |name: Option<&str>| json!(name.filter(|_| hosts));
    let mut shown = json!({
        "id": m.id,
        "instance_uuid": m.instance,
        "status": m.status,
        "source_compute": place(Some(&m.source_compute)),
        "source_node": place(m.source_node.as_deref()),
        "dest_compute": place(m.dest_compute.as_deref()),
        "dest_node": place(m.dest_node.as_deref()),
        "dest_host": place(m.dest_host.as_deref()),
        // an evacuation changes no flavor
        "old_instance_type_id": null,
        "new_instance_type_id": null,
        "created_at": Timestamp(m.created_at).micros_naive(),
        "updated_at": m.updated_at.map(|at| Timestamp(at).micros_naive()),
    });
    if call.since(2, 23) {
        shown["migration_type"] = json!(m.migration_type);
    }
    if call.since(2, 59) {
        shown["uuid"] = json!(m.uuid);
    }
    if call.since(2, 80) {
        shown["project_id"] = json!(m.project_id);
        shown["user_id"] = json!(m.user_id);
    }
    shown
}
