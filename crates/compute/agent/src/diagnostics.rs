//! What running guests use.

use base::HostName;
use compute_model::assignment::{DiagnosticsReply, DiagnosticsRequest, subject};
use compute_model::driver::{Driver, DriverError};
use compute_model::states::PowerState;
use platform_bus::{Bus, Subscription};
use std::sync::Arc;

pub(crate) fn serve(bus: &dyn Bus, host: &HostName, driver: Arc<dyn Driver>) -> Subscription {
    platform_bus::serve(bus, &subject::diagnostics(host.as_str()), move |q: DiagnosticsRequest| {
        let driver = driver.clone();
        async move {
            match driver.diagnostics(q.instance).await {
                Ok(found) => Ok(DiagnosticsReply::Running(found)),
                Err(DriverError::WrongState { power, .. }) => Ok(DiagnosticsReply::Not(power)),
                Err(DriverError::NoSuchGuest(_)) => Ok(DiagnosticsReply::Not(PowerState::NoState)),
                Err(error) => Err(error.to_string()),
            }
        }
    })
}
