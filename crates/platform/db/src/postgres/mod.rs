//! Connections to PostgreSQL.
//!
//! A pool of our own, for three things: a call fails at once while the server is away ([`health`]), a server that was
//! started again is met with new connections instead of errors, and a connection that was left in order goes back
//! without being asked first whether it is (a round trip for each statement).

mod connection;
mod health;
mod timeline;

pub(crate) use connection::{Connection, Transaction};

use crate::error::Unavailable;
use crate::{ACQUIRE_PATIENCE, DbError};
use health::{Health, NoSession};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What was not used for so long is ended: a crowd's connections go when the crowd has.
const IDLE: Duration = Duration::from_secs(600);
/// A server full of other people's sessions is asked again after this.
const FULL_PAUSE: Duration = Duration::from_millis(50);
/// A statement without an answer for so long is a reason to look whether the server is still there.
const SILENCE: Duration = Duration::from_secs(1);
/// How often one looks again while the statement goes on.
const SILENCE_AGAIN: Duration = Duration::from_secs(5);
/// How long a stop waits for what still uses connections.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

pub(crate) struct WeakPool(Weak<Inner>);

struct Inner {
    health: Health,
    limit: u32,
    permits: Arc<Semaphore>,
    /// The last used at the end: it is used next.
    idle: Mutex<VecDeque<Idle>>,
}

struct Idle {
    connection: PgConnection,
    generation: u64,
    since: Instant,
}

impl Pool {
    /// Waits a moment for a server that is just starting.
    pub(crate) async fn open(options: PgConnectOptions, limit: u32) -> Result<Self, DbError> {
        let limit = limit.max(1);
        let pool = Self(Arc::new(Inner {
            health: Health::new(options),
            limit,
            permits: Arc::new(Semaphore::new(limit as usize)),
            idle: Mutex::default(),
        }));
        let started = Instant::now();
        let generation = pool.0.health.generation();
        loop {
            let (why, passes) = match pool.0.health.connect().await {
                Ok(connection) => {
                    pool.give_back(connection, generation);
                    return Ok(pool);
                }
                Err(NoSession::Full(why)) => (why, true),
                Err(NoSession::Away { why, passes }) => (why, passes),
            };
            if !passes || started.elapsed() > ACQUIRE_PATIENCE {
                return Err(Unavailable::Away(why).into());
            }
            tokio::time::sleep(FULL_PAUSE).await;
        }
    }

    /// See [`Db::history`](crate::Db::history).
    pub(crate) fn history(&self) -> u64 {
        self.0.health.timelines().history()
    }

    /// See [`Db::losses`](crate::Db::losses).
    pub(crate) fn losses(&self) -> u64 {
        self.0.health.timelines().losses()
    }

    /// Takes note of where it is, now that the schema has room for it.
    pub(crate) async fn look(&self) -> Result<(), DbError> {
        let mut connection = self.acquire().await?;
        match self.0.health.look(connection.raw()?).await {
            Ok(()) => connection.in_order(),
            Err(NoSession::Full(why) | NoSession::Away { why, .. }) => return Err(Unavailable::Away(why).into()),
        }
        Ok(())
    }

    fn downgrade(&self) -> WeakPool {
        WeakPool(Arc::downgrade(&self.0))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<Idle>> {
        // whoever panicked did so between two whole states
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reusable(&self) -> Option<Idle> {
        let generation = self.0.health.generation();
        let mut idle = self.idle();
        while let Some(last) = idle.pop_back() {
            if last.generation == generation {
                return Some(last);
            }
        }
        None
    }

    /// Puts a connection that is in order where the next call finds it.
    fn give_back(&self, connection: PgConnection, generation: u64) {
        let now = Instant::now();
        let mut idle = self.idle();
        idle.push_back(Idle { connection, generation, since: now });
        let many = idle.len() > self.0.limit as usize;
        let spare = idle.pop_front_if(|first| many || now.duration_since(first.since) > IDLE);
        drop(idle);
        if let (Some(spare), Ok(runtime)) = (spare, tokio::runtime::Handle::try_current()) {
            runtime.spawn(spare.connection.close());
        }
    }

    /// A connection of the pool, or why there is none: at once while the server is known to be away.
    pub(crate) async fn acquire(&self) -> Result<Connection, Unavailable> {
        self.0.health.known()?;
        let permit = match self.0.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait_for_permit().await?,
        };
        let started = Instant::now();
        loop {
            if let Some(Idle { connection, generation, .. }) = self.reusable() {
                return Ok(Connection::new(self.clone(), connection, generation, permit));
            }
            let generation = self.0.health.generation();
            match self.0.health.connect().await {
                Ok(connection) => return Ok(Connection::new(self.clone(), connection, generation, permit)),
                Err(NoSession::Away { why, .. }) => return Err(self.is_away(why)),
                Err(NoSession::Full(why)) if started.elapsed() > ACQUIRE_PATIENCE => {
                    return Err(Unavailable::Away(why));
                }
                Err(NoSession::Full(_)) => tokio::time::sleep(FULL_PAUSE).await,
            }
            self.0.health.known()?;
        }
    }

    async fn wait_for_permit(&self) -> Result<OwnedSemaphorePermit, Unavailable> {
        let waiting = tokio::time::timeout(ACQUIRE_PATIENCE, self.0.permits.clone().acquire_owned());
        tokio::select! {
            permit = waiting => match permit {
                Ok(Ok(permit)) => Ok(permit),
                Ok(Err(_)) => Err(Unavailable::Closed),
                Err(_) => Err(Unavailable::Exhausted { connections: self.0.limit, waited: ACQUIRE_PATIENCE }),
            },
            away = self.0.health.until_away() => Err(away),
        }
    }

    /// Waits for a statement, but not for a server that has gone without a word.
    async fn watched<R>(
        &self,
        work: impl Future<Output = Result<R, sqlx::Error>>,
    ) -> Result<Result<R, sqlx::Error>, Unavailable> {
        let mut work = pin!(work);
        if let Ok(done) = tokio::time::timeout(SILENCE, &mut work).await {
            return Ok(done);
        }
        loop {
            let silence = async {
                self.check(Instant::now()).await?;
                match tokio::time::timeout(SILENCE_AGAIN, self.0.health.until_away()).await {
                    Ok(away) => Err(away),
                    Err(_) => Ok(()),
                }
            };
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                gone = silence => gone?,
            }
        }
    }

    pub(crate) async fn close(&self) {
        let all = self.0.permits.acquire_many(self.0.limit);
        // what has not ended by then is cut off
        let _all_or_late = tokio::time::timeout(CLOSE_PATIENCE, all).await;
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for one in idle {
            // a server that is gone cannot be told
            let _told = tokio::time::timeout(CLOSE_PATIENCE, one.connection.close()).await;
        }
    }
}

impl WeakPool {
    fn upgrade(&self) -> Option<Pool> {
        self.0.upgrade().map(Pool)
    }
}
