//! A burst of servers: placed together, and said to run together, as if each had been alone.

use crate::host::running;
use crate::world::{Server, World};
use futures_util::future::join_all;
use platform_bus::Bus;
use platform_db::testing::on_each_engine;
use std::collections::BTreeMap;

const EACH_AS_IF_ALONE: [(&str, i64); 9] = [
    (
        "SELECT COUNT(*) FROM instances WHERE vm_state = 'active' AND task_state IS NULL AND power_state = 1
          AND launched_at IS NOT NULL AND node = host || '.example' AND availability_zone = 'nova'",
        12,
    ),
    ("SELECT COUNT(*) FROM consumers", 12),
    ("SELECT COUNT(*) FROM allocations WHERE resource_class = 'VCPU' AND used = 1", 12),
    ("SELECT COUNT(*) FROM allocations WHERE resource_class = 'MEMORY_MB' AND used = 512", 12),
    ("SELECT CAST(SUM(used) AS BIGINT) FROM inventories WHERE resource_class = 'MEMORY_MB'", 12 * 512),
    ("SELECT COUNT(*) FROM assignments WHERE generation = 1 AND reported = 1", 12),
    ("SELECT COUNT(*) FROM operations WHERE state = 'done' AND waiting_for IS NULL AND fence = 2", 12),
    ("SELECT COUNT(*) FROM instance_actions WHERE finished_at IS NOT NULL AND message IS NULL", 12),
    ("SELECT COUNT(DISTINCT subject) FROM events WHERE what = 'build.done'", 12),
];

/// Moments at which that was written down.
async fn moments(w: &World, what: &str) -> i64 {
    w.count(&format!("SELECT COUNT(DISTINCT at) FROM events WHERE what = '{what}'")).await
}

#[tokio::test]
async fn a_burst_is_placed_and_taken_note_of_in_few_transactions() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let mut hosts = BTreeMap::new();
        for name in ["a", "b"] {
            hosts.insert(name.to_owned(), w.host(name).await);
        }
        let ids = w.create_all_quietly((0..12).map(|_| Server::default())).await;
        w.bus.hint(platform_engine::WAKE);
        let wait =
            "SELECT COUNT(*) FROM operations WHERE step = 'await_host' AND waiting_for LIKE 'waiting for its host%'";
        w.until("all to be placed", async || (w.count(wait).await == 12).then_some(())).await;
        assert_eq!(moments(&w, "build.placed").await, 1);
        // each sees where those before it went
        assert_eq!(w.claimed().await, [("a".to_owned(), 6), ("b".to_owned(), 6)].into());

        let mut asked = Vec::new();
        for host in hosts.values() {
            asked.extend(host.fetch().await.into_iter().map(|a| (host.clone(), a)));
        }
        // who has no say is not believed, in whatever company
        let said = asked.iter().flat_map(|(host, a)| {
            [a.generation + 6, a.generation].map(|generation| host.report(a.instance, Some(generation), running()))
        });
        let said = join_all(said).await;
        assert_eq!(said, [false, true].repeat(12));
        assert!(moments(&w, "build.done").await <= 4);
        for (sql, n) in EACH_AS_IF_ALONE {
            assert_eq!(w.count(sql).await, n, "{sql}");
        }
        for id in ids {
            let (finished, message, events) = w.newest_action(id).await;
            assert_eq!((finished, message), (true, None));
            let events: Vec<_> =
                events.iter().map(|e| (e.event.as_str(), e.result.as_deref(), e.host.clone())).collect();
            let host = w.server(id).await.host;
            let scheduled = ("conductor_build_instances", Some("Success"), None);
            assert_eq!(events, [scheduled, ("compute__do_build_and_run_instance", Some("Success"), host)]);
        }

        // said again, nothing happens again
        let said = join_all(asked.iter().map(|(host, a)| host.answer(a, running()))).await;
        assert_eq!(said, [true; 12]);
        assert_eq!(w.count("SELECT COUNT(*) FROM events WHERE what = 'build.done'").await, 12);
        let wrong = |n: usize| if n.is_multiple_of(2) { 7 } else { asked[n].1.generation };
        let said = join_all((0..12).map(|n| asked[n].0.report(asked[n].1.instance, Some(wrong(n)), running()))).await;
        assert_eq!(said, std::array::from_fn::<_, 12, _>(|n| n % 2 == 1));
    })
    .await;
}

#[tokio::test]
async fn who_asks_for_more_goes_its_own_way() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        for name in ["a", "b", "c"] {
            w.host(name).await;
        }
        let group = w.group("anti-affinity", &BTreeMap::new()).await;
        let grouped = || Server { group: Some(group.clone()), ..Server::default() };
        let b = || Server { host: Some("b".into()), ..Server::default() };
        let any = || Server::default();
        let wanted = [any(), grouped(), b(), any(), grouped(), b(), any(), grouped()];
        let ids = w.create_all_quietly(wanted).await;
        w.bus.hint(platform_engine::WAKE);
        w.until("all to be placed", async || {
            (w.count("SELECT COUNT(*) FROM operations WHERE step = 'await_host'").await == 8).then_some(())
        })
        .await;
        let mut at = Vec::new();
        for id in ids {
            at.push(w.server(id).await.host.unwrap());
        }
        let mut members = [&at[1], &at[4], &at[7]];
        members.sort();
        assert_eq!(members, ["a", "b", "c"]);
        assert_eq!((at[2].as_str(), at[5].as_str()), ("b", "b"));
        assert_eq!(w.claimed().await.values().sum::<i64>(), 8);
        w.no_deadlocks().await;
    })
    .await;
}

/// Of 20 that were to go together 16 fit: these run, and the others are told why they do not.
#[tokio::test]
async fn a_burst_larger_than_the_room_fills_it() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let _obeying = w.host("a").await.obey_well();
        let ids = w.create_all_quietly((0..20).map(|_| Server::default())).await;
        w.bus.hint(platform_engine::WAKE);
        w.until("all to be decided", async || {
            (w.count("SELECT COUNT(*) FROM operations WHERE state = 'running'").await == 0).then_some(())
        })
        .await;
        let mut active = 0;
        for id in ids {
            let server = w.server(id).await;
            match server.vm_state.as_str() {
                "active" => active += 1,
                _ => assert!(server.fault.unwrap().contains("lacks VCPU")),
            }
        }
        assert_eq!(active, 16);
        assert_eq!(w.claimed().await, [("a".to_owned(), 16)].into());
    })
    .await;
}
