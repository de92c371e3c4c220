//! What a host reports does not undo what operators have set.

use crate::support::{claim, host, set_traits, used};
use placement::store::{inventory_list, inventory_write, provider_trait_list};
use placement::{Inventory, inventory_report, traits_report};
use platform_db::testing::on_each_engine;

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
        assert!(inventory_report(&mut tx, host, &reported).await.unwrap());
        assert!(!inventory_report(&mut tx, host, &reported).await.unwrap(), "the same again changes nothing");
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
        let reported = ["HW_CPU_X86_AVX2", "COMPUTE_NODE", "COMPUTE_FROM_THE_FUTURE"].map(str::to_owned);
        let mut tx = db.begin().await.unwrap();
        assert!(traits_report(&mut tx, host, &reported).await.unwrap());
        assert!(!traits_report(&mut tx, host, &reported).await.unwrap(), "the same again changes nothing");
        tx.commit().await.unwrap();
        assert_eq!(
            provider_trait_list(&db, host).await.unwrap(),
            ["COMPUTE_NODE", "COMPUTE_STATUS_DISABLED", "CUSTOM_RACK_7", "HW_CPU_X86_AVX2", "STORAGE_DISK_SSD"]
        );
    })
    .await;
}
