//! Refusals as placement writes them: `{"errors": [{"status", "title", "detail", "code", "request_id"}]}`.

use crate::StoreError;
use base::Microversion;
use http::StatusCode;
use platform_db::DbError;
use platform_http::{Fault, FaultFormat, Reply};
use serde_json::json;

/// Error codes, from 1.23.
pub(super) mod code {
    pub(crate) const UNDEFINED: &str = "placement.undefined_code";
    pub(crate) const INVENTORY_INUSE: &str = "placement.inventory.inuse";
    pub(crate) const CONCURRENT_UPDATE: &str = "placement.concurrent_update";
    pub(crate) const DUPLICATE_NAME: &str = "placement.duplicate_name";
    pub(crate) const PROVIDER_IN_USE: &str = "placement.resource_provider.inuse";
    pub(crate) const CANNOT_DELETE_PARENT: &str = "placement.resource_provider.cannot_delete_parent";
    pub(crate) const PROVIDER_NOT_FOUND: &str = "placement.resource_provider.not_found";
    pub(crate) const DUPLICATE_KEY: &str = "placement.query.duplicate_key";
    pub(crate) const BAD_VALUE: &str = "placement.query.bad_value";
    pub(crate) const MISSING_VALUE: &str = "placement.query.missing_value";
    /// The answer carries none: the request's version is too old for it.
    pub(super) const NONE: &str = "";
}

/// Takes the code away from what older versions get, and gives the general one to what has none.
pub(super) fn for_version(fault: Fault, version: Microversion) -> Fault {
    if version < Microversion::new(1, 23) {
        return fault.code(code::NONE);
    }
    let code = fault.code.unwrap_or(code::UNDEFINED);
    fault.code(code)
}

pub struct PlacementFaults;

impl FaultFormat for PlacementFaults {
    fn render(&self, fault: &Fault, _accept: Option<&str>, request_id: &str) -> Reply {
        let status = fault.status.as_u16();
        let detail = if fault.status == StatusCode::INTERNAL_SERVER_ERROR && fault.message.is_empty() {
            "The server has either erred or is incapable of performing the requested operation."
        } else {
            &fault.message
        };
        let title = fault.status.canonical_reason().unwrap_or_default();
        let mut error = json!({"status": status, "title": title, "detail": detail});
        match fault.code {
            Some(code::NONE) => {}
            code => error["code"] = json!(code.unwrap_or(code::UNDEFINED)),
        }
        error["request_id"] = json!(request_id);
        // only a version that could not be settled is refused with 406 before any handler is asked
        if fault.status == StatusCode::NOT_ACCEPTABLE && fault.code.is_none() {
            error["max_version"] = json!(super::MICROVERSIONS.max.to_string());
            error["min_version"] = json!(super::MICROVERSIONS.min.to_string());
        }
        Reply::json(status, &json!({"errors": [error]}))
    }
}

/// A database's failure: worth another try (503), or our own fault (500).
pub(super) fn db(error: DbError) -> Fault {
    if error.worth_retrying() {
        tracing::warn!(%error, "the database is not available");
        return Fault::unavailable("The database is not available; try again.");
    }
    Fault::internal(&error)
}

pub(super) fn concurrent(message: impl Into<String>) -> Fault {
    Fault::conflict(message.into()).code(code::CONCURRENT_UPDATE)
}

impl From<StoreError> for Fault {
    /// What these mean where a handler has nothing better to say.
    fn from(e: StoreError) -> Self {
        let text = e.to_string();
        match e {
            StoreError::ProviderNotFound(_) => Fault::not_found(text),
            StoreError::ProviderConflict(_) => concurrent(text),
            StoreError::ConsumerConflict { expected, stored, .. } => concurrent(match (stored, expected) {
                (Some(stored), Some(given)) => {
                    format!("consumer generation conflict - expected {stored} but got {given}")
                }
                (Some(stored), None) => format!("consumer generation conflict - expected {stored} but got None"),
                (None, given) => {
                    let given = given.map_or("None".to_owned(), |g| g.to_string());
                    format!("consumer generation conflict - expected null but got {given}")
                }
            }),
            StoreError::ClassNotFound(_) | StoreError::TraitsNotFound(_) => Fault::bad_request(text),
            StoreError::InventoryInUse { .. } => {
                Fault::conflict(format!("update conflict: {text}")).code(code::INVENTORY_INUSE)
            }
            StoreError::NoInventory { .. } | StoreError::Units { .. } | StoreError::OverCapacity { .. } => {
                Fault::conflict(format!("Unable to allocate inventory: {text}"))
            }
            StoreError::Db(e) => db(e),
        }
    }
}
