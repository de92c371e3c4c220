//! Whose word counts.

use crate::delete::active;
use crate::host::{done, failed, running};
use crate::world::{Server, World};
use compute_model::states::PowerState;
use futures_util::future::join_all;
use platform_db::testing::on_each_engine;

#[tokio::test]
async fn an_older_generation_is_refused_and_changes_nothing() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.stop(id).await;
        let job = a.next().await;
        let before = w.server(id).await;
        let events = w.count("SELECT COUNT(*) FROM events").await;
        for outcome in [running(), failed("old", true, PowerState::NoState)] {
            assert!(!a.report(id, Some(job.generation - 1), outcome).await);
        }
        assert!(!a.report(id, Some(job.generation + 1), running()).await, "nor one that is not given out yet");
        let after = w.server(id).await;
        assert_eq!((after.vm_state, after.task_state), (before.vm_state, before.task_state));
        assert_eq!(after.updated_at, before.updated_at);
        assert_eq!(w.count("SELECT COUNT(*) FROM events").await, events);
        assert!(a.answer(&job, done(PowerState::Shutdown)).await);
        w.settled(id, "stopped").await;
    })
    .await;
}

#[tokio::test]
async fn a_report_that_comes_many_times_at_once_counts_once() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = w.create(Server::default()).await;
        let job = a.next().await;
        let all = join_all((0..8).map(|_| a.answer(&job, running()))).await;
        assert_eq!(all, [true; 8]);
        w.settled(id, "active").await;
        assert_eq!(w.count("SELECT COUNT(*) FROM events WHERE what = 'build.done'").await, 1);
        assert_eq!(w.newest_action(id).await.2.len(), 2);
        assert_eq!(w.claimed().await["a"], 1);
    })
    .await;
}

#[tokio::test]
async fn nobody_is_believed_about_a_server_that_is_not_there() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        assert!(!a.report(base::InstanceId::random(), Some(1), running()).await);
        assert!(a.report(base::InstanceId::random(), None, running()).await);
    })
    .await;
}

/// The guest runs on, so the server stays as it is; what happened to it is kept where it is looked for.
#[tokio::test]
async fn harm_done_to_a_guest_is_kept_in_its_history() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        // only now: it must not be given the server
        let b = w.host("b").await;
        let harm = failed("its disk is gone", false, PowerState::Running);
        assert!(b.report(id, None, harm.clone()).await);
        assert_eq!(w.count("SELECT COUNT(*) FROM events WHERE what = 'guest.damaged'").await, 0, "not its host");
        assert!(a.report(id, None, harm).await);
        let sql = "SELECT subject, detail FROM events WHERE what = 'guest.damaged'";
        let (subject, detail): (String, String) = db.fetch_one(sql, platform_db::args![]).await.unwrap();
        assert_eq!((subject, detail.as_str()), (id.to_string(), "on a: its disk is gone"));
        assert_eq!(w.settled(id, "active").await.power_state, PowerState::Running as i64);
    })
    .await;
}

/// A process has died over its work, and what it said of it comes when another one is at the same.
#[tokio::test]
async fn a_process_that_has_had_a_successor_is_not_heard() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let dead = w.host("a").await;
        let id = w.create(Server::default()).await;
        let job = dead.next().await;
        let lives = dead.successor().await;
        assert!(lives.incarnation > dead.incarnation);
        assert_eq!(lives.register_again().await, lives.incarnation, "the same process");
        let again = lives.ask(true).await.assignments;
        assert_eq!((again.len(), again[0].generation), (1, job.generation));
        // all of this has been on its way since the first one lived
        assert!(!dead.answer(&job, running()).await);
        assert_eq!(dead.ask(true).await.assignments.len(), 1);
        dead.successor().await;
        assert_eq!(w.server(id).await.vm_state, "building");
        assert!(lives.answer(&job, failed("no", false, PowerState::NoState)).await);
        assert!(!dead.answer(&job, running()).await, "nor is it told that somebody else was heard");
        assert!(lives.answer(&job, failed("no", false, PowerState::NoState)).await, "a repetition");
        w.settled(id, "error").await;
    })
    .await;
}

#[tokio::test]
async fn what_a_dead_process_noticed_is_no_news() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let dead = w.host("a").await;
        let id = active(&w, &dead).await;
        let lives = dead.successor().await;
        let all = lives.ask(true).await.assignments;
        let late = dead.notice(id, all[0].generation, done(PowerState::Shutdown)).await;
        assert!(!late.accepted);
        w.settled(id, "active").await;
        assert!(lives.notice(id, all[0].generation, done(PowerState::Shutdown)).await.accepted);
        w.settled(id, "stopped").await;
        // what comes next is nobody's before somebody takes it
        w.stop(id).await;
        let job = dead.next().await;
        assert!(dead.answer(&job, done(PowerState::Shutdown)).await);
        w.settled(id, "stopped").await;
    })
    .await;
}

/// It has registered, and is not heard of again: a copy of the message, or a process that died at once.
#[tokio::test]
async fn who_only_registers_silences_nobody() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = w.create(Server::default()).await;
        a.ask(true).await;
        a.successor().await;
        let job = a.next().await;
        assert!(a.answer(&job, running()).await);
        w.settled(id, "active").await;
    })
    .await;
}

#[tokio::test]
async fn processes_without_a_number_are_believed() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = w.create(Server::default()).await;
        let job = a.next().await;
        // the newer version was tried, and the older one is back
        a.ask(true).await;
        let before = a.of_before();
        assert_eq!(before.ask(true).await.assignments.len(), 1);
        assert!(before.answer(&job, running()).await);
        w.settled(id, "active").await;
    })
    .await;
}

/// What was given out is lost with the last commits of the database.
#[tokio::test]
async fn no_number_is_given_again_after_a_loss() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        for lost in [
            "DELETE FROM sequences WHERE name = 'compute_agents'",
            "UPDATE sequences SET value = value - 1 WHERE name = 'compute_agents'",
        ] {
            let before = a.successor().await;
            let mut tx = db.begin().await.unwrap();
            assert_eq!(tx.execute(lost, platform_db::args![]).await.unwrap(), 1);
            platform_db::leap(&mut tx, w.store.now()).await.unwrap();
            tx.commit().await.unwrap();
            assert!(a.successor().await.incarnation > before.incarnation, "{lost}");
        }
    })
    .await;
}
