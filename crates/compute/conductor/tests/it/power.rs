//! Power actions, and power that changes by itself.

use crate::delete::active;
use crate::host::{done, failed, no_guest};
use crate::world::{Server, World, fault, settings};
use compute_conductor::ConductorSettings;
use compute_model::assignment::{Outcome, Want};
use compute_model::states::PowerState;
use platform_db::testing::on_each_engine;
use std::time::Duration;

#[tokio::test]
async fn a_server_is_stopped() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.stop(id).await;
        let job = a.next().await;
        assert_eq!(job.want, Want::Stop { grace_secs: 0 });
        assert!(a.answer(&job, done(PowerState::Shutdown)).await);
        assert!(a.answer(&job, done(PowerState::Shutdown)).await, "a repetition is as good as the first");
        let server = w.settled(id, "stopped").await;
        assert_eq!((server.power_state, server.fault), (PowerState::Shutdown as i64, None));
        assert_eq!(w.operation_states(id).await, ["done", "done"]);
        let (finished, message, events) = w.newest_action(id).await;
        assert!(finished && message.is_none());
        assert_eq!(events.len(), 1, "the repetition changed nothing");
    })
    .await;
}

#[tokio::test]
async fn a_crash_while_the_server_is_busy_must_be_said_again() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.stop(id).await;
        let job = a.next().await;
        assert!(!a.report(id, None, done(PowerState::Crashed)).await, "what is asked of it wins");
        assert!(a.answer(&job, failed("no monitor", true, PowerState::NoState)).await);
        w.settled(id, "active").await;
        assert!(a.report(id, None, done(PowerState::Crashed)).await);
        w.settled(id, "stopped").await;
        assert!(a.report(id, None, done(PowerState::Crashed)).await, "that it is known is no reason to say it again");
    })
    .await;
}

#[tokio::test]
async fn what_was_noticed_before_the_last_action_is_no_news() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.stop(id).await;
        let job = a.next().await;
        let early = a.notice(id, job.generation - 1, done(PowerState::Crashed)).await;
        assert!(!early.accepted && early.stands.is_none(), "there is something to do first");
        assert!(a.answer(&job, done(PowerState::Shutdown)).await);
        w.settled(id, "stopped").await;
        // on its way since before the stop
        let late = a.notice(id, job.generation - 1, done(PowerState::Running)).await;
        assert!(!late.accepted);
        assert_eq!(late.stands, Some(job.generation));
        w.settled(id, "stopped").await;
        assert!(a.notice(id, job.generation, done(PowerState::Running)).await.accepted);
        w.settled(id, "active").await;
    })
    .await;
}

#[tokio::test]
async fn a_guest_that_ends_at_once_is_not_shown_as_running() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = w.create(Server::default()).await;
        let job = a.next().await;
        assert!(a.answer(&job, done(PowerState::Crashed)).await);
        let server = w.settled(id, "stopped").await;
        assert_eq!(server.power_state, PowerState::Crashed as i64);
        assert!(server.launched_at.is_some(), "it was built");
    })
    .await;
}

#[tokio::test]
async fn a_stop_that_fails_leaves_the_server_as_it_was() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.stop(id).await;
        let job = a.next().await;
        assert!(a.answer(&job, failed("stuck", true, PowerState::Running)).await);
        let server = w.settled(id, "active").await;
        assert_eq!(fault(&server), ("stuck".to_owned(), "a: stuck".to_owned()));
        assert_eq!(w.operation_states(id).await, ["done", "failed"]);
        let (finished, message, events) = w.newest_action(id).await;
        assert!(finished);
        assert_eq!((message.as_deref(), events[0].details.as_deref()), (Some("Error"), Some("stuck")));
        // it failed in such a way that the guest is off: that is what is shown
        w.stop(id).await;
        let job = a.next().await;
        assert!(a.answer(&job, failed("crashed", true, PowerState::Shutdown)).await);
        w.settled(id, "stopped").await;
    })
    .await;
}

#[tokio::test]
async fn a_reboot_that_leaves_no_running_guest_leaves_the_server_in_error() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        for (outcome, vm_state, power) in [
            (no_guest(), "error", PowerState::NoState),
            (failed("it does not boot", true, PowerState::Shutdown), "error", PowerState::Shutdown),
            (failed("it does not go down", true, PowerState::Running), "active", PowerState::Running),
            // nobody knows: it stays as it was believed to be
            (failed("no monitor", true, PowerState::NoState), "active", PowerState::Running),
        ] {
            let id = active(&w, &a).await;
            w.reboot(id).await;
            let job = a.next().await;
            assert!(a.answer(&job, outcome.clone()).await);
            let server = w.settled(id, vm_state).await;
            assert_eq!(server.power_state, power as i64, "{outcome:?}");
            let Outcome::Failed { message, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!(fault(&server), (message.clone(), format!("a: {message}")));
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_whose_guest_is_gone_is_not_shown_as_running() {
    on_each_engine(|db| async move {
        let w = World::with(&db, ConductorSettings { action_timeout: Duration::from_millis(200), ..settings() });
        let a = w.host("a").await;
        for in_time in [true, false] {
            let id = active(&w, &a).await;
            w.stop(id).await;
            let job = a.next().await;
            if !in_time {
                w.until("the action's end", async || w.newest_action(id).await.0.then_some(())).await;
                w.settled(id, "active").await;
            }
            assert!(a.answer(&job, no_guest()).await);
            let server = w.settled(id, "stopped").await;
            assert_eq!(server.power_state, PowerState::NoState as i64);
            assert!(server.fault.is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn a_host_that_says_nothing_fails_the_action_and_is_believed_later() {
    on_each_engine(|db| async move {
        let w = World::with(&db, ConductorSettings { action_timeout: Duration::from_millis(200), ..settings() });
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.stop(id).await;
        w.until("the action's end", async || w.newest_action(id).await.0.then_some(())).await;
        let server = w.settled(id, "active").await;
        let told = ("The server's host did not answer in time.".to_owned(), "a did not answer".to_owned());
        assert_eq!(fault(&server), told);
        let job = a.next().await;
        assert!(a.answer(&job, done(PowerState::Shutdown)).await);
        w.settled(id, "stopped").await;
        assert_eq!(w.operation_states(id).await, ["done", "failed"]);
    })
    .await;
}

#[tokio::test]
async fn a_host_that_is_down_fails_the_action_at_once() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.force_down("a", true).await;
        w.stop(id).await;
        w.until("the action's end", async || w.newest_action(id).await.0.then_some(())).await;
        let server = w.settled(id, "active").await;
        assert_eq!(fault(&server), ("The server's host is down.".to_owned(), "a is down".to_owned()));
        assert!(a.fetch().await.is_empty(), "it must not stop the guest when it is back");
    })
    .await;
}

#[tokio::test]
async fn power_that_changes_by_itself_is_written_down_unless_something_else_is_going_on() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = w.create(crate::world::Server { host: Some("a".into()), ..Default::default() }).await;
        let job = a.next().await;
        assert!(!a.report(id, None, done(PowerState::Shutdown)).await);
        assert_eq!(w.server(id).await.vm_state, "building");
        assert!(a.answer(&job, crate::host::running()).await);
        assert!(b.report(id, None, done(PowerState::Shutdown)).await);
        assert_eq!(w.server(id).await.vm_state, "active", "that is not its host");
        assert!(a.report(id, None, done(PowerState::Shutdown)).await);
        let server = w.server(id).await;
        assert_eq!((server.vm_state.as_str(), server.power_state), ("stopped", PowerState::Shutdown as i64));
        assert_eq!(w.count("SELECT COUNT(*) FROM events WHERE what = 'power.noticed'").await, 1);
    })
    .await;
}
