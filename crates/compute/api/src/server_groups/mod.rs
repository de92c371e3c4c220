//! `/os-server-groups`: servers to be kept together or apart.

mod resource;

use crate::ComputeApi;
use platform_http::Route;

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    use resource::{ALL_PROJECTS, CREATE, DELETE, INDEX, SHOW};
    vec![
        Route::get("/os-server-groups", resource::index).policy(&[INDEX, ALL_PROJECTS]).schema("server_groups.index"),
        Route::post("/os-server-groups", resource::create).policy(&[CREATE]).schema("server_groups.create"),
        Route::get("/os-server-groups/{id}", resource::show).policy(&[SHOW]).schema("server_groups.show"),
        Route::delete("/os-server-groups/{id}", resource::delete).policy(&[DELETE]),
    ]
}
