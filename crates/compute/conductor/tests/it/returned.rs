//! A host is back after its servers were evacuated: it is told what is no longer its own, and what it frees is given back.

use crate::evacuate::active_on;
use crate::host::{Host, done, failed, running};
use crate::world::{Evacuation, World};
use base::InstanceId;
use compute_model::assignment::Want;
use compute_model::states::PowerState;
use platform_db::testing::on_each_engine;

/// A server that was evacuated from `a` to `b`.
async fn evacuated(w: &World, a: &Host, b: &Host) -> InstanceId {
    let id = active_on(w, a).await;
    w.force_down(a.name.as_str(), true).await;
    w.evacuate(id, Evacuation { target: Some("b"), ..Evacuation::default() }).await;
    let job = b.next().await;
    assert!(b.answer(&job, running()).await);
    w.settled(id, "active").await;
    id
}

#[tokio::test]
async fn it_removes_what_left_it_and_nothing_else() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let stays = active_on(&w, &a).await;
        let id = evacuated(&w, &a, &b).await;
        // cut off only: it asks for what is open. Started anew: it asks for everything
        for all in [false, true] {
            let told = a.ask(all).await;
            let removals: Vec<_> = told.assignments.iter().filter(|x| x.evacuated).collect();
            assert_eq!((removals.len(), removals[0].instance, &removals[0].want), (1, id, &Want::Destroy));
            let own: Vec<_> = told.assignments.iter().filter(|x| !x.evacuated).map(|x| x.instance).collect();
            assert_eq!(own, if all { vec![stays] } else { vec![] });
        }
        assert!(b.fetch().await.is_empty());
        let job = a.next().await;
        // nobody else can say that the old host is free of it, nor the host of another guest
        assert!(!b.report(id, Some(job.generation + 1), done(PowerState::NoState)).await);
        assert!(!a.report(stays, Some(job.generation), done(PowerState::NoState)).await);
        assert!(!a.report(InstanceId::random(), Some(job.generation), done(PowerState::NoState)).await);
        assert_eq!(w.claimed().await["a"], 2);
        assert!(a.answer(&job, done(PowerState::NoState)).await);
        assert_eq!((w.claimed().await["a"], w.moves(id).await[0].status.as_str()), (1, "completed"));
        assert_eq!(w.server(id).await.host.as_deref(), Some("b"));
        w.sums_are_right().await;
        assert!(!a.answer(&job, done(PowerState::NoState)).await, "a lost answer's repetition is harmless");
        assert!(a.fetch().await.is_empty());
        // it may come back, and go again
        w.force_down("a", false).await;
        w.force_down("b", true).await;
        w.evacuate(id, Evacuation::default()).await;
        let again = a.next().await;
        assert_eq!(again.want, Want::Spawn);
        assert!(again.generation > job.generation);
        assert!(a.answer(&again, running()).await);
        assert_eq!(w.settled(id, "active").await.host.as_deref(), Some("a"));
        w.sums_are_right().await;
        w.no_deadlocks().await;
    })
    .await;
}

#[tokio::test]
async fn a_removal_that_fails_is_asked_for_again() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = evacuated(&w, &a, &b).await;
        let job = a.next().await;
        assert!(a.answer(&job, failed("busy", true, PowerState::Running)).await);
        assert_eq!(w.moves(id).await[0].status, "done");
        let again = a.next().await;
        assert!(again.evacuated && again.generation > job.generation);
        assert!(!a.answer(&job, done(PowerState::NoState)).await, "an old generation");
        w.sums_are_right().await;
        assert!(a.answer(&again, done(PowerState::NoState)).await);
        w.sums_are_right().await;
        assert_eq!(w.moves(id).await[0].status, "completed");
    })
    .await;
}

#[tokio::test]
async fn a_host_that_is_back_before_the_server_runs_elsewhere_is_freed_at_once() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        for worked in [true, false] {
            let id = active_on(&w, &a).await;
            w.force_down("a", true).await;
            w.evacuate(id, Evacuation { target: Some("b"), ..Evacuation::default() }).await;
            let build = b.next().await;
            let removal = a.next().await;
            assert!(a.answer(&removal, done(PowerState::NoState)).await);
            assert_eq!(w.moves(id).await[0].status, "pre-migrating");
            w.sums_are_right().await;
            if worked {
                assert!(b.answer(&build, running()).await);
                w.settled(id, "active").await;
                assert_eq!(w.moves(id).await[0].status, "completed");
            } else {
                assert!(b.answer(&build, failed("no space", true, PowerState::NoState)).await);
                let server = w.settled(id, "error").await;
                assert_eq!(server.host.as_deref(), Some("b"), "there is nothing to go back to");
                assert_eq!(w.moves(id).await[0].status, "failed");
            }
            w.sums_are_right().await;
            w.force_down("a", false).await;
        }
    })
    .await;
}
