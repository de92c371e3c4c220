//! The image service's REST API, v2 (glance-api): stores, finds and serves images.
//!
//! Holds no database: metadata is the [`Registry`](image_model::Registry)'s, which may be in this process or behind the
//! bus ([`BusRegistry`]); bytes are in [`Stores`](image_model::Stores). What may be done to an image is decided by
//! `image-model` and by policy; a handler allows, translates, calls, renders.
//!
//! | folder | resource |
//! |---|---|
//! | [`images`] | the records |
//! | [`data`] | their bytes: upload (hashes, inspection and storing in one pass) and download |
//! | [`members`], [`tags`], [`actions`], [`locations`] | what else hangs on an image |
//! | [`stores`] | where bytes are kept |
//! | [`cache`] | this node's copies of what is far away |
//! | [`import`], [`tasks`] | data that is staged, fetched or copied by tasks |
//! | [`fetch`] | URLs that users name |
//! | [`signature`] | data that is verified before its image is active |
//! | [`metadefs`] | what properties mean |
//! | [`remote`] | compute in other processes: records over the bus, bytes by ticket |
//! | [`quota`] | unified limits |
//! | [`schemas`], [`versions`] | what the service says of itself |

mod actions;
mod bus;
mod cache;
mod data;
mod fault;
mod fetch;
mod glance;
mod images;
mod import;
mod janitor;
mod locations;
mod members;
mod metadefs;
mod policy;
mod proxy;
mod quota;
mod remote;
mod routes;
mod schemas;
mod signature;
mod source;
mod stores;
mod tags;
mod tasks;
mod versions;

pub use bus::BusRegistry;
pub use cache::{Cache, CacheSettings, keep as keep_cache};
pub use fetch::{FetchSettings, Pace, Resolve, SystemResolver, UrlFilter};
pub use glance::{Glance, ImageApi};
pub use import::{ImportSettings, Imports, Staging, work};
pub use janitor::{tend, tend_alone};
pub use policy::default_policy;
pub use remote::{BusImages, Tickets, serve as serve_on_bus, transfer_routes};
pub use routes::{service, table};
pub use source::LocalImages;
