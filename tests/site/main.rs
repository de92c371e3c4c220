//! The same cloud by roles: many processes over PostgreSQL and NATS.

mod backup;
mod boundaries;
mod clocks;
mod cold;
mod documented;
mod failover;
mod faults;
mod guests;
mod load;
mod metadata;
mod rolling;
mod silence;
mod versions;
