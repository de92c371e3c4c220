//! The doctor: what must hold in a cloud, as queries over its one database, with proof and, where it is safe, repair.
//!
//! Each file of [`checks`] is one thing that must hold. A check reads in one statement or one [`Snapshot`], so that
//! what others write meanwhile cannot look like a break; and what it finds counts only if a second look, after a pause,
//! finds it again. A [`Mend`] looks a third time: it is one transaction whose first statements hold the rows and ask
//! again whether it is still broken.
//!
//! It works beside a running cloud, in any process that can open the database. It asks no service anything.

pub mod checks;
mod continuous;
mod finding;
mod run;

pub use continuous::watch;
pub use finding::{Finding, Mend, Remedy};
pub use run::{Doctor, Outcome, Report, Settings};

use async_trait::async_trait;
use base::Timestamp;
use image_model::{BackendError, Stores};
use platform_db::{Db, DbError, Snapshot};

/// What a check looks at.
pub struct Look {
    pub db: Db,
    /// Where image data is. `None`: not from here; what is about it is left out.
    pub images: Option<Stores>,
    pub now: Timestamp,
    pub settings: Settings,
}

impl Look {
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, DbError> {
        self.db.snapshot().await
    }

    /// What was to be over by then and is not, is late.
    pub(crate) fn late(&self) -> Timestamp {
        self.now.minus(self.settings.grace)
    }
}

/// One thing that must hold.
#[async_trait]
pub trait Check: Send + Sync {
    /// For `--only` and metrics: `quota_usage`.
    fn name(&self) -> &'static str;
    /// What must hold, and why.
    fn holds(&self) -> &'static str;
    /// Where it does not. At most [`MOST`] findings.
    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError>;
}

/// Findings of one check that are told: more of a kind say no more, and a hundred thousand would fill memory.
pub const MOST: usize = 200;

/// Why a check could not be made. Says nothing about the cloud's health.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the image store")]
    Images(#[from] BackendError),
    #[error("there is no check {name}; there are {known}")]
    NoSuchCheck { name: String, known: String },
}
