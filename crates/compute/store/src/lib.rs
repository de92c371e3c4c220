//! Compute's tables, one file each. Functions are `noun_verb`, so that typing the noun shows what can be done with it.
//!
//! What changes several tables together takes a [`Tx`] and is put into one transaction by the caller; what only reads
//! is a method of [`Store`]. Roles that own no database (agent, drivers) never see this crate.

pub mod aggregates;
pub mod assignments;
pub mod evacuations;
pub mod flavors;
pub mod forget;
pub mod hosts;
pub mod hypervisors;
pub mod instance_actions;
pub mod instance_changes;
pub mod instance_list;
pub mod instance_moves;
pub mod instances;
pub mod keypairs;
pub mod migration_list;
pub mod migrations;
pub mod neighbours;
pub mod quota_limits;
pub mod quotas;
pub mod server_groups;
pub mod services;
pub mod unknown_guests;
pub mod usages;

use base::{Clock, Timestamp};
use platform_db::Db;
use std::sync::Arc;

/// Compute's part of the one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl Store {
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }
    pub fn db(&self) -> &Db {
        &self.db
    }
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
