//! The image service as clients meet it: real registry (SQLite), real files.

mod archives;
mod cache;
mod cloud;
mod data;
mod elsewhere;
mod errors;
mod every_route;
mod far;
mod hostile;
mod imports;
mod listing;
mod lost;
mod metadefs;
mod patching;
mod quotas;
mod records;
mod sharing;
mod signed;
mod stores;
mod vanishing;
mod web;
