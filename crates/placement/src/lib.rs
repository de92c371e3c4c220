//! Placement: what hosts have to give (inventories), who has taken how much of it (allocations), and where a request
//! could be met (candidates).
//!
//! Two ways in. Other parts of this cloud call the store functions inside their own transaction, so that a claim, a quota
//! use and the server they are for are written together:
//!
//! ```text
//! Placement::candidates(request) → the scheduler picks → db.begin() → claim(tx, …) + server row → commit → Placement::touched
//! ```
//!
//! Everybody else uses the REST API (`api`), OpenStack's placement 1.0 to 1.39.
//!
//! The truth is in the database; [`World`] is a copy in memory for looking, and what is done with what was seen there is
//! judged again by the database (see [`claim`]).

pub mod api;
pub mod candidates;
mod error;
mod inventory;
pub mod store;
mod world;

pub use api::{MICROVERSIONS, PlacementFaults, default_policy, service};
pub use candidates::{Candidate, Cause, Found, Group, Request};
pub use error::{ClaimError, StoreError};
pub use inventory::{Inventory, MAX_INT, Stock};
pub use store::{
    Claim, Consumer, Expect, HostReport, Provider, Replacement, allocations_replace, claim, claim_all, hand_over,
    hosts_report, inventory_replace, release, traits_set,
};
pub use world::{Member, SHARING, View, World};

use base::ProviderId;
use platform_db::{Db, DbError};
use std::sync::Arc;
use tokio::time::Instant;

/// Trait of a compute node whose service an operator has disabled: candidates for servers forbid it.
pub const COMPUTE_STATUS_DISABLED: &str = "COMPUTE_STATUS_DISABLED";

/// Placement as the other parts of this process see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Placement {
    db: Db,
    view: Arc<View>,
}

impl Placement {
    pub fn new(db: Db) -> Self {
        Self { db, view: Arc::default() }
    }

    /// Where the request could be met, and why not elsewhere. Mostly from memory; before "nowhere" is said, every
    /// change committed so far has been looked at.
    pub async fn candidates(&self, request: &Request) -> Result<Found, DbError> {
        let asked = Instant::now();
        self.view.refresh(&self.db).await?;
        let found = self.view.look(|world| candidates::search(world, request));
        if !found.candidates.is_empty() {
            return Ok(found);
        }
        self.candidates_as_of(request, asked).await
    }

    /// Reads what the next look would have to wait for.
    pub async fn look_ahead(&self) -> Result<(), DbError> {
        self.view.refresh(&self.db).await
    }

    /// As [`Self::candidates`], with every change in sight that was committed before `moment`: for those whom the
    /// candidates from memory do not help.
    pub async fn candidates_as_of(&self, request: &Request, moment: Instant) -> Result<Found, DbError> {
        self.view.refresh_all(&self.db, moment).await?;
        Ok(self.view.look(|world| candidates::search(world, request)))
    }

    /// Says that a committed transaction has changed these providers. Without it the next look may be up to a second
    /// behind.
    pub fn touched(&self, providers: impl IntoIterator<Item = ProviderId>) {
        self.view.touch(providers);
    }

    /// Looks at the world as it is committed now.
    async fn look_now<T>(&self, look: impl FnOnce(&World) -> T) -> Result<T, DbError> {
        self.view.refresh_all(&self.db, Instant::now()).await?;
        Ok(self.view.look(look))
    }

    async fn unknown_class<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Option<String>, DbError> {
        store::class_list_missing(&self.db, names.collect()).await.map(|mut missing| missing.pop())
    }

    async fn unknown_traits(&self, names: &[&str]) -> Result<Vec<String>, DbError> {
        store::trait_list_missing(&self.db, names).await
    }
}
