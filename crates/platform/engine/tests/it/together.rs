//! Many operations at one step take it together, or each alone; never both, and never neither.

use crate::{Bench, SOON, later};
use async_trait::async_trait;
use base::{Clock, SystemClock};
use platform_bus::Bus;
use platform_db::testing::on_each_engine;
use platform_db::{Db, args};
use platform_engine::{
    Flow, NewOperation, Next, Operation, Step, StepError, Together, WAKE, enqueue_all, record, supersede,
};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq)]
enum Story {
    /// Operation `0` is left out.
    OneGoesAlone,
    /// Somebody else was faster, as the transaction finds.
    Conflict,
    Refused,
    /// Operation `0` is ended by somebody while the others are asked about.
    OneIsSuperseded,
}

/// Notes who was asked how in its histories: `together` or `alone`.
struct Crowd {
    db: Db,
    story: Story,
    asked: Mutex<Vec<usize>>,
}

#[async_trait]
impl Flow for Crowd {
    fn kind(&self) -> &'static str {
        "test.flow"
    }
    fn steps(&self) -> &'static [&'static str] {
        &["one", "waiting"]
    }
    async fn step(&self, op: &Operation) -> Result<Step, StepError> {
        let (id, subject) = (op.id, op.subject.clone());
        let next = Next::Wait { step: "waiting", why: "alone".into(), until: later(SOON) };
        Ok(Step::new(next).effect(move |tx| {
            Box::pin(async move { Ok(record(tx, &subject, Some(id), SystemClock.now(), "alone", "").await?) })
        }))
    }
    async fn give_up(&self, _: &Operation) -> Result<Step, StepError> {
        Ok(Step::new(Next::Failed("too late".into())))
    }
    fn goes_together(&self, step: &str) -> bool {
        step == "one"
    }
    async fn together(&self, ops: &[Operation]) -> Result<Option<Together>, StepError> {
        self.asked.lock().unwrap().push(ops.len());
        match self.story {
            Story::Refused => return Ok(None),
            Story::OneIsSuperseded => {
                let mut tx = self.db.begin().await?;
                supersede(&mut tx, SystemClock.now(), "0").await?;
                tx.commit().await?;
            }
            Story::OneGoesAlone | Story::Conflict => {}
        }
        let goes = |op: &&Operation| self.story != Story::OneGoesAlone || op.subject != "0";
        let subjects: Vec<_> = ops.iter().filter(goes).map(|op| (op.id, op.subject.clone())).collect();
        let conflict = self.story == Story::Conflict;
        Ok(Some(Together {
            step: "waiting",
            why: "together".into(),
            waiting: subjects.iter().map(|(id, _)| (*id, later(SOON))).collect(),
            effect: Box::new(move |tx, ours| {
                Box::pin(async move {
                    for (id, subject) in subjects.iter().filter(|(id, _)| ours.contains(id)) {
                        record(tx, subject, Some(*id), SystemClock.now(), "together", "").await?;
                    }
                    if conflict { Err(StepError::Changed("lost a race".into())) } else { Ok(()) }
                })
            }),
        }))
    }
}

/// So many operations, and how each of them took its step: history, state, what it waits for. And how many were asked
/// about at once.
async fn tell(db: &Db, story: Story, count: usize) -> (Vec<(String, String, Option<String>)>, Vec<usize>) {
    let b = Bench::new(db);
    let operations = (0..count).map(|n| NewOperation {
        kind: "test.flow",
        subject: n.to_string(),
        project_id: None,
        request_id: None,
        step: "one",
        data: json!({}),
        deadline: later(SOON),
    });
    let mut tx = db.begin().await.unwrap();
    enqueue_all(&mut tx, SystemClock.now(), operations.collect()).await.unwrap();
    tx.commit().await.unwrap();
    let flow = Arc::new(Crowd { db: db.clone(), story, asked: Mutex::default() });
    let _worker = b.worker("a", Duration::from_secs(5), flow.clone());
    b.bus.hint(WAKE);
    let all_wait = async {
        let sql = "SELECT COUNT(*) FROM operations WHERE state = 'running' AND step = 'one'";
        while db.fetch_one::<(i64,)>(sql, args![]).await.unwrap().0 > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, all_wait).await.expect("all take their step");
    b.stop.send_replace(true);
    let sql = "SELECT COALESCE(e.what, 'nothing'), o.state, o.waiting_for FROM operations o
               LEFT JOIN events e ON e.operation = o.id ORDER BY o.subject";
    let asked = flow.asked.lock().unwrap().clone();
    (db.fetch_all(sql, args![]).await.unwrap(), asked)
}

async fn told(db: &Db, story: Story) -> Vec<(String, String, Option<String>)> {
    let (told, asked) = tell(db, story, 6).await;
    assert_eq!(asked, [6], "they are asked about once");
    told
}

fn row(what: &str, state: &str, why: Option<&str>) -> (String, String, Option<String>) {
    (what.into(), state.into(), why.map(Into::into))
}

#[tokio::test]
async fn many_take_their_step_in_one_transaction_and_who_is_left_out_alone() {
    on_each_engine(|db| async move {
        let told = told(&db, Story::OneGoesAlone).await;
        assert_eq!(told[0], row("alone", "running", Some("alone")));
        assert_eq!(told[1..], vec![row("together", "running", Some("together")); 5]);
    })
    .await;
}

#[tokio::test]
async fn after_a_conflict_nothing_is_kept_and_each_takes_it_alone() {
    on_each_engine(|db| async move {
        assert_eq!(told(&db, Story::Conflict).await, vec![row("alone", "running", Some("alone")); 6]);
    })
    .await;
}

#[tokio::test]
async fn a_flow_may_say_that_they_do_not_go_together() {
    on_each_engine(|db| async move {
        assert_eq!(told(&db, Story::Refused).await, vec![row("alone", "running", Some("alone")); 6]);
    })
    .await;
}

#[tokio::test]
async fn who_is_no_longer_its_workers_is_left_out() {
    on_each_engine(|db| async move {
        let told = told(&db, Story::OneIsSuperseded).await;
        assert_eq!(told[0], row("nothing", "done", None));
        assert_eq!(told[1..], vec![row("together", "running", Some("together")); 5]);
    })
    .await;
}

#[tokio::test]
async fn no_more_are_taken_than_there_are_hands_for() {
    on_each_engine(|db| async move {
        let (told, asked) = tell(&db, Story::OneGoesAlone, 30).await;
        assert_eq!(told.iter().filter(|t| **t == row("together", "running", Some("together"))).count(), 29);
        assert!(asked.iter().all(|n| *n <= 8), "{asked:?}");
    })
    .await;
}
