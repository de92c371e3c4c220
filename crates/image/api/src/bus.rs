//! The registry as a role somewhere else.

use async_trait::async_trait;
use image_model::{BUS_SUBJECT, Carrier, RegistryCall, RegistryError, RegistryReply, Remote};
use platform_bus::Bus;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an answer; the longest call is a list of 1,000.
const PATIENCE: Duration = Duration::from_secs(30);

/// Carries calls over the bus.
#[derive(Clone)]
pub struct BusRegistry(Arc<dyn Bus>);

impl BusRegistry {
    /// A registry that whoever serves [`BUS_SUBJECT`] answers for.
    pub fn on(bus: Arc<dyn Bus>) -> Remote<Self> {
        Remote(Self(bus))
    }
}

#[async_trait]
impl Carrier for BusRegistry {
    async fn carry(&self, call: RegistryCall) -> Result<RegistryReply, RegistryError> {
        let reply: Result<Result<RegistryReply, RegistryError>, _> =
            platform_bus::call(&*self.0, BUS_SUBJECT, &call, PATIENCE).await;
        reply.unwrap_or_else(|e| Err(RegistryError::Unavailable(e.to_string())))
    }
}
