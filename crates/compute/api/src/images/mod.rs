//! `/images`, up to 2.35, and `/images/{id}/metadata`, up to 2.38: the image service's images in Nova's old shape.

mod metadata;
mod read;
mod view;

use crate::ComputeApi;
use base::ImageId;
use image_model::{Image, ProxyError, SourceError};
use platform_http::{Call, Fault, Route};

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    let images = [
        Route::get("/images", read::index).schema("images.index"),
        Route::get("/images/detail", read::detail).schema("images.detail"),
        Route::get("/images/{id}", read::show).schema("images.show"),
        Route::delete("/images/{id}", read::delete),
    ];
    let (all, one) = ("/images/{id}/metadata", "/images/{id}/metadata/{key}");
    let metadata = [
        Route::get(all, metadata::index),
        Route::post(all, metadata::merge).schema("image_metadata.create"),
        Route::put(all, metadata::replace).schema("image_metadata.update_all"),
        Route::get(one, metadata::show),
        Route::put(one, metadata::set).schema("image_metadata.update"),
        Route::delete(one, metadata::delete),
    ];
    let until = |minor: u16| move |route: Route<ComputeApi>| route.until(2, minor);
    images.into_iter().map(until(35)).chain(metadata.into_iter().map(until(38))).collect()
}

fn not_found() -> Fault {
    Fault::not_found("Image not found.")
}

fn id_of(call: &Call) -> Result<ImageId, Fault> {
    call.param("id").parse().map_err(|_| not_found())
}

/// The image `{id}` of the path, if the caller may see it.
async fn in_path(api: &ComputeApi, call: &Call) -> Result<Image, Fault> {
    api.images.show(&call.cx, id_of(call)?).await.map_err(|e| match e {
        SourceError::Unavailable(why) => unavailable(&why),
        SourceError::NotFound(_) | SourceError::NotActive { .. } => not_found(),
    })
}

fn unavailable(why: &str) -> Fault {
    Fault::unavailable(format!("The image service cannot answer now: {why}"))
}

fn refused(error: ProxyError) -> Fault {
    match error {
        ProxyError::NotFound => not_found(),
        ProxyError::Forbidden(why) => Fault::forbidden(why),
        ProxyError::Refused(why) => Fault::bad_request(why),
        ProxyError::Unavailable(why) => unavailable(&why),
    }
}
