//! The registry on both engines.

mod cached;
mod images;
mod imports;
mod leftovers;
mod listing;
mod members;
mod metadefs;
mod over_the_bus;
mod uploads;

use base::{Clock, ProjectId, RequestId, Timestamp};
use image_model::{Image, Limits, Location, Registry, StoredData, Viewer, new_image};
use image_registry::Store;
use platform_db::Db;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that moves a second at every look.
#[derive(Debug)]
struct Ticking(AtomicI64);

const START: i64 = 1_700_000_000_000_000;

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000_000, Ordering::SeqCst))
    }
}

fn store(db: Db) -> Store {
    Store::with_clock(db, Arc::new(Ticking(AtomicI64::new(START))))
}

fn request() -> RequestId {
    "req-1".into()
}

fn project(name: &str) -> Viewer {
    Viewer { project: Some(name.into()), admin: false }
}

fn wanted(owner: &str, body: Value, at: i64) -> Image {
    let owner = ProjectId::from(owner);
    new_image(&body, Some(&owner), Timestamp(START + at * 1_000_000), &Limits::default()).unwrap()
}

async fn created(store: &Store, owner: &str, body: Value, at: i64) -> Image {
    store.image_create(wanted(owner, body, at), request()).await.unwrap()
}

async fn shown(store: &Store, image: &Image) -> Image {
    store.image_show(image.id, Viewer::cloud()).await.unwrap().expect("it is there")
}

fn bare() -> Value {
    json!({"disk_format": "raw", "container_format": "bare"})
}

fn at(url: &str) -> Location {
    Location { store: "main".into(), url: url.into() }
}

fn stored(url: &str) -> StoredData {
    StoredData {
        location: at(url),
        size: 10,
        virtual_size: Some(20),
        checksum: Some("c".repeat(32)),
        os_hash_algo: Some("sha512".into()),
        os_hash_value: Some("d".repeat(128)),
    }
}
