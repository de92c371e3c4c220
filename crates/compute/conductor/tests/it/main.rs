//! The conductor with a real database, placement and engine; its hosts are scripted.

mod build;
mod crowd;
mod delete;
mod evacuate;
mod groups;
mod host;
mod power;
mod recover;
mod reports;
mod returned;
mod world;
