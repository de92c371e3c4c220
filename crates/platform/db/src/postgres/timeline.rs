//! Whether the server still has what was stored on it.
//!
//! A replica that takes the place of its primary may lack the last commits, unless they waited for it
//! (`synchronous_standby_names`). PostgreSQL begins a new timeline with every promotion. Which one the database was on is
//! kept in it (`database_timelines`); a session that finds itself on another one leaps (see [`crate::leap()`]) before
//! anything else is asked on it, once for all processes, so that what others remember of a lost moment harms nothing.
//! Two replicas of one primary begin timelines of the same number: they are told apart by when that was noted.
//! A server that has fallen behind what this process has seen is refused, and so is a standby.

use crate::{POSTGRES_NOW, built, leap};
use base::Timestamp;
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
    /// What the database says of its being there; `None`: this session is the first to find it there.
    noted: Option<Noted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    /// When a session first found it there, by the database's clock, in microseconds.
    since: i64,
    /// How many it has been on, this one included.
    count: i64,
}

/// What this process has seen.
#[derive(Default)]
pub(super) struct Timelines(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    on: Option<Timeline>,
    /// Where the database was before; promotions are few.
    left: Vec<Timeline>,
}

impl Seen {
    /// Whether the database has been there, and is elsewhere now.
    fn has_left(&self, there: &Timeline) -> bool {
        let is_lower = |on: &Timeline| on.system == there.system && on.number > there.number;
        self.left.contains(there) || self.on.as_ref().is_some_and(is_lower)
    }
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noted(&self) -> Option<Noted> {
        self.seen().on.as_ref().and_then(|on| on.noted)
    }

    /// See [`crate::Db::history`].
    pub(super) fn history(&self) -> u64 {
        self.noted().map_or(0, |noted| noted.since.unsigned_abs())
    }

    /// See [`crate::Db::losses`].
    pub(super) fn losses(&self) -> u64 {
        self.noted().map_or(0, |noted| noted.count.unsigned_abs().saturating_sub(1))
    }

    /// Whether that is where this process has been before.
    pub(super) fn knows(&self, here: &Timeline) -> Result<bool, Refused> {
        let seen = self.seen();
        match &seen.on {
            Some(on) if seen.has_left(here) => Err(Refused::Replaced { is: here.number, seen: on.number }),
            on => Ok(here.noted.is_some() && on.as_ref() == Some(here)),
        }
    }

    /// Takes note of where the session is, and leaps if that is elsewhere. `true`: sessions of before are elsewhere.
    pub(super) async fn note(&self, connection: &mut PgConnection, here: Timeline) -> Result<bool, Refused> {
        let after = self.noted().map_or(0, |noted| noted.since);
        let Some(noted) = note(connection, &here, after).await? else { return Ok(false) };
        let here = Timeline { noted: Some(noted), ..here };
        let mut seen = self.seen();
        // two sessions may have looked on both sides of a promotion
        if seen.on.as_ref() == Some(&here) || seen.has_left(&here) {
            return Ok(false);
        }
        let before = seen.on.replace(here);
        let moved = before.is_some();
        seen.left.extend(before);
        Ok(moved)
    }
}

impl Timeline {
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, Refused> {
        let (standby, system, file, there): (bool, String, Option<String>, bool) = sqlx::query_as(
            "SELECT pg_is_in_recovery(), CAST((SELECT system_identifier FROM pg_control_system()) AS TEXT),
                    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END,
                    to_regclass('database_timelines') IS NOT NULL",
        )
        .fetch_one(&mut *connection)
        .await?;
        if standby {
            return Err(Refused::Standby);
        }
        // the name of a WAL file begins with its timeline, eight hexadecimal digits
        let number = file.as_deref().and_then(|f| i64::from_str_radix(f.get(..8)?, 16).ok());
        let number = number.ok_or_else(|| sqlx::Error::Protocol(format!("{file:?} is no name of a WAL file")))?;
        let last = if there { last(connection).await? } else { None };
        let noted = last.filter(|l| l.is(&system, number)).map(|l| l.noted());
        Ok(Self { system, number, noted })
    }
}

/// Where the database was last, by its own account.
#[derive(sqlx::FromRow)]
struct Last {
    number: i64,
    system: String,
    timeline: i64,
    since: i64,
}

impl Last {
    fn noted(&self) -> Noted {
        Noted { since: self.since, count: self.number }
    }

    fn is(&self, system: &str, timeline: i64) -> bool {
        self.system == system && self.timeline == timeline
    }
}

async fn last(connection: &mut PgConnection) -> Result<Option<Last>, sqlx::Error> {
    sqlx::query_as("SELECT number, system, timeline, since FROM database_timelines ORDER BY number DESC LIMIT 1")
        .fetch_optional(connection)
        .await
}

/// `after`: when it was noted elsewhere, as far as this process knows; the clocks of two servers may differ. `None`: the
/// schema has no room for it yet.
async fn note(connection: &mut PgConnection, here: &Timeline, after: i64) -> Result<Option<Noted>, sqlx::Error> {
    let there: (bool,) =
        sqlx::query_as("SELECT to_regclass('database_timelines') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there.0 {
        return Ok(None);
    }
    let mut tx = sqlx::Connection::begin(connection).await?;
    sqlx::raw_sql("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    let (now,): (i64,) = sqlx::query_as(built(format!("SELECT {POSTGRES_NOW}"))).fetch_one(&mut *tx).await?;
    let since = now.max(after + 1);
    let count = match last(&mut tx).await? {
        Some(last) if last.is(&here.system, here.number) => {
            tx.rollback().await?;
            return Ok(Some(last.noted()));
        }
        Some(Last { number, system, timeline, .. }) => {
            leap::on_postgres(&mut tx, Timestamp(since)).await?;
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
    let noted = "INSERT INTO database_timelines (number, system, timeline, since) VALUES ($1, $2, $3, $4)";
    sqlx::query(noted).bind(count).bind(&here.system).bind(here.number).bind(since).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Some(Noted { since, count }))
}
