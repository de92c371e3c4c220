//! For tests: a private NATS server, a bus that loses messages, and the suite that every bus must pass.

mod lossy;
mod nats_server;
mod suite;
mod tls;

pub use lossy::{LossyBus, Odds};
pub use nats_server::NatsServer;
pub use suite::behaves;
pub use tls::Authority;
