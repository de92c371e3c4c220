//! One suite for all backends, against real servers where there are such, and what only some have.

mod file;
mod http;
mod moody;
mod mount;
mod s3;
mod servers;
mod suite;
mod swift;
mod tls;
