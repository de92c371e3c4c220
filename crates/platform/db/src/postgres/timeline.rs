//! Whether the server still has what was stored on it.
//!
//! A replica that takes the place of its primary may lack the last commits, unless they waited for it
//! (`synchronous_standby_names`). PostgreSQL begins a new timeline with every promotion. Which one the database was on is
//! kept in it (`database_timelines`); a session that finds itself on another one leaps (see [`crate::leap()`]) before
//! anything else is asked on it, once for all processes, so that what others remember of a lost moment harms nothing.
//! A server that has fallen behind what this process has seen is refused, and so is a standby.

use crate::{POSTGRES_NOW, built, leap};
use sqlx::postgres::PgConnection;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// "timeline" in ASCII: whoever takes note of a new one holds this advisory lock.
const LOCK: i64 = 0x7469_6d65_6c69_6e65;

/// Where a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    /// The same on a primary and its replicas.
    system: String,
    number: i64,
}

/// What this process has seen.
#[derive(Default)]
pub(super) struct Timelines(Mutex<Seen>);

#[derive(Clone, Default)]
struct Seen {
    on: Option<Timeline>,
    losses: u64,
}

/// Why a session must not be used.
pub(super) enum Refused {
    /// Takes no writes.
    Standby,
    /// Another one has taken its place.
    Replaced {
        is: i64,
        seen: i64,
    },
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for Refused {
    fn from(e: sqlx::Error) -> Self {
        Self::Failed(e)
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Standby => write!(f, "it is a standby and takes no writes"),
            Self::Replaced { is, seen } => {
                write!(f, "it is on timeline {is}, and a replica has taken its place since on timeline {seen}")
            }
            Self::Failed(e) => write!(f, "its timeline cannot be told: {}", crate::error::chain(e)),
        }
    }
}

impl Timelines {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        // each change is one assignment
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the database has gone on from an earlier moment, as far as this process knows.
    pub(super) fn losses(&self) -> u64 {
        self.seen().losses
    }

    /// Whether that is where this process has been before.
    pub(super) fn knows(&self, here: &Timeline) -> Result<bool, Refused> {
        match &self.seen().on {
            Some(seen) if seen.system == here.system && seen.number > here.number => {
                Err(Refused::Replaced { is: here.number, seen: seen.number })
            }
            seen => Ok(seen.as_ref() == Some(here)),
        }
    }

    /// Takes note of where the session is, and leaps if that is elsewhere. `true`: sessions of before are elsewhere.
    pub(super) async fn note(&self, connection: &mut PgConnection, here: Timeline) -> Result<bool, Refused> {
        let Some(losses) = note(connection, &here).await? else { return Ok(false) };
        let mut seen = self.seen();
        // two sessions may have looked on both sides of a promotion
        let is_news = seen.on.as_ref().is_none_or(|on| on.system != here.system || on.number < here.number);
        let moved = is_news && seen.on.is_some();
        if is_news {
            *seen = Seen { on: Some(here), losses };
        }
        Ok(moved)
    }
}

impl Timeline {
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, Refused> {
        let (standby, system, file): (bool, String, Option<String>) = sqlx::query_as(
            "SELECT pg_is_in_recovery(), CAST((SELECT system_identifier FROM pg_control_system()) AS TEXT),
                    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END",
        )
        .fetch_one(connection)
        .await?;
        if standby {
            return Err(Refused::Standby);
        }
        // the name of a WAL file begins with its timeline, eight hexadecimal digits
        let number = file.as_deref().and_then(|f| i64::from_str_radix(f.get(..8)?, 16).ok());
        let number = number.ok_or_else(|| sqlx::Error::Protocol(format!("{file:?} is no name of a WAL file")))?;
        Ok(Self { system, number })
    }
}

/// `None`: the schema has no room for it yet.
async fn note(connection: &mut PgConnection, here: &Timeline) -> Result<Option<u64>, sqlx::Error> {
    let there: (bool,) =
        sqlx::query_as("SELECT to_regclass('database_timelines') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there.0 {
        return Ok(None);
    }
    let mut tx = sqlx::Connection::begin(connection).await?;
    sqlx::raw_sql("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    let last: Option<(i64, String, i64)> =
        sqlx::query_as("SELECT number, system, timeline FROM database_timelines ORDER BY number DESC LIMIT 1")
            .fetch_optional(&mut *tx)
            .await?;
    let number = match last {
        Some((number, system, timeline)) if system == here.system && timeline == here.number => {
            tx.rollback().await?;
            return Ok(Some(number.unsigned_abs() - 1));
        }
        Some((number, system, timeline)) => {
            leap::on_postgres(&mut tx).await?;
            tracing::error!(
                from = %format!("{timeline} of {system}"), to = %format!("{} of {}", here.number, here.system),
                "the database is on another server than before: what was stored last may be lost. Hosts are compared \
                 with it; `skyiron doctor` tells what differs"
            );
            metrics::counter!("skyiron_db_timelines_total").increment(1);
            number + 1
        }
        None => 1,
    };
    let noted =
        format!("INSERT INTO database_timelines (number, system, timeline, since) VALUES ($1, $2, $3, {POSTGRES_NOW})");
    sqlx::query(built(noted)).bind(number).bind(&here.system).bind(here.number).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Some(number.unsigned_abs() - 1))
}
