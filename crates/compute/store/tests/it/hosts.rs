use crate::support::{HOUR, NOW, Server, add_host, store};
use base::Timestamp;
use compute_store::hosts::{COMPUTE, service_ensure};
use compute_store::hypervisors::{HypervisorKey, HypervisorList, hypervisor_of_host};
use compute_store::services::*;
use platform_db::testing::on_each_engine;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_service_lives_while_it_is_seen() {
    let seen = Timestamp(100 * HOUR);
    assert!(is_up(false, seen, seen.plus(PATIENCE), PATIENCE));
    assert!(!is_up(false, seen, seen.plus(PATIENCE + Duration::from_millis(1)), PATIENCE));
    assert!(!is_up(true, seen, seen, PATIENCE));
}

#[tokio::test]
async fn hypervisors_show_what_their_servers_use() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        for host in ["h1", "h2", "other"] {
            add_host(&db, host).await;
        }
        let server = Server { project: "p", user: "u", host: Some("h1"), ..Server::default() };
        let first = server.clone().add(&db).await;
        Server { task: Some("deleting"), ..server.clone() }.add(&db).await;
        Server { deleted: true, ..server.clone() }.add(&db).await;
        Server { host: None, ..server.clone() }.add(&db).await;

        let before = db.statements();
        let all = store.hypervisor_list(HypervisorList::default()).await.unwrap();
        assert_eq!(db.statements() - before, 1);
        let used: Vec<_> =
            all.iter().map(|h| (h.host.as_str(), h.servers, h.vcpus_used, h.ram_mib_used, h.disk_gib_used)).collect();
        assert_eq!(used, [("h1", 2, 2, 1024, 6), ("h2", 0, 0, 0, 0), ("other", 0, 0, 0, 0)]);
        assert_eq!(all[0].workload, 1);
        assert!(all[0].is_up(NOW, PATIENCE));

        let list = async |list: HypervisorList<'_>| -> Vec<String> {
            store.hypervisor_list(list).await.unwrap().into_iter().map(|h| h.host).collect()
        };
        let none = HypervisorList::default();
        assert_eq!(list(HypervisorList { hostname: Some("h"), ..none }).await, ["h1", "h2", "other"]);
        assert_eq!(list(HypervisorList { hostname: Some("h1.ex"), ..none }).await, ["h1"]);
        assert_eq!(list(HypervisorList { hostname: Some("h_"), ..none }).await, [""; 0], "not a pattern");
        assert_eq!(list(HypervisorList { after: Some(all[0].id), limit: Some(1), ..none }).await, ["h2"]);
        assert_eq!(list(HypervisorList { host: Some("other"), ..none }).await, ["other"]);
        let by_uuid = store.hypervisor_fetch(HypervisorKey::Uuid(&all[1].uuid)).await.unwrap();
        assert_eq!(by_uuid.map(|h| h.host).as_deref(), Some("h2"));

        let totals = store.hypervisor_totals().await.unwrap();
        assert_eq!((totals.count, totals.vcpus, totals.vcpus_used, totals.servers), (3, 24, 2, 2));
        assert_eq!(store.host_servers(&["h1", "h2"]).await.unwrap()["h1"].len(), 2);
        assert_eq!(store.host_usage("h1").await.unwrap(), [("p".to_owned(), 2, 1024, 6)]);
        let unknown = base::InstanceId::random().to_string();
        let hosts = store.servers_hosts(&[&first.to_uppercase(), &unknown]).await.unwrap();
        assert_eq!(hosts.into_iter().collect::<Vec<_>>(), [(first, Some("h1".to_owned()))]);
    })
    .await;
}

#[tokio::test]
async fn services_are_listed_changed_and_deleted() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        add_host(&db, "h1").await;
        let mut tx = db.begin().await.unwrap();
        service_ensure(&mut tx, NOW, "h1", "nova-conductor").await.unwrap();
        let a = compute_store::aggregates::aggregate_add(&mut tx, NOW, "a", None).await.unwrap().unwrap();
        compute_store::aggregates::aggregate_add_host(&mut tx, a.id, "h1").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.service_list(None, None).await.unwrap().len(), 2);
        assert_eq!(store.service_list(Some("h1"), Some(COMPUTE)).await.unwrap().len(), 1);
        assert!(store.service_list(Some("h2"), None).await.unwrap().is_empty());

        let service = store.service_fetch(ServiceKey::HostAndBinary("h1", COMPUTE)).await.unwrap().unwrap();
        let mut tx = db.begin().await.unwrap();
        let off = ServiceChange { disabled: Some((true, Some("broken".into()))), forced_down: None };
        let changed = service_change(&mut tx, NOW, service.id, &off).await.unwrap().unwrap();
        assert_eq!(
            (changed.disabled, changed.disabled_reason.as_deref(), changed.forced_down),
            (true, Some("broken"), false)
        );
        let down = ServiceChange { disabled: None, forced_down: Some(true) };
        let changed = service_change(&mut tx, NOW, service.id, &down).await.unwrap().unwrap();
        assert!(changed.disabled && changed.forced_down && !changed.is_up(NOW, PATIENCE));
        assert!(service_change(&mut tx, NOW, 99, &down).await.unwrap().is_none());
        assert_eq!(store_totals_count(&store).await, 1, "not committed yet, or counted after");
        tx.commit().await.unwrap();
        assert_eq!(store_totals_count(&store).await, 0, "disabled hosts are in no totals");

        let mut tx = db.begin().await.unwrap();
        assert!(hypervisor_of_host(&mut tx, "h1").await.unwrap().is_some());
        let kept = service_get(&mut tx, ServiceKey::Uuid(&service.uuid)).await.unwrap().unwrap();
        service_delete(&mut tx, &kept).await.unwrap();
        assert!(hypervisor_of_host(&mut tx, "h1").await.unwrap().is_none());
        tx.commit().await.unwrap();
        assert!(store.service_fetch(ServiceKey::Id(service.id)).await.unwrap().is_none());
        assert!(store.aggregate_fetch(a.id).await.unwrap().unwrap().hosts.is_empty());
        assert_eq!(store.service_list(None, None).await.unwrap().len(), 1);
    })
    .await;
}

async fn store_totals_count(store: &compute_store::Store) -> i64 {
    store.hypervisor_totals().await.unwrap().count
}
