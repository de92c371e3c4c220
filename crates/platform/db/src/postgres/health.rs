//! Whether PostgreSQL can be reached: what one call has found out spares the others from waiting for the same.

use super::Pool;
use super::timeline::{Refused, Timeline, Timelines};
use crate::error::{Unavailable, chain};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};

/// A server that is asked for a session and says nothing for so long is not there.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// A leap of a large cloud takes some seconds, and others wait for who makes it.
const LEAP_PATIENCE: Duration = Duration::from_secs(60);
/// How often one looks whether it is back.
const PROBE: Duration = Duration::from_millis(250);

pub(super) struct Health {
    options: PgConnectOptions,
    /// Why it cannot be reached.
    away: watch::Sender<Option<String>>,
    /// When the last check began that found it well.
    well: Mutex<Option<Instant>>,
    /// Connections of an older one are not used again: the server they were to has ended.
    generation: AtomicU64,
    timelines: Timelines,
}

/// Why there is no session.
pub(super) enum NoSession {
    /// It has as many as it takes (`max_connections` of the server); it is there.
    Full(String),
    /// It is not there, starts, stops, or does not want us.
    Away { why: String, passes: bool },
}

impl Health {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self {
            options,
            away: watch::Sender::new(None),
            well: Mutex::new(None),
            generation: AtomicU64::new(0),
            timelines: Timelines::default(),
        }
    }

    pub(super) fn timelines(&self) -> &Timelines {
        &self.timelines
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A connection of `generation` has ended unasked: the others of it have, too, or will.
    pub(super) fn broken(&self, generation: u64) {
        let next = generation.wrapping_add(1);
        // fails where somebody else has said so already
        let _already = self.generation.compare_exchange(generation, next, Ordering::AcqRel, Ordering::Acquire);
    }

    /// At once. `Err` as long as it is known to be away.
    pub(super) fn known(&self) -> Result<(), Unavailable> {
        match &*self.away.borrow() {
            None => Ok(()),
            Some(why) => Err(Unavailable::Away(why.clone())),
        }
    }

    /// Returns once it is away.
    pub(super) async fn until_away(&self) -> Unavailable {
        let mut away = self.away.subscribe();
        match away.wait_for(Option::is_some).await {
            Ok(why) => Unavailable::Away(why.clone().unwrap_or_default()),
            Err(_) => Unavailable::Closed,
        }
    }

    /// A new session on a server that has what was stored, or why not: mostly within [`CONNECT_PATIENCE`].
    pub(super) async fn connect(&self) -> Result<PgConnection, NoSession> {
        let mut connection = self.session().await?;
        self.look(&mut connection).await?;
        Ok(connection)
    }

    /// Where a session is. If that is elsewhere than before, no older one is used again.
    pub(super) async fn look(&self, connection: &mut PgConnection) -> Result<(), NoSession> {
        let here = within(CONNECT_PATIENCE, Timeline::of(connection)).await?;
        if self.timelines.knows(&here)? {
            return Ok(());
        }
        if within(LEAP_PATIENCE, self.timelines.note(connection, here)).await? {
            self.broken(self.generation());
        }
        Ok(())
    }

    async fn session(&self) -> Result<PgConnection, NoSession> {
        match tokio::time::timeout(CONNECT_PATIENCE, self.options.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(e)) => {
                let code = e.as_database_error().and_then(|d| d.code()).unwrap_or_default().into_owned();
                // too_many_connections; cannot_connect_now
                match code.as_str() {
                    "53300" => Err(NoSession::Full(chain(&e))),
                    code => {
                        let refused =
                            matches!(&e, sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused);
                        Err(NoSession::Away { why: chain(&e), passes: refused || code == "57P03" })
                    }
                }
            }
            Err(_) => Err(NoSession::Away { why: format!("no answer within {CONNECT_PATIENCE:?}"), passes: true }),
        }
    }
}

impl From<Refused> for NoSession {
    fn from(why: Refused) -> Self {
        Self::Away { passes: !matches!(why, Refused::Failed(_)), why: why.to_string() }
    }
}

/// What a server says of itself, unless it says nothing for so long.
async fn within<T>(patience: Duration, answer: impl Future<Output = Result<T, Refused>>) -> Result<T, NoSession> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(NoSession::Away { why: format!("no answer within {patience:?}"), passes: true }),
    }
}

impl Pool {
    /// Asks for a session, unless somebody has since `suspected`: a hundred calls that fail together ask once.
    pub(super) async fn check(&self, suspected: Instant) -> Result<(), Unavailable> {
        let health = &self.0.health;
        health.known()?;
        let mut well = health.well.lock().await;
        health.known()?;
        if well.is_some_and(|at| at >= suspected) {
            return Ok(());
        }
        let (began, generation) = (Instant::now(), health.generation());
        match health.connect().await {
            Ok(connection) => self.give_back(connection, generation),
            Err(NoSession::Full(_)) => {}
            Err(NoSession::Away { why, .. }) => return Err(self.is_away(why)),
        }
        *well = Some(began);
        Ok(())
    }

    /// From now on every call fails at once, until the probe finds the server again.
    pub(super) fn is_away(&self, why: String) -> Unavailable {
        let news = self.0.health.away.send_if_modified(|away| {
            let news = away.is_none();
            away.get_or_insert_with(|| why.clone());
            news
        });
        if news {
            self.0.health.broken(self.0.health.generation());
            metrics::gauge!("skyiron_db_available").set(0.0);
            tracing::error!(why, "the database cannot be reached: {why}");
            tokio::spawn(probe(self.downgrade()));
        }
        Unavailable::Away(why)
    }
}

/// Ends when the server is back, or the last handle to the database is gone.
async fn probe(pool: super::WeakPool) {
    let since = Instant::now();
    loop {
        tokio::time::sleep(PROBE).await;
        let Some(pool) = pool.upgrade() else { return };
        if pool.0.permits.is_closed() {
            return;
        }
        let generation = pool.0.health.generation();
        match pool.0.health.connect().await {
            Ok(connection) => pool.give_back(connection, generation),
            Err(NoSession::Full(_)) => {}
            Err(NoSession::Away { why, .. }) => {
                // who asks now is told what is wrong now: first it is refused, then it starts
                pool.0.health.away.send_if_modified(|away| away.replace(why).is_none());
                continue;
            }
        }
        metrics::gauge!("skyiron_db_available").set(1.0);
        tracing::info!(after = ?since.elapsed(), "the database is back");
        pool.0.health.away.send_replace(None);
        return;
    }
}
