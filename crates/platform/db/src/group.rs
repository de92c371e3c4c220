//! Group commit on SQLite.
//!
//! A disk syncs a few hundred times a second, and a durable commit is a sync: one transaction each would cap the whole
//! cloud at that. So one task owns the one writing connection. Writers take turns on it, each inside a savepoint of a
//! common transaction; when no one else waits (or the batch is full) the task commits once and tells all of them.
//!
//! ```text
//! writer A ──turn──▶ BEGIN · SAVEPOINT · A's statements · RELEASE ┐
//! writer B ──turn──▶         SAVEPOINT · B's statements · RELEASE ├─ COMMIT ─▶ A and B return from commit()
//! writer C ──turn──▶         SAVEPOINT · C's statements · drop    ┘            C's are rolled back to its savepoint
//! ```
//!
//! Work that is under way goes before work that begins: under more requests than there is time for, what has been answered
//! with 202 is done, and it is the requests that wait.
//!
//! A turn may be dropped at any await (a client went away): the connection travels back by `Drop`, so nobody hangs.

use crate::simulation::{Moment, pause, statement};
use crate::{DbError, Durability, Order};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Most transactions that share one commit.
const BATCH: usize = 256;
/// Longest time a batch stays open while writers keep coming.
const BATCH_OPEN: Duration = Duration::from_millis(5);
/// Of so many turns one is given to work that only begins, if some waits.
const FAIR: u32 = 5;
/// A turn longer than this holds up everybody: worth a line in the log.
const SLOW_TURN: Duration = Duration::from_millis(500);

/// More find no place to wait in and wait for one.
const WAIT_AT_MOST: usize = 4096;

pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
    ahead: mpsc::Sender<Waiting>,
}

enum Message {
    Turn(Waiting),
    Stop(oneshot::Sender<()>),
}

struct Waiting {
    durability: Durability,
    go: oneshot::Sender<Turn>,
}

/// The right to use the writing connection, until committed or dropped.
pub(crate) struct Turn {
    connection: Option<SqliteConnection>,
    back: Option<oneshot::Sender<Back>>,
}

struct Back {
    connection: SqliteConnection,
    end: End,
    /// Who waits for the shared commit.
    tell: Option<Tell>,
}

/// What becomes of a turn's own statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Keep,
    Undo,
}

impl Turn {
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, DbError> {
        self.connection.as_mut().ok_or_else(|| DbError::Commit("the transaction has ended".into()))
    }

    pub(crate) async fn commit(self) -> Result<(), DbError> {
        self.end(End::Keep).await
    }

    /// Returns when what it has seen of the turns before it is stored.
    pub(crate) async fn undo(self) -> Result<(), DbError> {
        self.end(End::Undo).await
    }

    async fn end(mut self, end: End) -> Result<(), DbError> {
        let (tell, told) = oneshot::channel();
        self.give_back(end, Some(tell));
        match told.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(DbError::Commit(why)),
            Err(_) => Err(DbError::Commit("the database's writer has stopped".into())),
        }
    }

    fn give_back(&mut self, end: End, tell: Option<Tell>) {
        if let (Some(connection), Some(back)) = (self.connection.take(), self.back.take()) {
            // fails only when the writer task is gone, and then the connection's own drop rolls back
            let _gone = back.send(Back { connection, end, tell });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.give_back(End::Undo, None);
    }
}

impl Writer {
    pub(crate) async fn start(options: &SqliteConnectOptions) -> Result<Self, DbError> {
        let connection = statement(options.connect()).await?;
        let (queue, incoming) = mpsc::channel(WAIT_AT_MOST);
        let (ahead, goes_before) = mpsc::channel(WAIT_AT_MOST);
        let task = Task {
            options: options.clone(),
            connection: Some(connection),
            synchronous: Durability::PowerLoss,
            queue: incoming,
            ahead: goes_before,
            in_a_row: 0,
            carried: None,
        };
        tokio::spawn(task.run());
        Ok(Self { queue, ahead })
    }

    pub(crate) async fn turn(&self, durability: Durability, order: Order) -> Result<Turn, DbError> {
        let (go, ready) = oneshot::channel();
        let waiting = Waiting { durability, go };
        let sent = match order {
            Order::Ahead => self.ahead.send(waiting).await.is_ok(),
            Order::Behind => self.queue.send(Message::Turn(waiting)).await.is_ok(),
        };
        let ready = if sent { ready.await.ok() } else { None };
        ready.ok_or_else(|| DbError::Commit("the database's writer has stopped".into()))
    }

    pub(crate) async fn stop(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Message::Stop(tell)).await.is_ok() {
            let _stopped = told.await;
        }
    }
}

/// The writer task's state.
struct Task {
    options: SqliteConnectOptions,
    /// `None` after it was lost; the next turn opens a new one.
    connection: Option<SqliteConnection>,
    synchronous: Durability,
    queue: mpsc::Receiver<Message>,
    ahead: mpsc::Receiver<Waiting>,
    /// Turns given to [`Order::Ahead`] since the last one of the others.
    in_a_row: u32,
    /// Read from the queue but not for the batch that was open then.
    carried: Option<Message>,
}

impl Task {
    async fn run(mut self) {
        while let Some(message) = self.next_message().await {
            match message {
                Message::Stop(tell) => {
                    if let Some(c) = self.connection.take() {
                        let _closed = statement(c.close()).await;
                    }
                    let _nobody = tell.send(());
                    return;
                }
                Message::Turn(first) => {
                    let open = match self.connection.take() {
                        Some(c) => Ok(c),
                        None => statement(self.options.connect()).await,
                    };
                    match open {
                        Ok(c) => self.connection = self.batch(c, first).await,
                        // dropping `first` tells the writer; the next one tries to connect again
                        Err(error) => tracing::error!(%error, "cannot open the database for writing"),
                    }
                }
            }
        }
    }

    async fn next_message(&mut self) -> Option<Message> {
        match self.carried.take() {
            Some(m) => Some(m),
            None => match self.waits() {
                Some(m) => Some(m),
                None => tokio::select! {
                    biased;
                    Some(w) = self.ahead.recv() => Some(Message::Turn(w)),
                    m = self.queue.recv() => m,
                },
            },
        }
    }

    /// Who waits now, in turn.
    fn waits(&mut self) -> Option<Message> {
        if self.in_a_row + 1 < FAIR
            && let Ok(w) = self.ahead.try_recv()
        {
            self.in_a_row += 1;
            return Some(Message::Turn(w));
        }
        self.in_a_row = 0;
        self.queue.try_recv().ok().or_else(|| self.ahead.try_recv().ok().map(Message::Turn))
    }

    /// The next writer that already waits and may share this batch's commit. Who needs less than the batch gives may
    /// join it; who needs more is carried to the next batch.
    fn next_to_join(&mut self, batch: Durability) -> Option<Waiting> {
        match self.waits()? {
            Message::Turn(w) if w.durability == batch || batch == Durability::PowerLoss => Some(w),
            other => {
                self.carried = Some(other);
                None
            }
        }
    }

    async fn set_durability(&mut self, c: &mut SqliteConnection, wanted: Durability) -> Result<(), sqlx::Error> {
        if self.synchronous != wanted {
            let pragma = match wanted {
                Durability::PowerLoss => "PRAGMA synchronous = FULL",
                Durability::ProcessDeath => "PRAGMA synchronous = NORMAL",
            };
            statement(c.execute(pragma)).await?;
            self.synchronous = wanted;
        }
        Ok(())
    }

    /// One common transaction. Returns the connection unless it was lost.
    async fn batch(&mut self, mut c: SqliteConnection, first: Waiting) -> Option<SqliteConnection> {
        let durability = first.durability;
        let begun = match self.set_durability(&mut c, durability).await {
            Ok(()) => statement(c.execute("BEGIN IMMEDIATE")).await.map(drop),
            Err(e) => Err(e),
        };
        if let Err(error) = begun {
            tracing::error!(%error, "cannot begin a transaction");
            return None;
        }
        let opened = Instant::now();
        let mut committing = Vec::new();
        let mut broken = None;
        let mut next = Some(first);
        while let Some(waiting) = next.take() {
            match one_turn(c, waiting).await {
                Ok((returned, done)) => {
                    c = returned;
                    committing.extend(done);
                }
                Err((returned, why)) => {
                    broken = Some(why);
                    match returned {
                        Some(returned) => c = returned,
                        None => {
                            settle(committing, Err("the connection was lost".into()));
                            return None;
                        }
                    }
                    break;
                }
            }
            if committing.len() < BATCH && opened.elapsed() < BATCH_OPEN && self.carried.is_none() {
                next = self.next_to_join(durability);
            }
        }
        let result = match broken {
            Some(why) => Err(why),
            None => {
                pause(Moment::Commit).await;
                statement(c.execute("COMMIT")).await.map(drop).map_err(|e| e.to_string())
            }
        };
        if result.is_err() {
            // fails where SQLite has rolled back by itself already
            let _already = statement(c.execute("ROLLBACK")).await;
        }
        settle(committing, result);
        Some(c)
    }
}

/// Tells everyone who shared a commit how it went.
fn settle(committing: Vec<Tell>, result: Result<(), String>) {
    metrics::histogram!("skyiron_db_commit_transactions").record(committing.len() as f64);
    if let Err(why) = &result {
        tracing::error!(why, transactions = committing.len(), "a shared commit failed");
    }
    for tell in committing {
        let _gone = tell.send(result.clone());
    }
}

type Tell = oneshot::Sender<Result<(), String>>;

/// Hands the connection to one writer. `Err`: the whole common transaction is lost.
async fn one_turn(
    mut c: SqliteConnection,
    waiting: Waiting,
) -> Result<(SqliteConnection, Option<Tell>), (Option<SqliteConnection>, String)> {
    if let Err(e) = statement(c.execute("SAVEPOINT turn")).await {
        return Err((Some(c), e.to_string()));
    }
    let started = Instant::now();
    let (back, mut returned) = oneshot::channel();
    let turn = Turn { connection: Some(c), back: Some(back) };
    if let Err(turn) = waiting.go.send(turn) {
        drop(turn); // the writer gave up waiting: its drop sends the connection back
    }
    let back = match tokio::time::timeout(SLOW_TURN, &mut returned).await {
        Ok(back) => back,
        Err(_) => {
            // said while it lasts: it may never end
            tracing::warn!("a transaction is holding up all writers");
            let back = returned.await;
            tracing::warn!(took = ?started.elapsed(), "a transaction has held up all writers");
            back
        }
    };
    let Ok(Back { connection: mut c, end, tell }) = back else {
        return Err((None, "a writer lost the connection".into()));
    };
    let ended = match end {
        End::Keep => statement(c.execute("RELEASE turn")).await,
        End::Undo => statement(c.execute("ROLLBACK TO turn; RELEASE turn")).await,
    };
    match ended {
        Ok(_) => Ok((c, tell)),
        // SQLite itself rolled everything back (disk full, I/O error)
        Err(e) => {
            let why = e.to_string();
            if let Some(tell) = tell {
                let _gone = tell.send(Err(why.clone()));
            }
            Err((Some(c), why))
        }
    }
}
