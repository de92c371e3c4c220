//! The buses, as their users see them; NATS is a real server of each test's own.

mod away;
mod drain;
mod lossy;
mod same;
mod secure;
mod timed;
mod versions;

use platform_bus::testing::NatsServer;
use platform_bus::{Bus, NatsBus, Settings};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that stands.
async fn connected(settings: &Settings) -> NatsBus {
    let bus = NatsBus::open(settings).await.unwrap();
    tokio::time::timeout(PATIENCE, bus.connected()).await.expect("the server is there");
    bus
}

async fn connected_to(server: &NatsServer) -> NatsBus {
    connected(&server.settings()).await
}
