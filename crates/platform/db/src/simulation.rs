//! SQLite in a simulated world: one thread, a clock that stands still while anything can run.
//!
//! SQLite's statements run on threads of sqlx's own. Waited for as usual they would come back in any order, and tokio's
//! paused clock would run ahead meanwhile. So on a thread inside [`enter`] each statement is waited for in place: for the
//! rest of the program it takes no time and happens at one moment. What a statement or a commit costs is then up to the
//! simulation: before each, [`pause`] sleeps as long as the simulation says, which is where others get their turn and
//! where a process may die.
//!
//! The pool of readers is left out: sqlx returns its connections by tasks that ask SQLite.
//!
//! What protects the data stands in the `WHERE` of many an UPDATE. A simulation that wants to know whether it would notice
//! its absence has it left out of the text on its way ([`rewrite`]).

use crate::copy::script;
use crate::group::Writer;
use crate::leap::leap;
use crate::{Db, DbError, Engine, Tx, built};
use base::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, SqlSafeStr, SqlStr};
use std::cell::RefCell;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// What the simulation is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Read,
    Begin,
    /// Of what need not survive a power cut.
    BeginRelaxed,
    /// A statement inside a transaction: every writer waits meanwhile.
    Write,
    Commit,
}

type HowLong = Box<dyn FnMut(Moment) -> Duration>;
type Rewrite = Box<dyn Fn(&str) -> Option<String>>;

thread_local! {
    static HOW_LONG: RefCell<Option<HowLong>> = const { RefCell::new(None) };
    static REWRITE: RefCell<Option<Rewrite>> = const { RefCell::new(None) };
}

/// Ends the simulation on this thread when dropped.
#[must_use = "dropping it ends the simulation at once"]
pub struct Entered(());

/// From now on this thread waits for statements in place, after a pause of `how_long`.
pub fn enter(how_long: impl FnMut(Moment) -> Duration + 'static) -> Entered {
    HOW_LONG.set(Some(Box::new(how_long)));
    Entered(())
}

/// Until the simulation ends, statements of transactions are what `new` makes of them; `None`: as they are.
pub fn rewrite(_simulating: &Entered, new: impl Fn(&str) -> Option<String> + 'static) {
    REWRITE.set(Some(Box::new(new)));
}

impl Drop for Entered {
    fn drop(&mut self) {
        HOW_LONG.set(None);
        REWRITE.set(None);
    }
}

/// The statement as the simulation has it.
pub(crate) fn text(sql: impl SqlSafeStr) -> impl SqlSafeStr {
    let sql: SqlStr = sql.into_sql_str();
    match REWRITE.with_borrow(|rewrite| rewrite.as_ref().and_then(|new| new(sql.as_str()))) {
        Some(new) => AssertSqlSafe(new).into_sql_str(),
        None => sql,
    }
}

/// Lets others run for as long as the simulation says.
pub(crate) async fn pause(moment: Moment) {
    let pause = HOW_LONG.with_borrow_mut(|how_long| how_long.as_mut().map(|f| f(moment)));
    if let Some(pause) = pause.filter(|p| !p.is_zero()) {
        tokio::time::sleep(pause).await;
    }
}

/// Waits for a statement: in place in a simulation, as usual elsewhere.
pub(crate) async fn statement<F: Future>(statement: F) -> F::Output {
    if HOW_LONG.with_borrow(Option::is_some) { in_place(statement) } else { statement.await }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn in_place<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// What the database holds, as a replica has it that now falls behind. Statements must cost nothing meanwhile: it is read in
/// place.
pub async fn held(db: &Db) -> Result<String, DbError> {
    let mut tx = db.begin().await?;
    let text = in_place(script(&mut tx))?;
    tx.undo().await?;
    Ok(text)
}

/// The database goes on from what it [`held`] earlier, as on a replica that is promoted without the last commits: by the
/// leap that PostgreSQL's new timeline causes, and known to everybody. `tx`: nothing else is under way.
pub async fn go_back(db: &Db, mut tx: Tx, held: String, now: Timestamp) -> Result<(), DbError> {
    tx.execute_script(built(held)).await?;
    leap(&mut tx, now).await?;
    tx.commit().await?;
    if let Engine::Simulated { history, .. } = &db.0.engine {
        history.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The one reading connection of a simulation.
pub(crate) struct Reader(Mutex<SqliteConnection>);

impl Reader {
    /// One connection for reading and the writer, on a database that need not survive anything.
    pub(crate) async fn open(options: SqliteConnectOptions) -> Result<(Self, Writer), DbError> {
        let options = options.synchronous(sqlx::sqlite::SqliteSynchronous::Off);
        let writer = Writer::start(&options).await?;
        let connection = statement(options.read_only(true).connect()).await?;
        Ok((Self(Mutex::new(connection)), writer))
    }

    pub(crate) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbError> {
        pause(Moment::Read).await;
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_place(work(&mut connection)).map_err(DbError::from)
    }
}
