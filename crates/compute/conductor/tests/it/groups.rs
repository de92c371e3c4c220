//! Server groups hold, however close together their members are built.

use crate::world::{Server, World, fault, settings};
use base::InstanceId;
use compute_conductor::ConductorSettings;
use compute_store::instances::Instance;
use futures_util::future::join_all;
use platform_bus::Bus;
use platform_db::testing::on_each_engine;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Builds so many members at the same moment; the hosts of those that became active, and faults of the others.
async fn build(w: &World, policy: &str, rules: &[(&str, i64)], members: usize) -> (Vec<String>, Vec<String>) {
    let rules = rules.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect::<BTreeMap<_, _>>();
    let group = Some(w.group(policy, &rules).await);
    let ids =
        join_all((0..members).map(|_| w.create_quietly(Server { group: group.clone(), ..Server::default() }))).await;
    w.bus.hint(platform_engine::WAKE);
    let (mut hosts, mut faults) = (Vec::new(), Vec::new());
    for id in ids {
        let server = settled(w, id).await;
        match &server.host {
            Some(host) => hosts.push(host.clone()),
            None => faults.push(fault(&server).0),
        }
    }
    (hosts, faults)
}

async fn cloud(db: &platform_db::Db) -> (World, Vec<crate::host::Obeying>) {
    cloud_with(db, &[]).await
}

/// With filters beside the usual ones.
async fn cloud_with(db: &platform_db::Db, filters: &[&str]) -> (World, Vec<crate::host::Obeying>) {
    // each conductor prefers another host
    let mut scheduler = compute_scheduler::Config { shuffle_best_same_weighed_hosts: true, ..settings().scheduler };
    scheduler.enabled_filters.extend(filters.iter().map(|name| (*name).to_owned()));
    let settings = ConductorSettings { scheduler, ..settings() };
    let mut w = World::with(db, settings.clone());
    w.add_conductor(settings);
    let mut obeying = Vec::new();
    for name in ["a", "b", "c", "d"] {
        obeying.push(w.host(name).await.obey_well());
    }
    (w, obeying)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn anti_affinity_holds_for_servers_built_at_the_same_moment() {
    on_each_engine(|db| async move {
        let (w, _obeying) = cloud(&db).await;
        let (hosts, faults) = build(&w, "anti-affinity", &[], 6).await;
        assert_eq!(hosts.len(), 4);
        assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), 4, "{hosts:?}");
        assert_eq!(faults.len(), 2);
        assert!(faults[0].contains("4 have too many members of the server group already"), "{faults:?}");
        let (hosts, faults) = build(&w, "anti-affinity", &[("max_server_per_host", 2)], 9).await;
        assert_eq!((hosts.len(), faults.len()), (8, 1));
        for host in ["a", "b", "c", "d"] {
            assert_eq!(hosts.iter().filter(|h| *h == host).count(), 2, "{hosts:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn affinity_holds_for_servers_built_at_the_same_moment() {
    on_each_engine(|db| async move {
        let (w, _obeying) = cloud(&db).await;
        let (hosts, faults) = build(&w, "affinity", &[], 6).await;
        assert_eq!((hosts.len(), faults.len()), (6, 0));
        assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), 1, "{hosts:?}");
        let (hosts, faults) = build(&w, "soft-anti-affinity", &[], 6).await;
        assert_eq!((hosts.len(), faults.len()), (6, 0), "{hosts:?}");
        w.no_deadlocks().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hints_hold_for_servers_built_at_the_same_moment() {
    on_each_engine(|db| async move {
        let (w, _obeying) = cloud_with(&db, &["DifferentHostFilter", "SameHostFilter"]).await;
        // each names all the others
        let ids: Vec<InstanceId> = (0..4).map(|_| InstanceId::random()).collect();
        let names =
            |id: &InstanceId| ids.iter().filter(|other| *other != id).map(ToString::to_string).collect::<Vec<_>>();
        let servers = ids.iter().map(|id| Server {
            id: Some(*id),
            hints: json!({"different_host": names(id)}),
            ..Server::default()
        });
        join_all(servers.map(|server| w.create_quietly(server))).await;
        w.bus.hint(platform_engine::WAKE);
        let mut hosts = BTreeSet::new();
        for id in &ids {
            hosts.extend(settled(&w, *id).await.host);
        }
        assert_eq!(hosts.len(), 4, "{hosts:?}");
        let none_left = Server { hints: json!({"different_host": names(&InstanceId::random())}), ..Server::default() };
        let refused = settled(&w, w.create(none_left).await).await;
        assert!(fault(&refused).0.contains("4 have a server that different_host names"), "{:?}", fault(&refused));
        let beside = Server { hints: json!({"same_host": [ids[2]]}), ..Server::default() };
        let (beside, there) = (settled(&w, w.create(beside).await).await, w.server(ids[2]).await);
        assert_eq!(beside.host, there.host);
        w.no_deadlocks().await;
    })
    .await;
}

async fn settled(w: &World, id: InstanceId) -> Instance {
    w.until("a decision", async || Some(w.server(id).await).filter(|s| s.vm_state != "building")).await
}
