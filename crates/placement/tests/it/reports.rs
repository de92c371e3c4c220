//! What a host reports does not undo what operators have set.

use crate::support::{claim, host, set_traits, used};
use base::ProviderId;
use placement::store::{inventory_list, inventory_write, provider_get, provider_trait_list};
use placement::{HostReport, Inventory, StoreError, hosts_report};
use platform_db::testing::on_each_engine;
use platform_db::{DbError, Tx};

/// The host says it again, with or without news. Whether something changed.
async fn says(tx: &mut Tx, provider: ProviderId, inventory: &[Inventory], traits: &[&str]) -> bool {
    let traits: Vec<String> = traits.iter().map(|t| (*t).to_owned()).collect();
    let report = HostReport { provider, name: "h", inventory: inventory.to_vec(), traits: &traits };
    !hosts_report(tx, &[report]).await.unwrap().is_empty()
}

#[tokio::test]
async fn an_operators_inventories_survive_a_report() {
    on_each_engine(|db| async move {
        let host = host(&db, "h", 8, 8192, 100).await;
        claim(&db, host, &[("DISK_GB", 1)]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        placement::store::class_create(&mut tx, "CUSTOM_LICENCE").await.unwrap();
        let set = [Inventory::of("CUSTOM_LICENCE", 3)];
        inventory_write(&mut tx, host, &set).await.unwrap();
        // more processors, no disk any more (but some of it is used), memory gone
        let reported = [Inventory::of("VCPU", 16).ratio(4.0), Inventory::of("PCPU", 2).ratio(1.5)];
        assert!(says(&mut tx, host, &reported, &[]).await);
        assert!(!says(&mut tx, host, &reported, &[]).await, "the same again changes nothing");
        tx.commit().await.unwrap();
        let (stocks, _) = inventory_list(&db, host).await.unwrap();
        let shown: Vec<(String, u64, f64)> = stocks
            .into_iter()
            .map(|s| (s.inventory.resource_class, s.inventory.total, s.inventory.allocation_ratio))
            .collect();
        let expected = [("CUSTOM_LICENCE", 3, 1.0), ("DISK_GB", 100, 1.0), ("PCPU", 2, 1.5), ("VCPU", 16, 4.0)];
        assert_eq!(shown, expected.map(|(class, total, ratio)| (class.to_owned(), total, ratio)));
        assert_eq!(used(&db, host).await, [0, 1, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn an_operators_traits_survive_a_report() {
    on_each_engine(|db| async move {
        let host = host(&db, "h", 8, 8192, 100).await;
        let before = ["CUSTOM_RACK_7", "HW_CPU_X86_AVX", "COMPUTE_STATUS_DISABLED", "STORAGE_DISK_SSD"];
        set_traits(&db, host, &before).await;
        let reported = ["HW_CPU_X86_AVX2", "COMPUTE_NODE", "COMPUTE_FROM_THE_FUTURE"];
        let mut tx = db.begin().await.unwrap();
        assert!(says(&mut tx, host, &[], &reported).await);
        assert!(!says(&mut tx, host, &[], &reported).await, "the same again changes nothing");
        tx.commit().await.unwrap();
        assert_eq!(
            provider_trait_list(&db, host).await.unwrap(),
            ["COMPUTE_NODE", "COMPUTE_STATUS_DISABLED", "CUSTOM_RACK_7", "HW_CPU_X86_AVX2", "STORAGE_DISK_SSD"]
        );
    })
    .await;
}

#[tokio::test]
async fn hosts_report_together_what_each_would_alone() {
    on_each_engine(|db| async move {
        let old = host(&db, "old", 8, 8192, 100).await;
        let same = host(&db, "same", 8, 8192, 100).await;
        claim(&db, old, &[("DISK_GB", 7)]).await.unwrap();
        set_traits(&db, old, &["CUSTOM_RACK_7", "COMPUTE_NODE"]).await;
        let new: Vec<ProviderId> = (0..3).map(|_| ProviderId::random()).collect();
        let names: Vec<String> = (0..3).map(|n| format!("new-{n}")).collect();
        let traits = ["COMPUTE_NODE", "CUSTOM_FAST", "COMPUTE_FROM_THE_FUTURE", "COMPUTE_NODE"].map(str::to_owned);
        let host = |provider, name, vcpus, traits| HostReport {
            provider,
            name,
            inventory: vec![
                Inventory::of("VCPU", vcpus),
                Inventory::of("MEMORY_MB", 8192).reserved(512),
                Inventory::of("DISK_GB", 100),
            ],
            traits,
        };
        let unchanged =
            [("VCPU", 8), ("MEMORY_MB", 8192), ("DISK_GB", 100)].map(|(class, total)| Inventory::of(class, total));
        let mut reports: Vec<_> = new.iter().zip(&names).map(|(id, name)| host(*id, name, 4, &traits[..])).collect();
        reports.push(host(old, "renamed", 16, &traits[..]));
        reports.push(HostReport { provider: same, name: "same", inventory: unchanged.to_vec(), traits: &[] });

        let mut tx = db.begin().await.unwrap();
        let changed = hosts_report(&mut tx, &reports).await.unwrap();
        assert_eq!(changed, new.iter().copied().chain([old]).collect());
        let before = db.statements();
        assert!(hosts_report(&mut tx, &reports).await.unwrap().is_empty());
        assert_eq!(db.statements() - before, 4, "as many as of one");
        tx.commit().await.unwrap();

        for (id, name, vcpus, traits) in [
            (new[0], "new-0", 4, &["COMPUTE_NODE", "CUSTOM_FAST"][..]),
            (new[2], "new-2", 4, &["COMPUTE_NODE", "CUSTOM_FAST"]),
            (old, "renamed", 16, &["COMPUTE_NODE", "CUSTOM_FAST", "CUSTOM_RACK_7"]),
        ] {
            let provider = provider_get(&db, id).await.unwrap();
            assert_eq!((provider.name.as_str(), provider.root, provider.parent), (name, id, None));
            let (stocks, _) = inventory_list(&db, id).await.unwrap();
            let shown: Vec<_> = stocks.iter().map(|s| (s.inventory.total, s.inventory.reserved, s.used)).collect();
            assert_eq!(shown, [(100, 0, if id == old { 7 } else { 0 }), (8192, 512, 0), (vcpus, 0, 0)]);
            assert_eq!(provider_trait_list(&db, id).await.unwrap(), traits);
        }
        assert_eq!(provider_get(&db, same).await.unwrap().generation, 1, "as it was made");
        let taken = host(ProviderId::random(), "renamed", 1, &[]);
        let mut tx = db.begin().await.unwrap();
        let error = hosts_report(&mut tx, &[taken]).await.unwrap_err();
        assert!(matches!(error, StoreError::Db(DbError::Duplicate(_))), "{error}");
    })
    .await;
}
