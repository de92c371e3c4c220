//! Every route of the service, one a line.

use crate::metadefs::{items, namespaces, resource_types};
use crate::policy::*;
use crate::{
    Glance, actions, cache, data, fault, images, import, locations, members, quota, schemas, stores, tags, tasks,
    versions,
};
use image_model::Draft;
use platform_http::{Authenticate, Route, Service, ServiceSettings};
use std::sync::Arc;

/// Largest JSON body: an image with all the properties it may have, each of a good length.
const JSON_LIMIT: usize = 1 << 20;

/// All routes of the service.
pub fn table() -> Vec<Route<Glance>> {
    let mut all = image_routes();
    all.extend(metadef_routes());
    all
}

fn image_routes() -> Vec<Route<Glance>> {
    vec![
        Route::get("/", versions::choices).open(),
        Route::get("/versions", versions::list).open(),
        Route::get("/v2/schemas/{name}", schemas::show),
        Route::get("/v2/schemas/metadefs/{name}", schemas::show_metadef),
        Route::get("/v2/info/import", import::info),
        Route::get("/v2/info/stores", stores::list),
        Route::get("/v2/info/stores/detail", stores::detail).policy(&[STORES_INFO_DETAIL]),
        Route::delete("/v2/stores/{store_id}/{image_id}", stores::delete_from)
            .policy(&[GET_IMAGE_LOCATION, DELETE_IMAGE_LOCATION]),
        Route::get("/v2/info/usage", quota::usage),
        Route::get("/v2/cache", cache::list).policy(&[CACHE_LIST]),
        Route::delete("/v2/cache", cache::clear).policy(&[CACHE_DELETE]),
        Route::put("/v2/cache/{image_id}", cache::queue).policy(&[CACHE_IMAGE]),
        Route::delete("/v2/cache/{image_id}", cache::delete).policy(&[CACHE_DELETE]),
        Route::post("/v2/cache/clean", cache::clean).policy(&[CACHE_CLEAN]),
        Route::post("/v2/cache/prune", cache::prune).policy(&[CACHE_PRUNE]),
        Route::get("/v2/cache/nodes/{image_id}", cache::nodes).policy(&[LIST_CACHED_NODES]),
        Route::get("/v2/images", images::list::list).policy(&[GET_IMAGES, GET_IMAGE]),
        Route::post("/v2/images", images::create::create).policy(&[ADD_IMAGE, PUBLICIZE_IMAGE, COMMUNITIZE_IMAGE]),
        Route::get("/v2/images/{image_id}", images::show::show).policy(&[GET_IMAGE]),
        Route::patch("/v2/images/{image_id}", images::update::update)
            .policy(&[MODIFY_IMAGE, PUBLICIZE_IMAGE, COMMUNITIZE_IMAGE])
            .accepts(Draft::CONTENT_TYPES),
        Route::delete("/v2/images/{image_id}", images::delete::delete).policy(&[DELETE_IMAGE]),
        Route::put("/v2/images/{image_id}/file", data::upload::upload).policy(&[UPLOAD_IMAGE]).stream(),
        Route::get("/v2/images/{image_id}/file", data::download::download)
            .policy(&[DOWNLOAD_IMAGE, DOWNLOAD_FROM_STORE]),
        Route::put("/v2/images/{image_id}/stage", import::stage).policy(&[MODIFY_IMAGE]).stream(),
        Route::post("/v2/images/{image_id}/import", import::start).policy(&[MODIFY_IMAGE, COPY_IMAGE]),
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
        Route::post("/v2/tasks", tasks::create).policy(&[
            TASKS_API_ACCESS,
            ADD_IMAGE,
            PUBLICIZE_IMAGE,
            COMMUNITIZE_IMAGE,
        ]),
        Route::get("/v2/tasks/{task_id}", tasks::show).policy(&[TASKS_API_ACCESS]),
        Route::delete("/v2/tasks/{task_id}", tasks::delete).policy(&[TASKS_API_ACCESS]),
    ]
}

const NAMESPACE: &str = "/v2/metadefs/namespaces/{namespace_name}";

/// The same calls for a kind of things that a namespace holds.
macro_rules! item_routes {
    ($routes:ident, $kind:ident, $path:literal, $schema:literal) => {
        $routes.extend([
            Route::get(concat!("/v2/metadefs/namespaces/{namespace_name}/", $path), |g, c| {
                items::list(&items::$kind, g, c)
            })
            .policy(&[items::$kind.list, items::$kind.get]),
            Route::get(concat!("/v2/metadefs/namespaces/{namespace_name}/", $path, "/{name}"), |g, c| {
                items::show(&items::$kind, g, c)
            })
            .policy(&[items::$kind.get]),
            Route::put(concat!("/v2/metadefs/namespaces/{namespace_name}/", $path, "/{name}"), |g, c| {
                items::update(&items::$kind, g, c)
            })
            .schema($schema)
            .policy(&[items::$kind.modify]),
            Route::delete(concat!("/v2/metadefs/namespaces/{namespace_name}/", $path, "/{name}"), |g, c| {
                items::delete(&items::$kind, g, c)
            })
            .policy(&[items::$kind.remove]),
        ]);
    };
}

fn metadef_routes() -> Vec<Route<Glance>> {
    let mut all = vec![
        Route::get("/v2/metadefs/resource_types", resource_types::list).policy(&["list_metadef_resource_types"]),
        Route::get("/v2/metadefs/namespaces", namespaces::list).policy(&[
            "get_metadef_namespaces",
            "list_metadef_resource_types",
            "get_metadef_namespace",
        ]),
        Route::post("/v2/metadefs/namespaces", namespaces::create)
            .schema("metadef_namespace")
            .policy(&["add_metadef_namespace"]),
        Route::get(NAMESPACE, namespaces::show).policy(&["get_metadef_namespace"]),
        Route::put(NAMESPACE, namespaces::update).schema("metadef_namespace").policy(&["modify_metadef_namespace"]),
        Route::delete(NAMESPACE, namespaces::delete).policy(&["delete_metadef_namespace"]),
        Route::post("/v2/metadefs/namespaces/{namespace_name}/objects", |g, c| items::create(&items::OBJECTS, g, c))
            .schema("metadef_object")
            .policy(&["add_metadef_object"]),
        Route::delete("/v2/metadefs/namespaces/{namespace_name}/objects", namespaces::clear_objects)
            .policy(&["delete_metadef_namespace"]),
        Route::post("/v2/metadefs/namespaces/{namespace_name}/properties", |g, c| {
            items::create(&items::PROPERTIES, g, c)
        })
        .schema("metadef_property")
        .policy(&["add_metadef_property"]),
        Route::delete("/v2/metadefs/namespaces/{namespace_name}/properties", namespaces::clear_properties)
            .policy(&["delete_metadef_namespace"]),
        Route::post("/v2/metadefs/namespaces/{namespace_name}/tags", items::create_tags)
            .schema("metadef_tag_list")
            .policy(&["add_metadef_tags"]),
        Route::delete("/v2/metadefs/namespaces/{namespace_name}/tags", namespaces::clear_tags)
            .policy(&["delete_metadef_namespace", "delete_metadef_tags"]),
        Route::post("/v2/metadefs/namespaces/{namespace_name}/tags/{name}", items::create_tag)
            .policy(&["add_metadef_tag"]),
        Route::get("/v2/metadefs/namespaces/{namespace_name}/resource_types", |g, c| {
            items::list(&items::ASSOCIATIONS, g, c)
        })
        .policy(&["list_metadef_resource_types", "get_metadef_resource_type"]),
        Route::post("/v2/metadefs/namespaces/{namespace_name}/resource_types", |g, c| {
            items::create(&items::ASSOCIATIONS, g, c)
        })
        .schema("metadef_resource_type")
        .policy(&["add_metadef_resource_type_association"]),
        Route::delete("/v2/metadefs/namespaces/{namespace_name}/resource_types/{name}", |g, c| {
            items::delete(&items::ASSOCIATIONS, g, c)
        })
        .policy(&["remove_metadef_resource_type_association"]),
    ];
    item_routes!(all, OBJECTS, "objects", "metadef_object");
    item_routes!(all, PROPERTIES, "properties", "metadef_property");
    item_routes!(all, TAGS, "tags", "metadef_tag");
    all
}

/// The service, ready to be mounted. `identity_url` is what a 401 names.
pub fn service(glance: Glance, auth: Arc<dyn Authenticate>, identity_url: String) -> Service<Glance> {
    let settings = ServiceSettings {
        name: "image-api",
        faults: Arc::new(fault::WebOb),
        auth,
        identity_url,
        versions: None,
        schemas: Some(schemas::requests()),
        json_limit: JSON_LIMIT,
        request_id_header: None,
        rewrite: Some(versions::rewrite),
        admit: None,
    };
    Service::new(settings, glance, table())
}
