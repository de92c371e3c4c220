//! Deleting servers in every state.

use crate::host::{Host, done, failed, running};
use crate::world::{Server, World, fault, settings};
use base::InstanceId;
use compute_conductor::ConductorSettings;
use compute_model::assignment::Want;
use compute_model::quota::Amounts;
use compute_model::states::PowerState;
use platform_db::testing::on_each_engine;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) async fn active(w: &World, host: &Host) -> InstanceId {
    let id = w.create(Server::default()).await;
    let job = host.next().await;
    assert!(host.answer(&job, running()).await);
    w.settled(id, "active").await;
    id
}

async fn nothing_is_left(w: &World) {
    assert_eq!(w.claimed().await, BTreeMap::new());
    assert_eq!(w.quota().await, Amounts::default());
    for sql in
        ["SELECT COUNT(*) FROM allocations", "SELECT COUNT(*) FROM consumers", "SELECT COUNT(*) FROM assignments"]
    {
        assert_eq!(w.count(sql).await, 0, "{sql}");
    }
    assert_eq!(w.count("SELECT COUNT(*) FROM operations WHERE state = 'running'").await, 0);
}

#[tokio::test]
async fn a_server_is_deleted_while_its_host_builds_it() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = w.create(Server::default()).await;
        let build = a.next().await;
        w.delete(id).await;
        let removal =
            w.until("the removal", async || a.fetch().await.into_iter().find(|j| j.want == Want::Destroy)).await;
        assert!(removal.generation > build.generation);
        assert!(!a.answer(&build, running()).await, "nobody waits for the build any more");
        let server = w.server(id).await;
        assert_eq!((server.vm_state.as_str(), server.task_state.as_deref()), ("building", Some("deleting")));
        assert!(a.answer(&removal, done(PowerState::NoState)).await);
        let server = w.settled(id, "deleted").await;
        assert!(server.deleted_at.is_some() && server.host.is_none());
        assert!(!a.answer(&build, running()).await);
        assert!(!a.answer(&removal, done(PowerState::NoState)).await, "a lost answer's repetition is harmless");
        assert_eq!(w.server(id).await.vm_state, "deleted");
        nothing_is_left(&w).await;
        assert_eq!(w.operation_states(id).await, ["done", "done"]);
        let (finished, message, events) = w.newest_action(id).await;
        assert!(finished && message.is_none());
        assert_eq!(events[0].event, "compute_terminate_instance");
    })
    .await;
}

#[tokio::test]
async fn a_host_that_is_down_does_not_hold_up_a_delete() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.force_down("a", true).await;
        w.delete(id).await;
        w.settled(id, "deleted").await;
        assert_eq!((w.claimed().await, w.quota().await), (BTreeMap::new(), Amounts::default()));
        // it is back, and fails at first
        let job = a.next().await;
        assert_eq!(job.want, Want::Destroy);
        assert!(a.answer(&job, failed("busy", true, PowerState::Running)).await);
        let again = a.next().await;
        assert!(again.generation > job.generation && again.want == Want::Destroy);
        assert!(a.answer(&again, done(PowerState::NoState)).await);
        nothing_is_left(&w).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_without_a_host_is_gone_at_once() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let id = w.create(Server::default()).await;
        let server = w.settled(id, "error").await;
        assert_eq!(fault(&server).0, "No valid host was found. There are not enough hosts available.");
        w.delete(id).await;
        w.settled(id, "deleted").await;
        nothing_is_left(&w).await;
    })
    .await;
}

#[tokio::test]
async fn a_host_that_cannot_remove_a_guest_keeps_the_server() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.delete(id).await;
        let job = a.next().await;
        assert!(a.answer(&job, failed("device busy", true, PowerState::Running)).await);
        let server = w.settled(id, "error").await;
        let (message, details) = fault(&server);
        assert_eq!(message, "The server's host could not remove it: device busy");
        assert_eq!(details, "a: device busy");
        assert_eq!(w.operation_states(id).await, ["done", "failed"]);
        assert_eq!(w.claimed().await["a"], 1);
        w.delete(id).await;
        let job = a.next().await;
        assert!(a.answer(&job, done(PowerState::NoState)).await);
        w.settled(id, "deleted").await;
        nothing_is_left(&w).await;
    })
    .await;
}

#[tokio::test]
async fn a_host_that_goes_down_over_a_delete_is_not_waited_for() {
    on_each_engine(|db| async move {
        let w = World::with(&db, ConductorSettings { action_timeout: Duration::from_millis(200), ..settings() });
        let a = w.host("a").await;
        let id = active(&w, &a).await;
        w.delete(id).await;
        let job = a.next().await;
        w.force_down("a", true).await;
        w.settled(id, "deleted").await;
        assert!(!a.answer(&job, done(PowerState::NoState)).await, "it has been asked again since");
        let job = a.next().await;
        assert!(a.answer(&job, done(PowerState::NoState)).await);
        nothing_is_left(&w).await;
    })
    .await;
}
