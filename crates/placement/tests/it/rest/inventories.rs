//! Inventories, aggregates, usages: generations, limits, what is in use.

use super::Client;
use platform_db::testing::on_each_engine;
use serde_json::json;

#[tokio::test]
async fn inventories_are_written_one_by_one_and_all_at_once() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let uuid = c.provider("a", None, &[]).await;
        let all = format!("/resource_providers/{uuid}/inventories");
        let g = c.generation(&uuid).await;
        let made =
            c.post(&all, json!({"resource_class": "VCPU", "total": 8, "allocation_ratio": 4.0})).await.expect(201);
        assert_eq!(made.header("location"), format!("http://h:8700/placement{all}/VCPU"));
        assert_eq!(
            made.json,
            json!({"total": 8, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1,
                   "allocation_ratio": 4.0, "resource_provider_generation": g + 1})
        );
        let again = c.post(&all, json!({"resource_class": "VCPU", "total": 8})).await.expect(409);
        assert_eq!(again.code(), "placement.concurrent_update");
        c.post(&all, json!({"resource_class": "CUSTOM_NONE", "total": 8})).await.expect(400);

        let g = c.generation(&uuid).await;
        let one = format!("{all}/VCPU");
        let changed = c.put(&one, json!({"total": 10, "resource_provider_generation": g})).await.expect(200);
        assert_eq!((&changed.json["total"], &changed.json["allocation_ratio"]), (&json!(10), &json!(1.0)));
        let old = c.put(&one, json!({"total": 11, "resource_provider_generation": g})).await.expect(409);
        assert_eq!(old.code(), "placement.concurrent_update");
        assert_eq!(old.detail(), "resource provider generation conflict");
        let g = c.generation(&uuid).await;
        c.put(&format!("{all}/DISK_GB"), json!({"total": 1, "resource_provider_generation": g})).await.expect(400);

        let body = json!({"resource_provider_generation": g,
                          "inventories": {"VCPU": {"total": 2}, "DISK_GB": {"total": 9, "reserved": 1}}});
        c.put(&all, body.clone()).await.expect(200);
        c.put(&all, body).await.expect(409);
        let shown = c.get(&all).await.expect(200).json;
        assert_eq!(shown["inventories"]["DISK_GB"]["reserved"], 1);
        assert_eq!(shown["resource_provider_generation"], g + 1);
        c.get(&format!("{all}/MEMORY_MB")).await.expect(404);
        c.delete(&format!("{all}/DISK_GB")).await.expect(204);
        c.delete(&format!("{all}/DISK_GB")).await.expect(404);
        c.at("1.4").delete(&all).await.expect(405);
        c.delete(&all).await.expect(204);
        assert_eq!(c.get(&all).await.json["inventories"], json!({}));
    })
    .await;
}

#[tokio::test]
async fn impossible_inventories_are_refused() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let uuid = c.provider("a", None, &[]).await;
        let all = format!("/resource_providers/{uuid}/inventories");
        for bad in [
            json!({"total": 0}),
            json!({"total": -1}),
            json!({"total": 2_147_483_648_u64}),
            json!({"total": 10, "reserved": 11}),
            json!({"total": 10, "min_unit": 0}),
            json!({"total": 10, "step_size": 0}),
            json!({"total": 10, "allocation_ratio": 1e39}),
            json!({"total": "10"}),
            json!({"total": 10, "colour": 1}),
            json!({}),
        ] {
            let body = json!({"resource_provider_generation": c.generation(&uuid).await,
                              "inventories": {"VCPU": bad.clone()}});
            let answer = c.put(&all, body).await;
            assert_eq!(answer.status, 400, "{bad} {:?}", answer.json);
        }
        let full = json!({"resource_class": "VCPU", "total": 10, "reserved": 10});
        c.at("1.25").post(&all, full.clone()).await.expect(400);
        c.at("1.26").post(&all, full).await.expect(201);
        c.put(&all, json!({"inventories": {}})).await.expect(400);
        c.get("/resource_providers/x/inventories").await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn what_is_in_use_stays() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let uuid = c.provider("a", None, &[("VCPU", 8), ("MEMORY_MB", 1024)]).await;
        let path = format!("/resource_providers/{uuid}");
        let consumer = c.allocate(&uuid, "VCPU", 3).await;
        let refused = c.delete(&format!("{path}/inventories")).await.expect(409);
        assert_eq!(refused.code(), "placement.inventory.inuse");
        let refused = c.delete(&format!("{path}/inventories/VCPU")).await.expect(409);
        assert_eq!(refused.code(), "placement.concurrent_update");
        let body = json!({"resource_provider_generation": c.generation(&uuid).await, "inventories": {}});
        assert_eq!(c.put(&format!("{path}/inventories"), body).await.expect(409).code(), "placement.inventory.inuse");
        assert_eq!(c.delete(&path).await.expect(409).code(), "placement.resource_provider.inuse");
        let usages = c.get(&format!("{path}/usages")).await.expect(200).json;
        assert_eq!(usages["usages"], json!({"MEMORY_MB": 0, "VCPU": 3}));
        c.delete(&format!("{path}/inventories/MEMORY_MB")).await.expect(204);
        c.delete(&format!("/allocations/{consumer}")).await.expect(204);
        c.delete(&path).await.expect(204);
    })
    .await;
}

#[tokio::test]
async fn aggregates_carry_a_generation_from_1_19() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let uuid = c.provider("a", None, &[]).await;
        let path = format!("/resource_providers/{uuid}/aggregates");
        let one = "0c7e4f3a-1111-4222-8333-444455556666";
        let answer = c.at("1.1").put(&path, json!([one])).await.expect(200);
        assert_eq!(answer.json, json!({"aggregates": [one]}));
        c.at("1.18").put(&path, json!({"aggregates": []})).await.expect(400);
        c.put(&path, json!([one])).await.expect(400);
        let g = c.generation(&uuid).await;
        let body = json!({"aggregates": [one], "resource_provider_generation": g});
        c.put(&path, body.clone()).await.expect(200);
        assert_eq!(c.put(&path, body).await.expect(409).code(), "placement.concurrent_update");
        let shown = c.get(&path).await.expect(200).json;
        assert_eq!(shown, json!({"aggregates": [one], "resource_provider_generation": g + 1}));
    })
    .await;
}
