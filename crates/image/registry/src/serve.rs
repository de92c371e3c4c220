//! The registry as a role of its own: the same calls, over the bus.

use crate::Store;
use image_model::{BUS_SUBJECT, RegistryCall, RegistryError, RegistryReply};
use platform_bus::{Bus, Subscription};
use std::convert::Infallible;

/// Answers calls until the subscription is dropped.
pub fn serve(bus: &dyn Bus, store: Store) -> Subscription {
    platform_bus::serve(bus, BUS_SUBJECT, move |call: RegistryCall| {
        let store = store.clone();
        // a refusal is an answer too: it must arrive as what it is, not as text
        async move { Ok::<Result<RegistryReply, RegistryError>, Infallible>(call.run(&store).await) }
    })
}
