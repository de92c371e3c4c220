use sqlx::error::ErrorKind;
use std::time::Duration;

/// What went wrong, in the terms callers decide by.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("no such row")]
    NotFound,
    /// A unique index refused the row; the engine's own words name it.
    #[error("already exists: {0}")]
    Duplicate(String),
    #[error("refers to something that does not exist, or is still referred to: {0}")]
    ForeignKey(String),
    /// Worth trying again later.
    #[error("the database is not available")]
    Unavailable(#[from] Unavailable),
    /// PostgreSQL ended a statement: it took longer than `database.statement_timeout_secs`, or an administrator said so.
    #[error("the database ended a statement before its end: {0}")]
    Cancelled(String),
    #[error("the database's disk is full")]
    Full,
    /// A value this engine cannot take: text with a NUL character, or a pattern that is none to its regular expressions.
    /// PostgreSQL only; the caller's input is to blame.
    #[error("a value cannot be stored or searched for: {0}")]
    Unacceptable(String),
    #[error("{0}")]
    BadUrl(String),
    #[error("migration {name}: {why}")]
    Migration { name: String, why: String },
    /// A copy of one database into another: what is wrong with either, or differs afterwards.
    #[error("{0}")]
    Copy(String),
    #[error("database")]
    Other(#[source] sqlx::Error),
    /// The commit did not reach the disk; nothing of the transaction is stored.
    #[error("commit failed: {0}")]
    Commit(String),
}

/// Why the database cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// No session can be had. A probe finds out when that is over.
    #[error("PostgreSQL cannot be reached: {0}")]
    Away(String),
    #[error("no connection became free within {waited:?}: all {connections} are in use")]
    Exhausted { connections: u32, waited: Duration },
    /// The connection ended while it was used. If that was in a commit, no one knows whether it was stored.
    #[error("the connection was lost")]
    Lost(#[source] sqlx::Error),
    /// Too many wanted the same rows at once, or another process holds SQLite's file.
    #[error("others were in the way")]
    Busy(#[source] sqlx::Error),
    #[error("it has been closed")]
    Closed,
}

impl DbError {
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate(_))
    }
    pub fn worth_retrying(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Cancelled(_))
    }
}

/// The session is over: 57P01..03 are said by a server that goes down or comes up, 08… of connections, 25P03 to who did
/// nothing in a transaction for too long.
pub(crate) fn is_broken(e: &sqlx::Error) -> bool {
    match e {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(d) => {
            d.code().is_some_and(|code| code.starts_with("57P0") || code.starts_with("08") || code == "25P03")
        }
        _ => false,
    }
}

impl From<sqlx::Error> for DbError {
    fn from(e: sqlx::Error) -> Self {
        match &e {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::PoolTimedOut => {
                Unavailable::Exhausted { connections: crate::SQLITE_READERS, waited: crate::ACQUIRE_PATIENCE }.into()
            }
            sqlx::Error::PoolClosed => Unavailable::Closed.into(),
            _ if is_broken(&e) => Unavailable::Lost(e).into(),
            sqlx::Error::Database(d) => {
                // SQLITE_FULL is 13; PostgreSQL's disk_full is 53100.
                let code = d.code().map(|c| c.into_owned()).unwrap_or_default();
                match d.kind() {
                    ErrorKind::UniqueViolation => Self::Duplicate(d.message().to_owned()),
                    ErrorKind::ForeignKeyViolation => Self::ForeignKey(d.message().to_owned()),
                    _ if code == "13" || code == "53100" => Self::Full,
                    // 5: SQLITE_BUSY; deadlock_detected, serialization_failure
                    _ if code == "5" || code == "40P01" || code == "40001" => Unavailable::Busy(e).into(),
                    // query_canceled
                    _ if code == "57014" => Self::Cancelled(d.message().to_owned()),
                    // character_not_in_repertoire, invalid_regular_expression
                    _ if code == "22021" || code == "2201B" => Self::Unacceptable(d.message().to_owned()),
                    _ => Self::Other(e),
                }
            }
            _ => Self::Other(e),
        }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(c) = cause {
        let said = c.to_string();
        // some errors repeat their cause in their own words
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = c.source();
    }
    text
}
