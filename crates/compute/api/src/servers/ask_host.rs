//! What only the server's host can say, asked over the bus.

use super::find;
use crate::ComputeApi;
use compute_model::actions::Forbidden;
use compute_store::instances::Instance;
use platform_bus::BusError;
use platform_http::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// 409 for a server that has no host, 503 if its host does not answer.
pub(super) async fn ask<T: DeserializeOwned>(
    api: &ComputeApi,
    instance: &Instance,
    subject: fn(&str) -> String,
    request: &(impl Serialize + Sync),
) -> Result<T, Fault> {
    let Some(host) = &instance.host else { return Err(find::refused(Forbidden::NotReady(instance.id()))) };
    let subject = subject(host);
    platform_bus::call(api.bus.as_ref(), &subject, request, PATIENCE).await.map_err(|error| match error {
        BusError::NobodyThere { .. } | BusError::Away { .. } | BusError::Silent { .. } | BusError::Gone { .. } => {
            tracing::warn!(host, subject, %error, "host {host} does not answer about {}", instance.uuid);
            Fault::unavailable("The server's host does not answer.")
        }
        error => Fault::internal(&error),
    })
}
