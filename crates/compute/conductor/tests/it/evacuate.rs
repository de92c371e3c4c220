//! Servers whose host is dead are made anew on another one.

use crate::host::{Host, done, failed, running};
use crate::world::{Evacuation, Server, World, fault, settings};
use base::InstanceId;
use compute_conductor::ConductorSettings;
use compute_model::assignment::Want;
use compute_model::states::PowerState;
use futures_util::future::join_all;
use platform_bus::Bus;
use platform_db::args;
use platform_db::testing::on_each_engine;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// An active server on that host.
pub(crate) async fn active_on(w: &World, host: &Host) -> InstanceId {
    let id = w.create(Server { host: Some(host.name.to_string()), ..Server::default() }).await;
    let job = host.next().await;
    assert!(host.answer(&job, running()).await);
    w.settled(id, "active").await;
    id
}

fn claims(of: &[(&str, i64)]) -> BTreeMap<String, i64> {
    of.iter().map(|(h, n)| ((*h).to_owned(), *n)).collect()
}

#[tokio::test]
async fn a_server_goes_to_another_host_and_the_old_one_has_no_say_any_more() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = active_on(&w, &a).await;
        let old = w.store.assignment_find(id).await.unwrap().unwrap().generation.unsigned_abs();
        w.force_down("a", true).await;
        w.evacuate(id, Evacuation::default()).await;
        let server = w.server(id).await;
        assert_eq!((server.vm_state.as_str(), server.task_state.as_deref()), ("active", Some("rebuilding")));
        let job = b.next().await;
        assert_eq!((&job.want, job.generation > old), (&Want::Spawn, true));
        assert_eq!(job.spec.admin_pass.as_ref().map(|p| p.expose().to_owned()).as_deref(), Some("new"));
        // what the old host says now is of yesterday
        assert!(!a.report(id, Some(old), done(PowerState::Shutdown)).await);
        assert!(a.report(id, None, done(PowerState::Shutdown)).await, "heard, and not heeded");
        let server = w.server(id).await;
        assert_eq!((server.host.as_deref(), server.power_state), (Some("b"), 1));
        assert_eq!(w.moves(id).await[0].status, "pre-migrating");
        w.sums_are_right().await;
        assert!(b.answer(&job, running()).await);
        let server = w.settled(id, "active").await;
        assert_eq!(server.node.as_deref(), Some("b.example"));
        let moves = w.moves(id).await;
        let m = &moves[0];
        assert_eq!((moves.len(), m.status.as_str(), m.project_id.as_str()), (1, "done", "admins"));
        assert_eq!((m.source_compute.as_str(), m.source_node.as_deref()), ("a", Some("a.example")));
        assert_eq!(
            (m.dest_compute.as_deref(), m.dest_node.as_deref(), m.dest_host.as_deref()),
            (Some("b"), Some("b.example"), Some("127.0.0.1"))
        );
        // the old host may have it still, and is still paid for
        assert_eq!(w.claimed().await, claims(&[("a", 1), ("b", 1)]));
        assert_eq!(w.quota().await.instances, 1);
        w.sums_are_right().await;
        let (finished, message, events) = w.newest_action(id).await;
        assert!(finished && message.is_none());
        let events: Vec<_> = events.iter().map(|e| (e.event.as_str(), e.result.as_deref())).collect();
        assert_eq!(events, [("rebuild_server", Some("Success")), ("compute_rebuild_instance", Some("Success"))]);
        w.no_deadlocks().await;
    })
    .await;
}

#[tokio::test]
async fn where_nothing_fits_the_server_stays_and_may_be_evacuated_again() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = active_on(&w, &a).await;
        w.force_down("a", true).await;
        w.evacuate(id, Evacuation::default()).await;
        let server = w.settled(id, "error").await;
        assert!(fault(&server).0.starts_with("No valid host was found. "), "{:?}", server.fault);
        assert_eq!(server.host.as_deref(), Some("a"));
        assert_eq!(w.moves(id).await[0].status, "error");
        assert!(a.ask(false).await.assignments.is_empty(), "its guest is still its own");
        w.sums_are_right().await;
        let (finished, message, events) = w.newest_action(id).await;
        assert_eq!((finished, message.as_deref(), events[0].result.as_deref()), (true, Some("Error"), Some("Error")));
        let b = w.host("b").await;
        w.evacuate(id, Evacuation { stop: true, ..Evacuation::default() }).await;
        let job = b.next().await;
        assert!(b.answer(&job, running()).await);
        let server = w.settled(id, "active").await;
        assert_eq!((server.host.as_deref(), server.fault), (Some("b"), None), "a server in error is not stopped");
        let states: Vec<_> = w.moves(id).await.into_iter().map(|m| m.status).collect();
        assert_eq!(states, ["error", "done"]);
        w.sums_are_right().await;
    })
    .await;
}

#[tokio::test]
async fn a_host_that_fails_is_left_for_another() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = active_on(&w, &a).await;
        w.force_down("a", true).await;
        w.evacuate(id, Evacuation::default()).await;
        let job = b.next().await;
        let c = w.host("c").await;
        assert!(b.answer(&job, failed("no space", true, PowerState::NoState)).await);
        let job = c.next().await;
        w.sums_are_right().await;
        assert!(c.answer(&job, running()).await);
        let server = w.settled(id, "active").await;
        assert_eq!(server.host.as_deref(), Some("c"));
        assert_eq!(w.claimed().await, claims(&[("a", 1), ("c", 1)]));
        assert_eq!(w.moves(id).await[0].dest_compute.as_deref(), Some("c"));
        assert_eq!((w.failed_builds("b").await, w.failed_builds("c").await), (1, 0));
        w.sums_are_right().await;
    })
    .await;
}

#[tokio::test]
async fn after_the_last_failure_it_is_where_it_was() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b, c) = (w.host("a").await, w.host("b").await, w.host("c").await);
        let id = active_on(&w, &a).await;
        w.force_down("a", true).await;
        w.evacuate(id, Evacuation { target: Some("b"), ..Evacuation::default() }).await;
        let job = b.next().await;
        assert_eq!(a.fetch().await.len(), 1);
        assert!(b.answer(&job, failed("no space", true, PowerState::NoState)).await);
        let server = w.settled(id, "error").await;
        assert_eq!(fault(&server), ("no space".to_owned(), "b: no space".to_owned()));
        assert_eq!((server.host.as_deref(), server.node.as_deref()), (Some("a"), Some("a.example")));
        assert_eq!(w.claimed().await, claims(&[("a", 1)]));
        assert_eq!(w.moves(id).await[0].status, "failed");
        w.sums_are_right().await;
        assert!(c.fetch().await.is_empty(), "b was asked for by name");
        // its old host keeps the guest, and has nothing to do
        assert!(a.fetch().await.is_empty());
        let all = a.ask(true).await;
        assert_eq!((all.assignments.len(), all.assignments[0].evacuated), (1, false));
        assert_eq!(all.reported, [(id, all.assignments[0].generation)]);
        // and again, anywhere
        w.evacuate(id, Evacuation::default()).await;
        let job = w
            .until("a new host", async || [b.fetch().await.pop(), c.fetch().await.pop()].into_iter().flatten().next())
            .await;
        let host = if job.host.as_str() == "b" { &b } else { &c };
        assert!(host.answer(&job, running()).await);
        w.settled(id, "active").await;
        w.sums_are_right().await;
    })
    .await;
}

#[tokio::test]
async fn a_new_host_that_is_silent_keeps_the_server_until_it_is_dead_itself() {
    on_each_engine(|db| async move {
        let w = World::with(&db, ConductorSettings { build_timeout: Duration::from_millis(200), ..settings() });
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = w.create(Server { host: Some("a".into()), ..Server::default() }).await;
        let job = a.next().await;
        assert!(a.answer(&job, running()).await);
        w.settled(id, "active").await;
        w.force_down("a", true).await;
        w.evacuate(id, Evacuation::default()).await;
        b.next().await;
        let server = w.settled(id, "error").await;
        assert!(fault(&server).0.contains("did not build it within"), "{:?}", server.fault);
        assert_eq!((server.host.as_deref(), w.failed_builds("b").await), (Some("b"), 1));
        w.sums_are_right().await;
        let c = w.host("c").await;
        w.force_down("b", true).await;
        w.evacuate(id, Evacuation::default()).await;
        let job = c.next().await;
        assert!(c.answer(&job, running()).await);
        assert_eq!(w.settled(id, "active").await.host.as_deref(), Some("c"));
        for host in [&a, &b] {
            let told = host.fetch().await;
            assert!(told.len() == 1 && told[0].evacuated && told[0].want == Want::Destroy, "{told:?}");
        }
        assert_eq!(w.claimed().await, claims(&[("a", 1), ("b", 1), ("c", 1)]));
        w.sums_are_right().await;
        // a host that may still have an old guest of it is not given a new one
        w.force_down("c", true).await;
        w.force_down("a", false).await;
        w.evacuate(id, Evacuation { target: Some("a"), force: true, ..Evacuation::default() }).await;
        let server = w.settled(id, "error").await;
        assert_eq!(server.host.as_deref(), Some("c"));
        w.sums_are_right().await;
    })
    .await;
}

#[tokio::test]
async fn a_stopped_server_is_stopped_again() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = active_on(&w, &a).await;
        w.stop(id).await;
        let job = a.next().await;
        a.answer(&job, done(PowerState::Shutdown)).await;
        w.settled(id, "stopped").await;
        let other = active_on(&w, &a).await;
        w.force_down("a", true).await;
        for (id, stop) in [(id, false), (other, true)] {
            w.evacuate(id, Evacuation { stop, ..Evacuation::default() }).await;
            let job = b.next().await;
            assert_eq!(job.want, Want::Spawn);
            assert!(b.answer(&job, running()).await);
            let job = b.next().await;
            assert_eq!(job.want, Want::Stop { grace_secs: 0 });
            let server = w.server(id).await;
            assert_eq!((server.vm_state.as_str(), server.task_state.as_deref()), ("active", Some("powering-off")));
            assert!(b.answer(&job, done(PowerState::Shutdown)).await);
            let server = w.settled(id, "stopped").await;
            assert_eq!((server.power_state, w.moves(id).await[0].status.as_str()), (4, "done"));
            let (finished, _, events) = w.newest_action(id).await;
            assert!(finished && events.last().unwrap().event == "compute_stop_instance");
        }
        w.sums_are_right().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_cannot_be_stopped_again_runs_and_says_so() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = active_on(&w, &a).await;
        w.force_down("a", true).await;
        w.evacuate(id, Evacuation { stop: true, ..Evacuation::default() }).await;
        let job = b.next().await;
        assert!(b.answer(&job, running()).await);
        let job = b.next().await;
        assert!(b.answer(&job, failed("it hangs", false, PowerState::Running)).await);
        let server = w.settled(id, "active").await;
        assert_eq!(fault(&server).0, "The server was evacuated, but could not be stopped: it hangs");
        assert_eq!(w.moves(id).await[0].status, "done");
    })
    .await;
}

#[tokio::test]
async fn a_target_is_asked_the_filters_unless_it_is_forced() {
    on_each_engine(|db| async move {
        let mut settings = settings();
        settings.scheduler.enabled_filters.push("JsonFilter".to_owned());
        let w = World::with(&db, settings);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = active_on(&w, &a).await;
        // a filter refuses b, which would have room
        let mut tx = db.begin().await.unwrap();
        let query = json!({"query": "[\"=\", \"$host\", \"nowhere\"]"}).to_string();
        tx.execute("UPDATE instances SET scheduler_hints = $1", args![query]).await.unwrap();
        tx.commit().await.unwrap();
        w.force_down("a", true).await;
        w.evacuate(id, Evacuation { target: Some("b"), ..Evacuation::default() }).await;
        assert_eq!(w.settled(id, "error").await.host.as_deref(), Some("a"));
        assert!(b.fetch().await.is_empty());
        w.evacuate(id, Evacuation { target: Some("b"), force: true, ..Evacuation::default() }).await;
        let job = b.next().await;
        assert!(b.answer(&job, running()).await);
        assert_eq!(w.settled(id, "active").await.host.as_deref(), Some("b"));
        w.sums_are_right().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_s_group_holds_even_where_the_target_is_forced() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let group = Some(w.group("anti-affinity", &BTreeMap::new()).await);
        let mut ids = Vec::new();
        for host in [&a, &b] {
            let id =
                w.create(Server { host: Some(host.name.to_string()), group: group.clone(), ..Server::default() }).await;
            let job = host.next().await;
            assert!(host.answer(&job, running()).await);
            w.settled(id, "active").await;
            ids.push(id);
        }
        w.force_down("a", true).await;
        for force in [true, false] {
            w.evacuate(ids[0], Evacuation { target: Some("b"), force, ..Evacuation::default() }).await;
            assert_eq!(w.settled(ids[0], "error").await.host.as_deref(), Some("a"));
            assert!(b.fetch().await.is_empty());
        }
        let c = w.host("c").await;
        w.evacuate(ids[0], Evacuation { target: Some("c"), force: true, ..Evacuation::default() }).await;
        let job = c.next().await;
        assert!(c.answer(&job, running()).await);
        w.settled(ids[0], "active").await;
        w.sums_are_right().await;
    })
    .await;
}

#[tokio::test]
async fn a_delete_wins_over_an_evacuation() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = active_on(&w, &a).await;
        w.force_down("a", true).await;
        w.evacuate(id, Evacuation::default()).await;
        let build = b.next().await;
        w.delete(id).await;
        let removal =
            w.until("the removal", async || b.fetch().await.into_iter().find(|j| j.want == Want::Destroy)).await;
        assert!(!b.answer(&build, running()).await);
        assert!(b.answer(&removal, done(PowerState::NoState)).await);
        w.settled(id, "deleted").await;
        assert_eq!((w.claimed().await, w.quota().await.instances), (BTreeMap::new(), 0));
        assert_eq!(w.moves(id).await[0].status, "failed");
        w.sums_are_right().await;
        // the server is gone, but not from its first host
        let job = a.next().await;
        assert_eq!((job.instance, &job.want, job.evacuated), (id, &Want::Destroy, true));
        assert!(a.answer(&job, done(PowerState::NoState)).await);
        assert!(a.fetch().await.is_empty());
        w.sums_are_right().await;
        w.no_deadlocks().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_leaves_one_host_for_three_and_never_more_fit_than_fit() {
    on_each_engine(|db| async move {
        let mut w = World::new(&db);
        w.add_conductor(settings());
        let full = Host::register(&w.bus, "full", 64).await;
        let obeying = full.obey_well();
        let ids =
            join_all((0..50).map(|_| w.create_quietly(Server { host: Some("full".into()), ..Server::default() })))
                .await;
        w.bus.hint(platform_engine::WAKE);
        for id in &ids {
            w.settled(*id, "active").await;
        }
        drop(obeying);
        w.force_down("full", true).await;
        let mut hosts = Vec::new();
        for name in ["x", "y", "z"] {
            let host = w.host(name).await;
            // every third build fails once
            let tried = std::sync::Mutex::new(0);
            hosts.push(host.obey(move |a| {
                let mut tried = tried.lock().unwrap();
                *tried += 1;
                match a.want {
                    Want::Destroy => done(PowerState::NoState),
                    _ if *tried % 9 == 0 => failed("bad luck", true, PowerState::NoState),
                    _ => running(),
                }
            }));
        }
        join_all(ids.iter().map(|id| w.evacuate(*id, Evacuation::default()))).await;
        w.until("all to be decided", async || {
            (w.count("SELECT COUNT(*) FROM operations WHERE state = 'running'").await == 0).then_some(())
        })
        .await;
        w.sums_are_right().await;
        let moved = w.count("SELECT COUNT(*) FROM instances WHERE vm_state = 'active' AND host <> 'full'").await;
        let stayed = w.count("SELECT COUNT(*) FROM instances WHERE vm_state = 'error' AND host = 'full'").await;
        assert_eq!(moved + stayed, 50);
        assert!((40..=48).contains(&moved), "{moved} of 48 places, two for each attempt to spare");
        assert_eq!(w.claimed().await["full"], 50, "those that left may still be there");
        // the host is back
        let _obeying = full.obey_well();
        w.until("the old host to be free", async || {
            (w.count("SELECT COUNT(*) FROM compute_migrations WHERE source_open").await == 0).then_some(())
        })
        .await;
        w.sums_are_right().await;
        assert_eq!(w.claimed().await.get("full").copied().unwrap_or(0), stayed);
        assert_eq!(w.count("SELECT COUNT(*) FROM compute_migrations WHERE status = 'completed'").await, moved);
        w.no_deadlocks().await;
    })
    .await;
}
