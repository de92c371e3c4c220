//! `/flavors`: the sizes of servers; their extra specs, and which projects see the private ones.

mod access;
mod extra_specs;
mod known_specs;
mod manage;
mod read;
mod view;

use crate::{ComputeApi, faults};
use compute_store::flavors::{Flavor, Sight};
use platform_http::{Call, Fault, Route};

const SPECS_INDEX: &str = "os_compute_api:os-flavor-extra-specs:index";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/flavors", read::index).schema("flavors.index"),
        Route::get("/flavors/detail", read::detail).policy(&[SPECS_INDEX]).schema("flavors.detail"),
        Route::get("/flavors/{id}", read::show).policy(&[SPECS_INDEX]).schema("flavors.show"),
        Route::post("/flavors", manage::create).policy(&[manage::CREATE, SPECS_INDEX]).schema("flavors.create"),
        Route::put("/flavors/{id}", manage::update)
            .policy(&[manage::UPDATE, SPECS_INDEX])
            .schema("flavors.update")
            .since(2, 55),
        Route::delete("/flavors/{id}", manage::delete).policy(&[manage::DELETE]),
        Route::get("/flavors/{id}/os-flavor-access", access::index)
            .policy(&[access::INDEX])
            .schema("flavor_access.index"),
        Route::action("/flavors/{id}/action", "addTenantAccess", access::add)
            .policy(&[access::ADD])
            .schema("flavor_access.addTenantAccess"),
        Route::action("/flavors/{id}/action", "removeTenantAccess", access::remove)
            .policy(&[access::REMOVE])
            .schema("flavor_access.removeTenantAccess"),
        Route::get("/flavors/{id}/os-extra_specs", extra_specs::index)
            .policy(&[SPECS_INDEX])
            .schema("flavors_extraspecs.index"),
        Route::post("/flavors/{id}/os-extra_specs", extra_specs::create)
            .policy(&[extra_specs::CREATE])
            .schema("flavors_extraspecs.create"),
        Route::get("/flavors/{id}/os-extra_specs/{key}", extra_specs::show)
            .policy(&[extra_specs::SHOW])
            .schema("flavors_extraspecs.show"),
        Route::put("/flavors/{id}/os-extra_specs/{key}", extra_specs::update)
            .policy(&[extra_specs::UPDATE])
            .schema("flavors_extraspecs.update"),
        Route::delete("/flavors/{id}/os-extra_specs/{key}", extra_specs::delete).policy(&[extra_specs::DELETE]),
    ]
}

/// Which flavors the caller sees at all.
pub(crate) fn sight(call: &Call) -> Sight<'_> {
    if call.cx.is_admin() { Sight::All } else { Sight::Project(call.cx.project_id().map(|p| p.as_str())) }
}

/// The flavor `{id}` of the path, if the caller sees it.
async fn in_path(api: &ComputeApi, call: &Call) -> Result<Flavor, Fault> {
    let id = call.param("id");
    api.store.flavor_fetch(id, sight(call)).await.map_err(faults::db)?.ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> Fault {
    Fault::not_found(format!("Flavor {id} could not be found."))
}
