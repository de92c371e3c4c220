//! The same cloud by roles: many processes over PostgreSQL and NATS.

mod boundaries;
mod faults;
mod guests;
mod metadata;
mod rolling;
