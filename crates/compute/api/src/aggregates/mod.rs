//! `/os-aggregates`: hosts grouped by an admin; with the metadata `availability_zone` a group is a zone.

mod hosts;
mod images;
mod resource;
mod zone;

use crate::{ComputeApi, faults, input};
use base::Timestamp;
use compute_store::aggregates::{Aggregate, aggregate_get, aggregates_lock};
use platform_db::Tx;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    use resource::{CREATE, DELETE, INDEX, SET_METADATA, SHOW, UPDATE};
    vec![
        Route::get("/os-aggregates", resource::index).policy(&[INDEX]).schema("aggregates.index"),
        Route::post("/os-aggregates", resource::create).policy(&[CREATE]).schema("aggregates.create"),
        Route::get("/os-aggregates/{id}", resource::show).policy(&[SHOW]).schema("aggregates.show"),
        Route::put("/os-aggregates/{id}", resource::update).policy(&[UPDATE]).schema("aggregates.update"),
        Route::delete("/os-aggregates/{id}", resource::delete).policy(&[DELETE]),
        Route::action("/os-aggregates/{id}/action", "add_host", hosts::add)
            .policy(&[hosts::ADD])
            .schema("aggregates.add_host"),
        Route::action("/os-aggregates/{id}/action", "remove_host", hosts::remove)
            .policy(&[hosts::REMOVE])
            .schema("aggregates.remove_host"),
        Route::action("/os-aggregates/{id}/action", "set_metadata", resource::set_metadata)
            .policy(&[SET_METADATA])
            .schema("aggregates.set_metadata"),
        Route::post("/os-aggregates/{id}/images", images::cache)
            .policy(&[images::IMAGES])
            .schema("aggregates.images")
            .since(2, 81),
    ]
}

fn not_found(id: i64) -> Fault {
    Fault::not_found(format!("Aggregate {id} could not be found."))
}

/// A transaction that no other change of aggregates can overtake, and the aggregate `{id}` of the path in it.
async fn locked(api: &ComputeApi, call: &Call) -> Result<(Tx, Aggregate), Fault> {
    let id = input::id_in_path(call)?;
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    aggregates_lock(&mut tx).await.map_err(faults::db)?;
    let found = aggregate_get(&mut tx, id).await.map_err(faults::db)?;
    Ok((tx, found.ok_or_else(|| not_found(id))?))
}

/// Commits, and answers with the aggregate as it is then.
async fn committed(call: &Call, mut tx: Tx, id: i64) -> Result<Reply, Fault> {
    let found = aggregate_get(&mut tx, id).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    let aggregate = found.ok_or_else(|| not_found(id))?;
    Ok(Reply::json(200, &json!({"aggregate": view(call, &aggregate)})))
}

fn view(call: &Call, a: &Aggregate) -> Value {
    let mut shown = json!({
        "id": a.id,
        "name": a.name,
        "availability_zone": a.zone(),
        "hosts": a.hosts,
        "metadata": a.metadata,
        "created_at": a.created_at.micros_naive(),
        "updated_at": a.updated_at.map(Timestamp::micros_naive),
        "deleted": false,
        "deleted_at": null,
    });
    if call.since(2, 41) {
        shown["uuid"] = json!(a.uuid);
    }
    shown
}
