//! What was found, and what can be done about it.

use base::Timestamp;
use futures_util::future::BoxFuture;
use platform_db::{DbError, Tx};

/// Mends one finding, if it is still there: `false` if it is not, or not any more as it was seen; the transaction is
/// then undone. Holds what it judges by before it judges.
pub type Mend = Box<dyn for<'t> FnOnce(&'t mut Tx, Timestamp) -> BoxFuture<'t, Result<bool, DbError>> + Send>;

pub enum Remedy {
    /// Can be put right without harm, and how, in words.
    Safe(&'static str, Mend),
    /// Only a person can decide: what to look at and do.
    Person(&'static str),
}

/// Something that must hold and does not.
pub struct Finding {
    /// The uuid of what it is about, under which its history is kept.
    pub subject: String,
    /// Tells two findings about one subject apart; the same at each look.
    pub key: String,
    /// Ids and the figures that disagree. Never a secret.
    pub proof: String,
    pub remedy: Remedy,
}

impl Finding {
    pub(crate) fn new(subject: impl Into<String>, proof: String, remedy: Remedy) -> Self {
        Self { subject: subject.into(), key: String::new(), proof, remedy }
    }
    pub(crate) fn key(self, key: impl Into<String>) -> Self {
        Self { key: key.into(), ..self }
    }
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.subject == other.subject && self.key == other.key
    }
}

/// A closure as a [`Mend`].
pub(crate) fn mend<F>(f: F) -> Mend
where
    F: for<'t> FnOnce(&'t mut Tx, Timestamp) -> BoxFuture<'t, Result<bool, DbError>> + Send + 'static,
{
    Box::new(f)
}
