//! Every route of the service, one a line.

use crate::policy::*;
use crate::{Glance, actions, data, fault, images, info, locations, members, schemas, tags, tasks, versions};
use image_model::Draft;
use platform_http::{Authenticate, Route, Service, ServiceSettings};
use std::sync::Arc;

/// Largest JSON body: an image with all the properties it may have, each of a good length.
const JSON_LIMIT: usize = 1 << 20;

pub fn table() -> Vec<Route<Glance>> {
    vec![
        Route::get("/", versions::choices).open(),
        Route::get("/versions", versions::list).open(),
        Route::get("/v2/schemas/{name}", schemas::show),
        Route::get("/v2/schemas/metadefs/{name}", schemas::show_metadef),
        Route::get("/v2/info/import", info::import),
        Route::get("/v2/info/stores", info::stores),
        Route::get("/v2/info/stores/detail", info::stores),
        Route::get("/v2/info/usage", info::usage),
        Route::get("/v2/images", images::list::list).policy(&[GET_IMAGES, GET_IMAGE]),
        Route::post("/v2/images", images::create::create).policy(&[ADD_IMAGE, PUBLICIZE_IMAGE, COMMUNITIZE_IMAGE]),
        Route::get("/v2/images/{image_id}", images::show::show).policy(&[GET_IMAGE]),
        Route::patch("/v2/images/{image_id}", images::update::update)
            .policy(&[MODIFY_IMAGE, PUBLICIZE_IMAGE, COMMUNITIZE_IMAGE])
            .accepts(Draft::CONTENT_TYPES),
        Route::delete("/v2/images/{image_id}", images::delete::delete).policy(&[DELETE_IMAGE]),
        Route::put("/v2/images/{image_id}/file", data::upload::upload).policy(&[UPLOAD_IMAGE]).stream(),
        Route::get("/v2/images/{image_id}/file", data::download::download).policy(&[DOWNLOAD_IMAGE]),
        Route::put("/v2/images/{image_id}/stage", info::stage).stream(),
        Route::post("/v2/images/{image_id}/import", info::start_import),
        Route::get("/v2/images/{image_id}/tasks", tasks::of_image).policy(&[GET_IMAGE]),
        Route::post("/v2/images/{image_id}/actions/deactivate", actions::deactivate).policy(&[DEACTIVATE]),
        Route::post("/v2/images/{image_id}/actions/reactivate", actions::reactivate).policy(&[REACTIVATE]),
        Route::get("/v2/images/{image_id}/locations", locations::list).policy(&[FETCH_LOCATION]),
        Route::post("/v2/images/{image_id}/locations", locations::add).policy(&[ADD_LOCATION]),
        Route::put("/v2/images/{image_id}/tags/{tag}", tags::add).policy(&[MODIFY_IMAGE]),
        Route::delete("/v2/images/{image_id}/tags/{tag}", tags::remove).policy(&[MODIFY_IMAGE]),
        Route::get("/v2/images/{image_id}/members", members::list).policy(&[GET_MEMBERS, GET_MEMBER]),
        Route::post("/v2/images/{image_id}/members", members::create).policy(&[ADD_MEMBER]),
        Route::get("/v2/images/{image_id}/members/{member_id}", members::show).policy(&[GET_MEMBER]),
        Route::put("/v2/images/{image_id}/members/{member_id}", members::update).policy(&[GET_MEMBER, MODIFY_MEMBER]),
        Route::delete("/v2/images/{image_id}/members/{member_id}", members::delete)
            .policy(&[GET_MEMBER, DELETE_MEMBER]),
        Route::get("/v2/tasks", tasks::list).policy(&[TASKS_API_ACCESS]),
        Route::get("/v2/tasks/{task_id}", tasks::show).policy(&[TASKS_API_ACCESS]),
    ]
}

/// The service, ready to be mounted. `identity_url` is what a 401 names.
pub fn service(glance: Glance, auth: Arc<dyn Authenticate>, identity_url: String) -> Service<Glance> {
    let settings = ServiceSettings {
        name: "image-api",
        faults: Arc::new(fault::WebOb),
        auth,
        identity_url,
        versions: None,
        schemas: None,
        json_limit: JSON_LIMIT,
        request_id_header: None,
        rewrite: Some(versions::rewrite),
        admit: None,
    };
    Service::new(settings, glance, table())
}
