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
