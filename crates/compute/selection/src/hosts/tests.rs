//! The view is what a fresh one would be, whatever it has kept of the last look.

use super::{HostView, Known};
use crate::Scheduler;
use base::time::ManualClock;
use base::{Clock, HostName, Timestamp};
use compute_model::driver::HostFacts;
use compute_scheduler::ServiceState;
use compute_store::Store;
use compute_store::hosts::{host_build_ended, hosts_register, hosts_seen};
use platform_db::testing::on_each_engine;
use platform_db::{Db, args};
use std::sync::Arc;
use std::time::Duration;

const DOWN_AFTER: Duration = Duration::from_secs(60);

struct Cloud {
    db: Db,
    clock: Arc<ManualClock>,
    view: Arc<HostView>,
}

impl Cloud {
    fn on(db: &Db) -> Self {
        let clock = ManualClock::starting_at(Timestamp(1_700_000_000_000_000));
        let store = Store::new(db.clone(), clock.clone());
        Self { db: db.clone(), clock: clock.clone(), view: Arc::new(HostView::new(store, clock, DOWN_AFTER)) }
    }

    async fn register(&self, host: &str, version: u64) {
        let facts = HostFacts {
            hypervisor_hostname: format!("{host}.example"),
            hypervisor_type: "QEMU".into(),
            hypervisor_version: version,
            host_ip: "127.0.0.1".into(),
            vcpus: 4,
            ram: base::Mib(4096),
            disk_gib: 10,
            cpu_info: serde_json::json!({"arch": "x86_64"}),
            traits: Vec::new(),
            booted_at: None,
        };
        let mut tx = self.db.begin().await.unwrap();
        hosts_register(&mut tx, self.clock.now(), &[(HostName(host.into()), facts)]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn change(&self, sql: &'static str) {
        let mut tx = self.db.begin().await.unwrap();
        tx.execute(sql, args![]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A second later: host, as it is seen now; the same as by a view that has never looked.
    async fn seen(&self) -> Vec<Known> {
        self.clock.advance(Duration::from_secs(1));
        let now = self.view.as_of(self.clock.now()).await.unwrap();
        let fresh = HostView::new(self.view.store.clone(), self.clock.clone(), DOWN_AFTER);
        let fresh = fresh.as_of(Timestamp(0)).await.unwrap();
        let mut all: Vec<Known> = now.values().cloned().collect();
        all.sort_by(|a, b| a.host.host.cmp(&b.host.host));
        assert_eq!(now.len(), fresh.len());
        for known in &all {
            assert_eq!(format!("{known:?}"), format!("{:?}", fresh[&known.host.provider]));
        }
        all
    }
}

#[tokio::test]
async fn every_change_of_a_host_is_seen_at_the_next_look() {
    on_each_engine(|db| async move {
        let cloud = Cloud::on(&db);
        cloud.register("a", 1).await;
        cloud.register("b", 1).await;
        let first = cloud.seen().await;
        assert!(first.iter().all(|k| k.host.service == ServiceState::Up && !k.silent && k.failed_builds == 0));
        let again = cloud.seen().await;
        assert!(Arc::ptr_eq(&first[0].host, &again[0].host), "what has not changed is kept");

        cloud.change("UPDATE compute_services SET disabled = TRUE, disabled_reason = 'disks' WHERE host = 'a'").await;
        assert_eq!(cloud.seen().await[0].host.service, ServiceState::Disabled(Some("disks".into())));
        cloud.change("UPDATE compute_services SET disabled = FALSE, forced_down = TRUE WHERE host = 'a'").await;
        let down = cloud.seen().await.remove(0);
        assert_eq!((&down.host.service, down.silent), (&ServiceState::Down, false));
        cloud.change("UPDATE compute_services SET forced_down = FALSE WHERE host = 'a'").await;
        assert_eq!(cloud.seen().await[0].host.service, ServiceState::Up);

        let mut tx = db.begin().await.unwrap();
        host_build_ended(&mut tx, "b", true).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(cloud.seen().await[1].failed_builds, 1);
        cloud.change("INSERT INTO aggregates (id, uuid, name, metadata, created_at) VALUES (1, 'u', 'n', '{\"k\":\"v\"}', 0)").await;
        cloud.change("INSERT INTO aggregate_hosts (aggregate_id, host) VALUES (1, 'b')").await;
        assert_eq!(cloud.seen().await[1].host.aggregates[0].metadata["k"], "v");
        cloud.change("UPDATE aggregates SET metadata = '{\"k\":\"w\"}'").await;
        assert_eq!(cloud.seen().await[1].host.aggregates[0].metadata["k"], "w");
        cloud.change("DELETE FROM aggregate_hosts").await;
        assert!(cloud.seen().await[1].host.aggregates.is_empty());

        cloud.register("b", 2).await;
        assert_eq!(cloud.seen().await[1].host.hypervisor_version, 2);
        cloud.register("c", 1).await;
        assert_eq!(cloud.seen().await.len(), 3);
        cloud.change("DELETE FROM compute_services WHERE host = 'c'").await;
        assert_eq!(cloud.seen().await.len(), 2);

        cloud.clock.advance(DOWN_AFTER);
        let mut tx = db.begin().await.unwrap();
        hosts_seen(&mut tx, cloud.clock.now(), &[HostName("b".into())]).await.unwrap();
        tx.commit().await.unwrap();
        let now = cloud.seen().await;
        assert_eq!((now[0].silent, &now[0].host.service), (true, &ServiceState::Down));
        assert_eq!((now[1].silent, &now[1].host.service), (false, &ServiceState::Up));
    })
    .await;
}

#[tokio::test]
async fn looking_again_reads_no_host_that_is_as_it_was() {
    on_each_engine(|db| async move {
        let cloud = Cloud::on(&db);
        cloud.register("a", 1).await;
        cloud.seen().await;
        // nobody says that it has registered, so nobody looks what it has said
        cloud.change("UPDATE hypervisors SET hypervisor_version = 7").await;
        cloud.clock.advance(Duration::from_secs(2));
        assert!(cloud.view.all().await.unwrap().values().all(|k| k.host.hypervisor_version == 1));
    })
    .await;
}

#[tokio::test]
async fn a_busy_process_reads_beside_those_who_look() {
    on_each_engine(|db| async move {
        let cloud = Cloud::on(&db);
        cloud.register("a", 1).await;
        let is_up = async || cloud.view.all().await.unwrap().values().all(|k| k.host.service == ServiceState::Up);
        assert!(is_up().await);
        cloud.change("UPDATE compute_services SET disabled = TRUE").await;
        assert!(is_up().await, "too young to be read again");
        // not old enough for anybody to wait
        cloud.clock.advance(super::EARLY + Duration::from_millis(1));
        for _ in 0..1000 {
            if !is_up().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody has read it again");
    })
    .await;
}

/// One round of what it does unasked, and nothing is read any more when the first server comes.
#[tokio::test]
async fn a_scheduler_knows_the_hosts_before_it_is_asked() {
    on_each_engine(|db| async move {
        let cloud = Cloud::on(&db);
        let store = Store::new(db.clone(), cloud.clock.clone());
        let config = compute_scheduler::Config::default();
        let scheduler = Scheduler::new(store, placement::Placement::new(db.clone()), cloud.view.clone(), config);
        let scheduler = Arc::new(scheduler);
        let (_ended, ended) = tokio::sync::watch::channel(true);
        for (n, host) in (1..).zip(["a", "b"]) {
            cloud.register(host, 1).await;
            cloud.view.forget();
            scheduler.clone().run("s".into(), cloud.clock.clone(), ended.clone()).await;
            let before = db.statements();
            assert_eq!(cloud.view.all().await.unwrap().len(), n);
            assert_eq!(db.statements(), before);
        }
    })
    .await;
}
