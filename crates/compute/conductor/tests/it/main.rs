//! The conductor with a real database, placement and engine; its hosts are scripted.

mod build;
mod crowd;
mod delete;
mod groups;
mod host;
mod power;
mod reports;
mod world;
