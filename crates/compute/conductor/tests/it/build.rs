//! Builds, well and badly.

use crate::host::{Host, done, failed, running};
use crate::world::{Server, World, fault, settings};
use compute_conductor::ConductorSettings;
use compute_model::assignment::{Outcome, Want};
use compute_model::driver::TRUSTED_CERTS;
use compute_model::states::PowerState;
use platform_db::args;
use platform_db::testing::on_each_engine;
use std::collections::BTreeMap;
use std::time::Duration;

fn one_on(host: &str) -> BTreeMap<String, i64> {
    BTreeMap::from([(host.to_owned(), 1)])
}

#[tokio::test]
async fn a_server_is_built() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let id = w.create(Server::default()).await;
        let job = a.next().await;
        assert_eq!((job.instance, job.want.clone(), job.generation), (id, Want::Spawn, 1));
        let server = w.server(id).await;
        assert_eq!((server.host.as_deref(), server.node.as_deref()), (Some("a"), Some("a.example")));
        assert_eq!(server.availability_zone.as_deref(), Some("nova"));
        assert_eq!(job.spec.admin_pass.as_ref().map(|p| p.expose()), Some("as made"));
        let still = Outcome::Progress { task: "spawning".into(), why: "copying".into() };
        assert!(a.answer(&job, still).await);
        assert_eq!(w.server(id).await.task_state.as_deref(), Some("spawning"));
        assert_eq!(w.count("SELECT COUNT(*) FROM operations WHERE waiting_for = 'copying'").await, 1);
        assert!(a.answer(&job, running()).await);
        let server = w.settled(id, "active").await;
        assert_eq!((server.power_state, server.fault, server.admin_pass), (1, None, None));
        assert!(server.launched_at.is_some());
        assert_eq!(w.claimed().await, one_on("a"));
        assert_eq!(w.operation_states(id).await, ["done"]);
        let (finished, message, events) = w.newest_action(id).await;
        assert!(finished && message.is_none());
        let events: Vec<_> =
            events.iter().map(|e| (e.event.as_str(), e.host.as_deref(), e.result.as_deref())).collect();
        let ok = Some("Success");
        let built = ("compute__do_build_and_run_instance", Some("a"), ok);
        assert_eq!(events, [("conductor_build_instances", None, ok), built]);
        assert!(a.fetch().await.is_empty());
        let all = a.ask(true).await;
        assert_eq!((all.assignments.len(), all.reported), (1, vec![(id, 1)]));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_names_certificates_goes_where_they_are_verified() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let _older = w.host("older").await;
        let signed = Server { certificates: &["c1"], ..Server::default() };
        let server = w.create(signed.clone()).await;
        let (_, details) = fault(&w.settled(server, "error").await);
        assert!(details.contains(TRUSTED_CERTS), "{details}");
        let able = Host::with_traits(&w.bus, "able", 16, &[TRUSTED_CERTS]).await;
        let server = w.create(signed).await;
        let job = able.next().await;
        assert_eq!((job.instance, job.spec.trusted_certificates), (server, vec!["c1".to_owned()]));
    })
    .await;
}

#[tokio::test]
async fn the_next_host_is_tried() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = w.create(Server::default()).await;
        let first = w.until("a host", async || w.server(id).await.host).await;
        let (first, second) = if first == "a" { (a, b) } else { (b, a) };
        let job = first.next().await;
        assert!(first.answer(&job, failed("disk full", true, PowerState::NoState)).await);
        let next = second.next().await;
        assert!(next.generation > job.generation, "generations never begin anew");
        assert_eq!(w.claimed().await, one_on(second.name.as_str()));
        // the first one is out of it, even under the second one's number
        assert!(first.ask(true).await.assignments.is_empty());
        assert!(!first.answer(&job, running()).await);
        assert!(!first.answer(&next, running()).await);
        let still = Outcome::Progress { task: "spawning".into(), why: "late".into() };
        assert!(!first.answer(&next, still).await);
        assert_eq!(w.server(id).await.task_state.as_deref(), Some("scheduling"));
        assert!(second.answer(&next, running()).await);
        let server = w.settled(id, "active").await;
        assert_eq!(server.host.as_deref(), Some(second.name.as_str()));
        assert_eq!(w.failed_builds(first.name.as_str()).await, 1);
        assert_eq!(w.failed_builds(second.name.as_str()).await, 0);
        assert_eq!(w.claimed().await, one_on(second.name.as_str()));
        assert!(w.newest_action(id).await.0);
    })
    .await;
}

#[tokio::test]
async fn no_other_host_starts_a_guest_that_the_first_may_still_have() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let id = w.create(Server::default()).await;
        let first = w.until("a host", async || w.server(id).await.host).await;
        let (first, second) = if first == "a" { (a, b) } else { (b, a) };
        let job = first.next().await;
        assert!(first.answer(&job, failed("its monitor is silent", true, PowerState::Running)).await);
        let server = w.settled(id, "error").await;
        assert_eq!(server.host.as_deref(), Some(first.name.as_str()), "it is still that host's to look after");
        assert_eq!(w.claimed().await, one_on(first.name.as_str()));
        assert_eq!(fault(&server).0, "its monitor is silent");
        assert!(second.fetch().await.is_empty());
        w.delete(id).await;
        let removal = first.next().await;
        assert_eq!(removal.want, Want::Destroy);
        assert!(first.answer(&removal, done(PowerState::NoState)).await);
        w.settled(id, "deleted").await;
        assert_eq!(w.claimed().await, BTreeMap::new());
    })
    .await;
}

#[tokio::test]
async fn three_hosts_are_tried_at_most() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let mut obeying = Vec::new();
        for name in ["a", "b", "c", "d"] {
            obeying.push(
                w.host(name).await.obey(|a| failed(&format!("no luck {}", a.generation), true, PowerState::NoState)),
            );
        }
        let id = w.create(Server::default()).await;
        let server = w.settled(id, "error").await;
        let (message, details) = fault(&server);
        assert!(message.starts_with("Exceeded maximum number of retries. 3 hosts tried"), "{message}");
        assert_eq!(details.lines().count(), 3, "{details}");
        assert_eq!((server.host, w.claimed().await), (None, BTreeMap::new()));
        assert_eq!(w.operation_states(id).await, ["failed"]);
        let (finished, message, events) = w.newest_action(id).await;
        assert!(finished);
        assert_eq!(message.as_deref(), Some("Error"));
        assert_eq!(events.iter().filter(|e| e.result.as_deref() == Some("Error")).count(), 4);
        assert_eq!(w.quota().await.instances, 1, "a broken server is still its project's");
        w.delete(id).await;
        w.settled(id, "deleted").await;
        assert_eq!(w.quota().await.instances, 0);
        assert_eq!(w.count("SELECT COUNT(*) FROM assignments").await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_no_host_can_do_is_tried_once() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let _a = w.host("a").await.obey(|_| failed("the image is broken", false, PowerState::NoState));
        let _b = w.host("b").await.obey(|_| failed("the image is broken", false, PowerState::NoState));
        let id = w.create(Server::default()).await;
        let server = w.settled(id, "error").await;
        assert_eq!(fault(&server).0, "the image is broken");
        assert_eq!((server.host, w.claimed().await), (None, BTreeMap::new()));
        assert_eq!(w.failed_builds("a").await + w.failed_builds("b").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_silent_host_is_not_waited_for_forever() {
    on_each_engine(|db| async move {
        let w = World::with(&db, ConductorSettings { build_timeout: Duration::from_millis(200), ..settings() });
        let a = w.host("a").await;
        let id = w.create(Server::default()).await;
        let server = w.settled(id, "error").await;
        let (message, details) = fault(&server);
        assert_eq!(message, "The server's host did not build it within 200ms.");
        assert_eq!(details, "a did not answer");
        assert_eq!(w.claimed().await, one_on("a"), "the guest may be there");
        assert_eq!(w.failed_builds("a").await, 1);
        // its late answer is taken, and does not make a broken server whole
        let job = a.next().await;
        assert!(a.answer(&job, running()).await);
        assert_eq!(w.server(id).await.vm_state, "error");
        w.delete(id).await;
        let job = a.next().await;
        assert_eq!(job.want, Want::Destroy);
        assert!(a.answer(&job, Outcome::Done { power: PowerState::NoState }).await);
        w.settled(id, "deleted").await;
        assert_eq!(w.claimed().await, BTreeMap::new());
    })
    .await;
}

#[tokio::test]
async fn the_reasons_are_told_and_tenants_see_no_names() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        for name in ["disabled-1", "down-1"] {
            w.host(name).await;
        }
        let small = crate::host::Host::register(&w.bus, "small-1", 1).await;
        w.disable("disabled-1").await;
        w.force_down("down-1", true).await;
        let _small = small.obey_well();
        let first = w.create(Server::default()).await;
        w.settled(first, "active").await;
        let second = w.create(Server::default()).await;
        let server = w.settled(second, "error").await;
        let (message, details) = fault(&server);
        assert!(message.starts_with("No valid host was found. 3 hosts: "), "{message}");
        for part in ["1 is disabled", "1 is down", "1 lacks VCPU"] {
            assert!(message.contains(part), "{message}");
        }
        for host in ["disabled-1", "down-1", "small-1"] {
            assert!(!message.contains(host), "{message}");
            assert!(details.contains(host), "{details}");
        }
        assert!(details.contains("new disks"), "{details}");
        assert_eq!(w.operation_states(second).await, ["failed"]);
    })
    .await;
}

#[tokio::test]
async fn hosts_that_are_not_heard_yet_are_waited_for_after_the_start() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let a = w.host("a").await;
        let mut tx = db.begin().await.unwrap();
        tx.execute("UPDATE compute_services SET last_seen = 1 WHERE host = $1", args!["a"]).await.unwrap();
        tx.commit().await.unwrap();
        let id = w.create(Server::default()).await;
        w.until("a reason", async || {
            let sql = "SELECT COUNT(*) FROM operations WHERE waiting_for LIKE '%1 host: 1 is down%'";
            (w.count(sql).await == 1).then_some(())
        })
        .await;
        let _a = a.obey_well();
        let _again = w.host("a").await;
        w.settled(id, "active").await;
    })
    .await;
}

#[tokio::test]
async fn a_zone_and_a_host_asked_for_are_kept_to() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let mut obeying = Vec::new();
        for name in ["a", "b", "c"] {
            obeying.push(w.host(name).await.obey_well());
        }
        let mut tx = db.begin().await.unwrap();
        tx.execute(
            "INSERT INTO aggregates (id, uuid, name, metadata, created_at) VALUES (1, 'u', 'n', $1, 0)",
            args![r#"{"availability_zone":"east"}"#],
        )
        .await
        .unwrap();
        tx.execute("INSERT INTO aggregate_hosts (aggregate_id, host) VALUES (1, 'b')", args![]).await.unwrap();
        tx.commit().await.unwrap();
        let east = w.create(Server { zone: Some("east".into()), ..Server::default() }).await;
        let c = w.create(Server { host: Some("c".into()), ..Server::default() }).await;
        let nowhere = w.create(Server { zone: Some("west".into()), ..Server::default() }).await;
        let server = w.settled(east, "active").await;
        assert_eq!((server.host.as_deref(), server.availability_zone.as_deref()), (Some("b"), Some("east")));
        assert_eq!(w.settled(c, "active").await.host.as_deref(), Some("c"));
        let (message, _) = fault(&w.settled(nowhere, "error").await);
        assert!(message.contains("3 are not in availability zone west"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn a_forced_host_is_not_asked_the_filters_and_no_other_is_tried() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let (a, b) = (w.host("a").await, w.host("b").await);
        let forced = |group: Option<String>| Server { host: Some("a".into()), force: true, group, ..Server::default() };
        w.force_down("a", true).await;
        let not_forced = w.create(Server { host: Some("a".into()), ..Server::default() }).await;
        let (message, _) = fault(&w.settled(not_forced, "error").await);
        assert!(message.contains("1 is down"), "{message}");
        // it does not ask for work, but gets some: that is what forcing means
        let id = w.create(forced(None)).await;
        let job = a.next().await;
        assert_eq!(job.instance, id);
        assert!(a.answer(&job, failed("no luck", true, PowerState::NoState)).await);
        let server = w.settled(id, "error").await;
        assert_eq!((fault(&server).0.as_str(), server.admin_pass), ("no luck", None));
        assert!(b.fetch().await.is_empty());
        w.sums_are_right().await;

        w.force_down("a", false).await;
        let group = Some(w.group("anti-affinity", &BTreeMap::new()).await);
        let first = w.create(forced(group.clone())).await;
        let job = a.next().await;
        assert!(a.answer(&job, running()).await);
        w.settled(first, "active").await;
        let second = w.create(forced(group)).await;
        let (message, _) = fault(&w.settled(second, "error").await);
        assert!(message.contains("group does not allow"), "{message}");
        w.sums_are_right().await;
    })
    .await;
}
