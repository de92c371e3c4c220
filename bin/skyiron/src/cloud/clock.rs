//! What time it is: on PostgreSQL what the database's clock shows, so that processes on machines whose clocks differ agree on
//! what is due, late or silent ([0016](../../../../docs/adr/0016-the-databases-clock-counts.md)).

use anyhow::{Context, Result};
use base::{Clock, FollowingClock, SystemClock, Timestamp};
use platform_bus::Timing;
use platform_db::{Db, DbError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the database is asked. In between a machine's monotonic clock goes wrong by less than a millisecond.
const EVERY: Duration = Duration::from_secs(5);
/// A machine's clock is worth a line in the log once it is off by so much more or less than at the last one.
const TOLD: Duration = Duration::from_secs(1);

/// A process's clock.
pub(super) enum CloudClock {
    /// Alone on SQLite.
    Own,
    /// The database is asked.
    OfDatabase(Arc<FollowingClock>, Db),
    /// Knows no database: hears it beside answers on the bus.
    Heard(Arc<FollowingClock>),
}

impl CloudClock {
    pub(super) async fn start(db: Option<&Db>) -> Result<Self> {
        let Some(db) = db else { return Ok(Self::Heard(unset())) };
        let clock = unset();
        match ask(db, &clock).await.context("the database's clock")? {
            true => Ok(Self::OfDatabase(clock, db.clone())),
            false => Ok(Self::Own),
        }
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Own => Arc::new(SystemClock),
            Self::OfDatabase(clock, _) | Self::Heard(clock) => clock.clone(),
        }
    }

    /// Who has a database tells the time to those who have none.
    pub(super) fn timing(&self) -> Timing {
        match self {
            Self::Heard(clock) => Timing::Hears(clock.clone()),
            Self::Own | Self::OfDatabase(..) => Timing::Tells(self.clock()),
        }
    }

    /// Keeps it right until `stop`, and says what the machine's own clock is off by.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let (clock, db) = match self {
            Self::Own => return,
            Self::OfDatabase(clock, db) => (clock, Some(db)),
            Self::Heard(clock) => (clock, None),
        };
        let mut told = 0;
        loop {
            if let Some(db) = &db
                && let Err(error) = ask(db, &clock).await
            {
                tracing::debug!(%error, "the database does not tell the time");
            }
            told = tell(SystemClock.now(), clock.now(), told);
            tokio::select! {
                biased;
                _ = stop.wait_for(|s| *s) => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

/// The clock that a command goes by which opens a cloud's database from outside.
pub(crate) async fn of_database(db: &Db) -> Result<Arc<dyn Clock>> {
    Ok(CloudClock::start(Some(db)).await?.clock())
}

fn unset() -> Arc<FollowingClock> {
    Arc::new(FollowingClock::starting_at(SystemClock.now()))
}

/// `false`: the database has no clock.
async fn ask(db: &Db, clock: &FollowingClock) -> Result<bool, DbError> {
    let asked = Instant::now();
    let Some(time) = db.now().await? else { return Ok(false) };
    clock.hear(asked, Instant::now(), time);
    Ok(true)
}

/// Gives what was told last, in microseconds.
fn tell(machine: Timestamp, cloud: Timestamp, told: i64) -> i64 {
    let ahead = machine.0.saturating_sub(cloud.0);
    let off = Duration::from_micros(ahead.unsigned_abs());
    let sign = if ahead < 0 { -1.0 } else { 1.0 };
    metrics::gauge!("skyiron_clock_ahead_seconds").set(sign * off.as_secs_f64());
    if Duration::from_micros(ahead.abs_diff(told)) <= TOLD {
        return told;
    }
    let which = if ahead < 0 { "behind" } else { "ahead of" };
    if off <= TOLD {
        tracing::info!(ahead_secs = sign * off.as_secs_f64(), "this machine's clock is right again");
    } else {
        tracing::warn!(
            ahead_secs = sign * off.as_secs_f64(),
            "this machine's clock is {off:.1?} {which} the database's, by which this process goes"
        );
    }
    ahead
}
