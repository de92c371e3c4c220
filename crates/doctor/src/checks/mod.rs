//! What must hold, one file each. The numbers I1 … I10 are those of the design's list of invariants; I9 is about bare
//! metal, which there is none of.

mod allocations;
mod guests;
mod history;
mod hosts;
mod image_bytes;
mod image_data;
mod images_work;
mod inventories;
mod one_operation;
mod operations;
mod quota;
mod references;
mod secrets;
mod server_allocations;
mod work;

use crate::Check;

/// In the order they are made: cheap ones first, then those that read long.
pub fn all() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(inventories::InventoryUse),
        Box::new(allocations::OrphanAllocations),
        Box::new(server_allocations::ServerAllocations),
        Box::new(quota::QuotaUsage),
        Box::new(work::ServersHaveWork),
        Box::new(one_operation::OneOperation),
        Box::new(operations::OperationsEnd),
        Box::new(operations::OperationsKnown),
        Box::new(images_work::ImagesHaveWork),
        Box::new(hosts::OneHost),
        Box::new(guests::KnownGuests),
        Box::new(references::References),
        Box::new(history::History),
        Box::new(image_data::ImageData),
        Box::new(image_bytes::ImageBytes),
        Box::new(secrets::NoSecrets),
    ]
}
