use sqlx::error::ErrorKind;

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
    /// Worth trying again later: no connection, the database restarts, or it is too busy.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
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
    #[error("database")]
    Other(#[source] sqlx::Error),
    /// The commit this transaction shared with others did not reach the disk; nothing of it is stored.
    #[error("commit failed: {0}")]
    Commit(String),
}

impl DbError {
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate(_))
    }
    pub fn worth_retrying(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for DbError {
    fn from(e: sqlx::Error) -> Self {
        match &e {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => Self::Unavailable(e),
            sqlx::Error::Database(d) => {
                // SQLITE_FULL is 13; PostgreSQL's disk_full is 53100, its deadlock_detected 40P01.
                let code = d.code().map(|c| c.into_owned()).unwrap_or_default();
                match d.kind() {
                    ErrorKind::UniqueViolation => Self::Duplicate(d.message().to_owned()),
                    ErrorKind::ForeignKeyViolation => Self::ForeignKey(d.message().to_owned()),
                    _ if code == "13" || code == "53100" => Self::Full,
                    // 57P01..03: the server is going down, or coming up; 08*: connection; 5: SQLITE_BUSY.
                    _ if code.starts_with("57P0") || code.starts_with("08") || code == "5" => Self::Unavailable(e),
                    _ if code == "40P01" || code == "40001" => Self::Unavailable(e),
                    // character_not_in_repertoire, invalid_regular_expression
                    _ if code == "22021" || code == "2201B" => Self::Unacceptable(d.message().to_owned()),
                    _ => Self::Other(e),
                }
            }
            _ => Self::Other(e),
        }
    }
}
