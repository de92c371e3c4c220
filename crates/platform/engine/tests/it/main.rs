//! Operations survive their workers, and only one worker's word counts.

use async_trait::async_trait;
use base::{Clock, SystemClock, Timestamp};
use platform_bus::{Bus, LocalBus};
use platform_db::testing::on_each_engine;
use platform_db::{Db, args};
use platform_engine::{
    Engine, EngineSettings, Flow, NewOperation, Next, Operation, Resumed, Step, StepError, WAKE, enqueue, hold_running,
    purge, resume, supersede,
};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const SOON: Duration = Duration::from_secs(10);

/// A flow made of a function, that notes each step it is asked for.
struct Scripted<F> {
    asked: Mutex<Vec<String>>,
    step: F,
}

#[async_trait]
impl<F> Flow for Scripted<F>
where
    F: Fn(&Operation, usize) -> Result<Step, StepError> + Send + Sync,
{
    fn kind(&self) -> &'static str {
        "test.flow"
    }
    fn steps(&self) -> &'static [&'static str] {
        &["one", "two", "waiting", "reported"]
    }
    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let n = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(op.step.clone());
            asked.len()
        };
        (self.step)(op, n)
    }
    async fn give_up(&self, _: &Operation) -> Result<Step, StepError> {
        self.asked.lock().unwrap().push("give_up".into());
        Ok(Step::new(Next::Failed("too late".into())))
    }
}

mod together;

struct Bench {
    db: Db,
    bus: Arc<LocalBus>,
    stop: watch::Sender<bool>,
}

impl Bench {
    fn new(db: &Db) -> Self {
        Self { db: db.clone(), bus: Arc::default(), stop: watch::Sender::new(false) }
    }

    fn worker(&self, owner: &str, lease: Duration, flow: Arc<dyn Flow>) -> tokio::task::JoinHandle<()> {
        let settings =
            EngineSettings { owner: owner.into(), lease, interval: Duration::from_millis(20), concurrency: 8 };
        let engine = Engine::new(self.db.clone(), self.bus.clone(), Arc::new(SystemClock), settings, vec![flow]);
        tokio::spawn(engine.run(self.stop.subscribe()))
    }

    async fn enqueue(&self, deadline: Timestamp) -> String {
        let mut tx = self.db.begin().await.unwrap();
        let op = NewOperation {
            kind: "test.flow",
            subject: "s".into(),
            project_id: None,
            request_id: None,
            step: "one",
            data: json!({}),
            deadline,
        };
        let id = enqueue(&mut tx, SystemClock.now(), op).await.unwrap();
        tx.commit().await.unwrap();
        self.bus.hint(WAKE);
        id.to_string()
    }

    async fn until_state(&self, id: &str, wanted: &str) {
        let look = async {
            loop {
                let (state,): (String,) =
                    self.db.fetch_one("SELECT state FROM operations WHERE id = $1", args![id]).await.unwrap();
                if state == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, look).await.unwrap_or_else(|_| panic!("never {wanted}"));
    }
}

fn later(d: Duration) -> Timestamp {
    SystemClock.now().plus(d)
}

fn scripted<F>(step: F) -> Arc<Scripted<F>>
where
    F: Fn(&Operation, usize) -> Result<Step, StepError> + Send + Sync + 'static,
{
    Arc::new(Scripted { asked: Mutex::default(), step })
}

#[tokio::test]
async fn steps_follow_each_other_and_failures_are_tried_again() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        let flow = scripted(|op, n| match (op.step.as_str(), n) {
            ("one", 1) => Err(StepError::Retry("not yet".into())),
            ("one", 2) => Err(StepError::Changed("look again".into())),
            ("one", _) => Ok(Step::new(Next::Move("two")).data(json!({"seen": 1}))),
            _ if op.data["seen"] == 1 => Ok(Step::new(Next::Done)),
            other => panic!("{other:?}"),
        });
        let _worker = b.worker("a", Duration::from_secs(5), flow.clone());
        let id = b.enqueue(later(SOON)).await;
        b.until_state(&id, "done").await;
        assert_eq!(*flow.asked.lock().unwrap(), ["one", "one", "one", "two"]);
        b.stop.send_replace(true);
    })
    .await;
}

#[tokio::test]
async fn an_effect_is_stored_with_its_outcome_or_not_at_all() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        let flow = scripted(|_, n| {
            Ok(Step::new(Next::Done).effect(move |tx| {
                Box::pin(async move {
                    tx.execute("INSERT INTO sequences (name, value) VALUES ('written', $1)", args![n]).await?;
                    if n == 1 { Err(StepError::Changed("lost a race".into())) } else { Ok(()) }
                })
            }))
        });
        let _worker = b.worker("a", Duration::from_secs(5), flow);
        let id = b.enqueue(later(SOON)).await;
        b.until_state(&id, "done").await;
        let (value,): (i64,) =
            db.fetch_one("SELECT value FROM sequences WHERE name = 'written'", args![]).await.unwrap();
        assert_eq!(value, 2);
        b.stop.send_replace(true);
    })
    .await;
}

/// Sleeps past its lease on its first call, like a process that was stopped and went on.
struct Sleepy {
    calls: AtomicUsize,
    sleeps: Duration,
}

#[async_trait]
impl Flow for Sleepy {
    fn kind(&self) -> &'static str {
        "test.flow"
    }
    fn steps(&self) -> &'static [&'static str] {
        &["one", "two", "waiting", "reported"]
    }
    async fn step(&self, _: &Operation) -> Result<Step, StepError> {
        let mine = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if mine == 1 {
            // blocks the thread, so that the step's own time limit cannot end it: a stopped process cannot either
            tokio::task::block_in_place(|| std::thread::sleep(self.sleeps));
        }
        Ok(Step::new(Next::Done).effect(move |tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO sequences (name, value) VALUES ($1, 1)", args![format!("by {mine}")]).await?;
                Ok(())
            })
        }))
    }
    async fn give_up(&self, op: &Operation) -> Result<Step, StepError> {
        self.step(op).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_slept_past_its_lease_is_refused() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        let lease = Duration::from_millis(300);
        let flow = Arc::new(Sleepy { calls: AtomicUsize::new(0), sleeps: lease * 5 });
        let first = b.worker("a", lease, flow.clone());
        let second = b.worker("b", lease, flow.clone());
        let id = b.enqueue(later(SOON)).await;
        b.until_state(&id, "done").await;
        b.stop.send_replace(true);
        for worker in [first, second] {
            tokio::time::timeout(SOON, worker).await.expect("the sleeper wakes").unwrap();
        }
        let written: Vec<(String,)> = db.fetch_all("SELECT name FROM sequences", args![]).await.unwrap();
        assert_eq!(written.len(), 1, "one worker's word counts: {written:?}");
        assert!(flow.calls.load(Ordering::SeqCst) >= 2, "the other one took over");
    })
    .await;
}

/// Its step has been stored when it ends, and the answer got lost: as after a connection that breaks at COMMIT.
struct Unheard(Db);

#[async_trait]
impl Flow for Unheard {
    fn kind(&self) -> &'static str {
        "test.flow"
    }
    fn steps(&self) -> &'static [&'static str] {
        &["one", "waiting"]
    }
    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let mut tx = self.0.begin().await?;
        // a move stays leased to its worker
        let kept = if op.data["then"] == "fails" { "lease_until" } else { "0" };
        let stored =
            format!("UPDATE operations SET step = 'waiting', wake_at = deadline, lease_until = {kept} WHERE id = $1");
        tx.execute(platform_db::built(stored), args![op.id]).await?;
        tx.execute("UPDATE sequences SET value = value + 1 WHERE name = 'steps'", args![]).await?;
        tx.commit().await?;
        match op.data["then"].as_str() {
            Some("fails") => Err(StepError::Retry("not stored, as far as is known".into())),
            _ => Ok(Step::new(Next::Failed("nothing came of it".into()))),
        }
    }
    async fn give_up(&self, op: &Operation) -> Result<Step, StepError> {
        self.step(op).await
    }
}

#[tokio::test]
async fn a_step_whose_storing_was_not_heard_of_is_not_taken_again() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        let mut tx = db.begin().await.unwrap();
        tx.execute("INSERT INTO sequences (name, value) VALUES ('steps', 0)", args![]).await.unwrap();
        tx.commit().await.unwrap();
        for then in ["fails", "ends"] {
            let id = b.enqueue(later(SOON * 10)).await;
            let mut tx = db.begin().await.unwrap();
            let data = json!({"then": then}).to_string();
            tx.execute("UPDATE operations SET data = $2 WHERE id = $1", args![&id, data]).await.unwrap();
            tx.commit().await.unwrap();
        }
        let worker = b.worker("a", SOON, Arc::new(Unheard(db.clone())));
        let all_taken = async {
            let sql = "SELECT value FROM sequences WHERE name = 'steps'";
            while db.fetch_one::<(i64,)>(sql, args![]).await.unwrap().0 < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, all_taken).await.expect("both take their step");
        // what was under way ends first
        b.stop.send_replace(true);
        worker.await.unwrap();
        let rows: Vec<(String, String, i64, i64)> =
            db.fetch_all("SELECT state, step, attempts, lease_until FROM operations", args![]).await.unwrap();
        let waits = ("running".to_owned(), "waiting".to_owned(), 0, 0);
        assert_eq!(rows, [waits.clone(), waits], "each waits for what it waits for, and is due when it was to be");
    })
    .await;
}

#[tokio::test]
async fn a_waiting_operation_is_resumed_once_and_only_where_it_waits() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        let flow = scripted(|op, _| match op.step.as_str() {
            "one" => Ok(Step::new(Next::Wait {
                step: "waiting",
                why: "a report".into(),
                until: SystemClock.now().plus(SOON * 6),
            })),
            "reported" => Ok(Step::new(Next::Done)),
            other => panic!("{other}"),
        });
        let _worker = b.worker("a", Duration::from_secs(5), flow.clone());
        let id = b.enqueue(later(SOON * 6)).await;
        let standing = async {
            loop {
                let row: (String, Option<String>) =
                    db.fetch_one("SELECT step, waiting_for FROM operations WHERE id = $1", args![&id]).await.unwrap();
                if row.0 == "waiting" {
                    assert_eq!(row.1.as_deref(), Some("a report"));
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, standing).await.unwrap();
        let data = json!({});
        for (at, wanted) in [("elsewhere", false), ("waiting", true), ("waiting", false)] {
            let mut tx = db.begin().await.unwrap();
            let done = resume(&mut tx, SystemClock.now(), &id, at, Resumed::At("reported", &data)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(done, wanted, "{at}");
        }
        b.bus.hint(WAKE);
        b.until_state(&id, "done").await;
        b.stop.send_replace(true);
    })
    .await;
}

#[tokio::test]
async fn when_the_deadline_passes_something_decides() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        let flow = scripted(|_, _| Err(StepError::Retry("never".into())));
        let _worker = b.worker("a", Duration::from_secs(5), flow.clone());
        let id = b.enqueue(later(Duration::from_millis(200))).await;
        b.until_state(&id, "failed").await;
        assert_eq!(flow.asked.lock().unwrap().last().map(String::as_str), Some("give_up"));
        b.stop.send_replace(true);
    })
    .await;
}

#[tokio::test]
async fn what_is_superseded_is_never_run_again() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        let id = b.enqueue(later(SOON)).await;
        let mut tx = db.begin().await.unwrap();
        assert_eq!(supersede(&mut tx, SystemClock.now(), "s").await.unwrap(), 1);
        tx.commit().await.unwrap();
        let flow = scripted(|_, _| Ok(Step::new(Next::Done)));
        let _worker = b.worker("a", Duration::from_secs(5), flow.clone());
        let other = b.enqueue(later(SOON)).await;
        b.until_state(&other, "done").await;
        b.until_state(&id, "done").await;
        assert_eq!(flow.asked.lock().unwrap().len(), 1);
        b.stop.send_replace(true);
    })
    .await;
}

#[tokio::test]
async fn what_an_answer_ends_is_over_as_it_says() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        for (resumed, state, why) in [(Resumed::Done, "done", None), (Resumed::Failed("no"), "failed", Some("no"))] {
            let id = b.enqueue(later(SOON)).await;
            let mut tx = db.begin().await.unwrap();
            assert_eq!(hold_running(&mut tx, &id).await.unwrap(), Some(("test.flow".into(), json!({}))));
            assert!(resume(&mut tx, SystemClock.now(), &id, "one", resumed).await.unwrap());
            assert_eq!(hold_running(&mut tx, &id).await.unwrap(), None);
            tx.commit().await.unwrap();
            let row: (String, Option<String>) =
                db.fetch_one("SELECT state, waiting_for FROM operations WHERE id = $1", args![&id]).await.unwrap();
            assert_eq!((row.0.as_str(), row.1.as_deref()), (state, why));
        }
    })
    .await;
}

#[tokio::test]
async fn only_what_has_long_ended_is_forgotten_and_not_all_at_once() {
    on_each_engine(|db| async move {
        let b = Bench::new(&db);
        let running = b.enqueue(later(SOON)).await;
        for _ in 0..3 {
            let id = b.enqueue(later(SOON)).await;
            let mut tx = db.begin().await.unwrap();
            assert!(resume(&mut tx, Timestamp(1000), &id, "one", Resumed::Done).await.unwrap());
            tx.commit().await.unwrap();
        }
        assert_eq!(purge(&db, Timestamp(1000), 2).await.unwrap(), 0);
        assert_eq!(purge(&db, Timestamp(1001), 2).await.unwrap(), 2);
        assert_eq!(purge(&db, later(SOON), 2).await.unwrap(), 1);
        assert_eq!(purge(&db, later(SOON), 2).await.unwrap(), 0);
        b.until_state(&running, "running").await;
    })
    .await;
}
