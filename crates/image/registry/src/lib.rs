//! The image tables' owner (glance-registry). Nothing else reads or writes them.
//!
//! [`Store`] implements [`image_model::Registry`]; each call is one transaction, and where two callers could meet, the
//! `WHERE` of an UPDATE decides. [`serve`] offers the same calls on the bus.

mod cached;
mod deletion;
mod details;
mod images;
mod imports;
mod leftovers;
mod list;
mod locations;
mod members;
mod metadef_items;
mod namespaces;
mod progress;
mod release;
mod row;
mod serve;
mod staging;
mod stock;
mod store;
mod tasks;
mod uploads;
mod usage;

pub use release::image_release;
pub use serve::serve;
pub use stock::{Loaded, load_definitions, stock};
pub use store::Store;
