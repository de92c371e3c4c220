//! What goes wrong, in the terms of the wire. Keystone's words, each in one place.

use crate::password::{Busy, HashError};
use crate::token::KeyError;
use base::policy::PolicyError;
use platform_db::DbError;
use platform_http::{Fault, StatusCode};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not who they say, not known, locked, disabled: the caller is not told which.
    #[error("The request you have made requires authentication.")]
    Unauthorized,
    /// A refusal whose reason the caller may know.
    #[error("{message}")]
    Refused { status: StatusCode, message: String },
    /// Too many failures: again after this time.
    #[error("Too many failed logins. Try again later.")]
    TooMany(Duration),
    #[error("database")]
    Db(#[from] DbError),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("policy")]
    Policy(#[from] PolicyError),
    #[error("starting threads for passwords")]
    Threads(#[from] std::io::Error),
    #[error("stored JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    fn refused(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Refused { status, message: message.into() }
    }
    /// `what`: `user`, `project` … as Keystone calls it in the sentence.
    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::refused(StatusCode::NOT_FOUND, format!("Could not find {what}: {id}."))
    }
    pub(crate) fn gone_missing(message: impl Into<String>) -> Self {
        Self::refused(StatusCode::NOT_FOUND, message)
    }
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, message)
    }
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::refused(StatusCode::FORBIDDEN, message)
    }
    pub(crate) fn forbidden_action(action: &str) -> Self {
        Self::forbidden(format!("You are not authorized to perform the requested action: {action}."))
    }
    pub(crate) fn conflict(what: &str, details: &str) -> Self {
        Self::refused(StatusCode::CONFLICT, format!("Conflict occurred attempting to store {what} - {details}."))
    }
    pub(crate) fn missing(attribute: &str, target: &str) -> Self {
        Self::bad_request(format!(
            "Expecting to find {attribute} in {target}. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."
        ))
    }
    /// A body that is no JSON object.
    pub(crate) fn malformed() -> Self {
        Self::missing("valid JSON", "request body")
    }
    pub(crate) fn unauthorized_because(message: impl Into<String>) -> Self {
        Self::refused(StatusCode::UNAUTHORIZED, message)
    }
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        match e {
            // an empty message becomes the stock 401 with WWW-Authenticate
            Error::Unauthorized => Self::unauthorized(""),
            Error::Refused { status, message } => Self::new(status, message),
            Error::TooMany(wait) => Self::new(StatusCode::TOO_MANY_REQUESTS, e.to_string())
                .header("retry-after", &(wait.as_secs() + 1).to_string()),
            Error::Busy(busy) => Self::unavailable(busy.to_string()),
            // what a statement refers to went away, or came, since it was looked up
            Error::Db(DbError::ForeignKey(_) | DbError::Duplicate(_)) => {
                Self::conflict("Conflict occurred attempting to store - something it refers to has just changed.")
            }
            Error::Db(db) if db.worth_retrying() => Self::unavailable("The database is not available."),
            other => Self::internal(&other),
        }
    }
}

/// A unique index said no: the name is taken.
pub(crate) fn duplicate_is(what: &'static str, details: impl FnOnce() -> String) -> impl FnOnce(DbError) -> Error {
    move |e| if e.is_duplicate() { Error::conflict(what, &details()) } else { Error::Db(e) }
}
