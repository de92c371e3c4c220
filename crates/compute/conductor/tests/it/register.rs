//! Hosts that register in one moment, each by itself: written together, as if each had been alone.

use crate::host::Host;
use crate::world::{World, settings};
use compute_store::hosts::Host as Known;
use futures_util::future::join_all;
use platform_db::testing::on_each_engine;
use std::collections::{BTreeMap, BTreeSet};

const MANY: usize = 100;

async fn known(w: &World) -> BTreeMap<String, Known> {
    w.store.hosts_all().await.unwrap().into_iter().map(|h| (h.host.clone(), h)).collect()
}

#[tokio::test]
async fn many_hosts_at_once_are_registered_in_few_transactions() {
    on_each_engine(|db| async move {
        let mut w = World::new(&db);
        // the second one's sequences are the same
        w.add_conductor(settings());
        let names: Vec<String> = (0..MANY).map(|n| format!("h{n}")).collect();
        let before = db.statements();
        let hosts = join_all(names.iter().map(|name| w.host(name))).await;
        let statements = db.statements() - before;
        assert!(statements < 5 * MANY as u64, "{statements} statements for {MANY} hosts");
        let incarnations: BTreeSet<u64> = hosts.iter().map(|h| h.incarnation.unwrap()).collect();
        assert_eq!(incarnations, (1..=MANY as u64).collect());

        let first = known(&w).await;
        assert_eq!(first.keys().collect::<BTreeSet<_>>(), names.iter().collect());
        let ids: BTreeSet<i64> = first.values().map(|h| h.service_id).collect();
        assert_eq!(ids, (1..=MANY as i64).collect());
        assert!(first.iter().all(|(name, h)| h.hypervisor_hostname == format!("{name}.example")));
        let n = w.count(
            "SELECT COUNT(*) FROM hypervisors h JOIN resource_providers p ON p.id = h.uuid
                         WHERE h.id BETWEEN 1 AND 100 AND p.name = h.hypervisor_hostname",
        );
        assert_eq!(n.await, MANY as i64);
        let n =
            w.count("SELECT COUNT(*) FROM inventories WHERE resource_class = 'VCPU' AND total = 16 AND capacity = 16");
        assert_eq!(n.await, MANY as i64);

        // their facts anew, with some that are not known yet among them
        let more: Vec<String> = (0..10).map(|n| format!("more{n}")).collect();
        let again = hosts.iter().map(|h| async { assert_eq!(h.register_again().await, h.incarnation) });
        let new = more.iter().map(|name| async { assert!(w.host(name).await.incarnation > Some(MANY as u64)) });
        tokio::join!(join_all(again), join_all(new));
        let now = known(&w).await;
        assert_eq!(now.len(), MANY + 10);
        assert!(first.iter().all(|(name, h)| (&now[name].uuid, now[name].service_id) == (&h.uuid, h.service_id)));
        assert_eq!(w.count("SELECT COUNT(*) FROM resource_providers").await, MANY as i64 + 10);
    })
    .await;
}

/// Two hosts of one name at the hypervisor: the second is told, and nobody else is kept waiting for it.
#[tokio::test]
async fn who_cannot_be_registered_keeps_nobody_else_from_it() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let impostor = w.host("a").await.impostor("b");
        let alone = [impostor.clone()];
        let names: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
        let all = join_all(names.iter().map(|name| w.host(name)));
        let (refused, hosts) = tokio::join!(Host::register_all(&alone), all);
        assert_eq!(hosts.len(), 20);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("b: ") && error.contains("already exists"), "{error}");
        assert_eq!(known(&w).await.len(), 21, "nothing of it is left");
        // an agent of several hosts is told which of them it is
        let other = |name| Host::unregistered(&w.bus, name, 16);
        let error = Host::register_all(&[other("c"), impostor, other("d")]).await.unwrap_err().to_string();
        assert!(error.contains("b: ") && error.contains("already exists"), "{error}");
        let names: Vec<String> = known(&w).await.into_keys().filter(|name| name.len() == 1).collect();
        assert_eq!(names, ["a", "c"]);
    })
    .await;
}
