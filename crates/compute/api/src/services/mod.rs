//! `/os-services`: the parts of this cloud that do work, which of them live, and which get new servers.

mod change;
mod delete;
mod list;
mod view;

use crate::ComputeApi;
use compute_store::hosts::COMPUTE;
use platform_http::{Fault, Route};
use std::time::Duration;

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/os-services", list::index).policy(&[list::LIST]).schema("services.index"),
        Route::put("/os-services/{id}", change::update).policy(&[change::UPDATE]).schema("services.update"),
        Route::delete("/os-services/{id}", delete::delete).policy(&[delete::DELETE]),
    ]
}

impl ComputeApi {
    /// A service that was not seen for longer is down.
    pub(crate) fn service_down_time(&self) -> Duration {
        Duration::from_secs(self.config.service_down_secs)
    }
}

/// Only compute hosts can be taken out of use.
fn compute_only(binary: &str) -> Result<(), Fault> {
    if binary == COMPUTE {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "Updating a {binary} service is not supported. Only nova-compute services can be updated."
    )))
}
