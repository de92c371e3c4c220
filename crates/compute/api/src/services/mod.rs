//! `/os-services`: the parts of this cloud that do work, which of them live, and which get new servers.

mod change;
mod delete;
mod list;
mod view;

use crate::{ComputeApi, faults};
use compute_store::hosts::COMPUTE;
use compute_store::hypervisors::hypervisor_of_host;
use compute_store::services::Service;
use placement::{COMPUTE_STATUS_DISABLED, StoreError};
use platform_db::Tx;
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

/// Has placement know that a compute host gets no new servers, or gets them again.
pub(crate) async fn tell_placement(tx: &mut Tx, service: &Service) -> Result<(), Fault> {
    let provider = hypervisor_of_host(tx, &service.host).await.map_err(faults::db)?;
    let Some(provider) = provider else { return Ok(()) };
    match placement::store::trait_switch(tx, provider, COMPUTE_STATUS_DISABLED, service.disabled).await {
        // it is made, as the host says it is, when the host next registers
        Ok(_) | Err(StoreError::ProviderNotFound(_)) => Ok(()),
        Err(error) => Err(faults::placement(error)),
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
