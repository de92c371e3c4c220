//! The same cloud by roles: many processes over PostgreSQL and NATS.

mod boundaries;
mod failover;
mod faults;
mod guests;
mod load;
mod metadata;
mod rolling;
mod versions;
