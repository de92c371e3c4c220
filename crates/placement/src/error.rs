//! Why a change was refused.

use base::ProviderId;
use platform_db::DbError;

/// What a store function refuses with. Names are those of the request, so that a person can find the slip.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("No resource provider with uuid {0} found")]
    ProviderNotFound(String),
    #[error("resource provider generation conflict")]
    ProviderConflict(ProviderId),
    #[error("consumer generation conflict")]
    ConsumerConflict { consumer: String, expected: Option<i64>, stored: Option<i64> },
    #[error("No such resource class {0}")]
    ClassNotFound(String),
    #[error("No such trait(s): {}.", .0.join(", "))]
    TraitsNotFound(Vec<String>),
    #[error("Inventory for '{class}' on resource provider '{provider}' in use.")]
    InventoryInUse { provider: ProviderId, class: String },
    #[error("There is no inventory of {class} on resource provider {provider}.")]
    NoInventory { provider: ProviderId, class: String },
    #[error("{amount} of {class} violates min_unit, max_unit or step_size of resource provider {provider}.")]
    Units { provider: ProviderId, class: String, amount: u64 },
    #[error("{amount} of {class} exceeds the capacity of resource provider {provider}: {free} of {total} is free.")]
    OverCapacity { provider: ProviderId, class: String, amount: u64, free: u64, total: u64 },
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why a claim was not made. Nothing is changed then, and the transaction can go on: the next host may be tried in it.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The provider is not as the caller last saw it, or is gone: look again.
    #[error("resource provider {0} has changed meanwhile")]
    Conflict(ProviderId),
    /// Taken by others meanwhile, or never enough. `free` and `total` are what is left and what there is for consumers.
    #[error("resource provider {provider} has not enough {class} left: {amount} asked, {free} of {total} free")]
    OverCapacity { provider: ProviderId, class: String, amount: u64, free: u64, total: u64 },
    /// The amount breaks `min_unit`, `max_unit` or `step_size`, or there is no such inventory.
    #[error("resource provider {provider} does not give {amount} {class}: {why}")]
    NotOffered { provider: ProviderId, class: String, amount: u64, why: &'static str },
    /// The consumer holds allocations already: release them, or replace them with [`crate::allocations_replace`].
    #[error("consumer {0} has allocations already")]
    ConsumerExists(String),
    #[error(transparent)]
    Db(#[from] DbError),
}
