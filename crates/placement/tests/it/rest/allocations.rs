//! Allocations in the shapes of all versions, usages, the reshaper.

use super::Client;
use platform_db::testing::on_each_engine;
use serde_json::{Value, json};

fn fresh() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[tokio::test]
async fn every_version_writes_in_its_own_shape() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let p = c.provider("a", None, &[("VCPU", 100)]).await;
        let list = json!([{"resource_provider": {"uuid": p}, "resources": {"VCPU": 1}}]);
        let dict = json!({&p: {"resources": {"VCPU": 2}}});
        let owner = json!({"project_id": "p1", "user_id": "u1"});
        let merged = |parts: &[&Value]| {
            let maps = parts.iter().flat_map(|p| p.as_object().unwrap().clone());
            Value::Object(maps.collect())
        };
        let bodies = [
            ("1.0", json!({"allocations": list})),
            ("1.8", merged(&[&owner, &json!({"allocations": list})])),
            ("1.12", merged(&[&owner, &json!({"allocations": dict})])),
            ("1.28", merged(&[&owner, &json!({"allocations": dict, "consumer_generation": null})])),
            (
                "1.38",
                merged(&[
                    &owner,
                    &json!({"allocations": dict, "consumer_generation": null,
                                             "consumer_type": "INSTANCE"}),
                ]),
            ),
        ];
        for (n, (version, body)) in bodies.iter().enumerate() {
            let path = format!("/allocations/{}", fresh());
            c.at(version).put(&path, body.clone()).await.expect(204);
            for (_, other) in bodies.iter().skip(n + 1) {
                c.at(version).put(&path, other.clone()).await.expect(400);
            }
            let shown = c.at(version).get(&path).await.expect(200).json;
            assert!(shown["allocations"][&p]["resources"]["VCPU"].is_u64(), "{version} {shown}");
            assert_eq!(shown.get("project_id").is_some(), *version >= "1.12" && *version != "1.8", "{version}");
            assert_eq!(shown.get("consumer_type").is_some(), *version == "1.38", "{version}");
        }
        let mapped = json!({"allocations": dict, "consumer_generation": null, "consumer_type": "INSTANCE",
                            "mappings": {"": [p]}});
        c.put(&format!("/allocations/{}", fresh()), merged(&[&owner, &mapped])).await.expect(204);
    })
    .await;
}

fn body(provider: &str, class: &str, amount: u64, generation: Option<i64>) -> Value {
    json!({"allocations": {provider: {"resources": {class: amount}}}, "project_id": "p1", "user_id": "u1",
           "consumer_generation": generation, "consumer_type": "INSTANCE"})
}

#[tokio::test]
async fn conflicts_and_refusals() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let p = c.provider("a", None, &[("VCPU", 4)]).await;
        let path = format!("/allocations/{}", fresh());
        let refused = c.put(&path, body(&p, "VCPU", 1, Some(3))).await.expect(409);
        assert_eq!(refused.code(), "placement.concurrent_update");
        assert_eq!(refused.detail(), "consumer generation conflict - expected null but got 3");
        c.put(&path, body(&p, "VCPU", 1, None)).await.expect(204);
        let refused = c.put(&path, body(&p, "VCPU", 1, None)).await.expect(409);
        assert_eq!(refused.detail(), "consumer generation conflict - expected 1 but got None");
        let shown = c.get(&path).await.expect(200).json;
        assert_eq!((&shown["consumer_generation"], &shown["consumer_type"]), (&json!(1), &json!("INSTANCE")));
        c.put(&path, body(&p, "VCPU", 4, Some(1))).await.expect(204);

        let another = format!("/allocations/{}", fresh());
        let full = c.put(&another, body(&p, "VCPU", 1, None)).await.expect(409);
        assert!(full.detail().ends_with("The requested amount would exceed the capacity."), "{full:?}");
        assert_eq!(full.code(), "placement.undefined_code");
        c.put(&another, body(&p, "MEMORY_MB", 1, None)).await.expect(409);
        c.put(&another, body(&p, "CUSTOM_NONE", 1, None)).await.expect(400);
        c.put(&another, body(&fresh(), "VCPU", 1, None)).await.expect(400);
        c.put(&another, body(&p, "VCPU", 0, None)).await.expect(400);
        c.put("/allocations/x", body(&p, "VCPU", 1, None)).await.expect(400);
        assert_eq!(c.get(&another).await.expect(200).json, json!({"allocations": {}}));
        c.delete(&another).await.expect(404);

        let nothing = json!({"allocations": {}, "project_id": "p1", "user_id": "u1", "consumer_generation": 2,
                             "consumer_type": "INSTANCE"});
        c.put(&path, nothing).await.expect(204);
        c.delete(&path).await.expect(404);
        assert_eq!(c.get(&format!("/resource_providers/{p}/usages")).await.json["usages"], json!({"VCPU": 0}));
    })
    .await;
}

#[tokio::test]
async fn several_consumers_at_once_or_not_at_all() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let p = c.provider("a", None, &[("VCPU", 4)]).await;
        let (x, y) = (fresh(), fresh());
        let refused = c.post("/allocations", json!({&x: body(&p, "VCPU", 3, None), &y: body(&p, "VCPU", 2, None)}));
        refused.await.expect(409);
        assert_eq!(c.get(&format!("/allocations/{x}")).await.json, json!({"allocations": {}}));
        let both = json!({&x: body(&p, "VCPU", 3, None), &y: body(&p, "VCPU", 1, None)});
        c.post("/allocations", both).await.expect(204);
        // a move: one gives what the other takes
        let empty = json!({"allocations": {}, "project_id": "p1", "user_id": "u1", "consumer_generation": 1,
                           "consumer_type": "INSTANCE"});
        let moved = json!({&x: empty, &y: body(&p, "VCPU", 4, Some(1))});
        c.post("/allocations", moved).await.expect(204);
        let shown = c.get(&format!("/resource_providers/{p}/allocations")).await.expect(200).json;
        assert_eq!(shown["allocations"], json!({&y: {"resources": {"VCPU": 4}, "consumer_generation": 2}}));
    })
    .await;
}

#[tokio::test]
async fn usages_are_summed_by_project_user_and_type() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let p = c.provider("a", None, &[("VCPU", 100), ("MEMORY_MB", 1000)]).await;
        c.allocate(&p, "VCPU", 1).await;
        c.allocate(&p, "VCPU", 2).await;
        let mut migration = body(&p, "MEMORY_MB", 10, None);
        migration["consumer_type"] = json!("MIGRATION");
        migration["user_id"] = json!("u2");
        c.put(&format!("/allocations/{}", fresh()), migration).await.expect(204);
        let old = json!({"allocations": {&p: {"resources": {"VCPU": 5}}}, "project_id": "p1", "user_id": "u1"});
        c.at("1.12").put(&format!("/allocations/{}", fresh()), old).await.expect(204);

        let usages = async |version: &str, query: &str| {
            let answer = c.at(version).get(&format!("/usages?project_id=p1{query}")).await.expect(200);
            answer.json["usages"].clone()
        };
        assert_eq!(usages("1.9", "").await, json!({"VCPU": 8, "MEMORY_MB": 10}));
        assert_eq!(usages("1.9", "&user_id=u2").await, json!({"MEMORY_MB": 10}));
        assert_eq!(
            usages("1.38", "").await,
            json!({"INSTANCE": {"VCPU": 3, "consumer_count": 2}, "MIGRATION": {"MEMORY_MB": 10, "consumer_count": 1},
                   "unknown": {"VCPU": 5, "consumer_count": 1}})
        );
        assert_eq!(
            usages("1.38", "&consumer_type=all").await,
            json!({"all": {"VCPU": 8, "MEMORY_MB": 10, "consumer_count": 4}})
        );
        assert_eq!(
            usages("1.38", "&consumer_type=unknown").await,
            json!({"unknown": {"VCPU": 5, "consumer_count": 1}})
        );
        assert_eq!(usages("1.38", "&consumer_type=OTHER").await, json!({}));
        c.get("/usages").await.expect(400);
        c.get("/usages?project_id=p1&consumer_type=low").await.expect(400);
    })
    .await;
}

#[tokio::test]
async fn the_reshaper_moves_inventory_and_allocations_together() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let root = c.provider("root", None, &[("VCPU", 8), ("VGPU", 2)]).await;
        let child = c.provider("child", Some(&root), &[]).await;
        let consumer = c.allocate(&root, "VGPU", 2).await;
        let reshaped = json!({
            "inventories": {
                &root: {"resource_provider_generation": c.generation(&root).await,
                        "inventories": {"VCPU": {"total": 8}}},
                &child: {"resource_provider_generation": c.generation(&child).await,
                         "inventories": {"VGPU": {"total": 2}}},
            },
            "allocations": {&consumer: body(&child, "VGPU", 2, Some(1))},
        });
        let service = c.with_token("service");
        service.post("/reshaper", reshaped.clone()).await.expect(204);
        assert_eq!(c.get(&format!("/resource_providers/{root}/inventories/VGPU")).await.status, 404);
        assert_eq!(c.get(&format!("/resource_providers/{child}/usages")).await.json["usages"], json!({"VGPU": 2}));
        let again = service.post("/reshaper", reshaped).await.expect(409);
        assert_eq!(again.code(), "placement.concurrent_update");
        let bad = json!({"inventories": {fresh(): {"resource_provider_generation": 0, "inventories": {}}},
                         "allocations": {}});
        let missing = service.post("/reshaper", bad).await.expect(400);
        assert_eq!(missing.code(), "placement.resource_provider.not_found");
        let taken_away = json!({
            "inventories": {&child: {"resource_provider_generation": c.generation(&child).await, "inventories": {}}},
            "allocations": {},
        });
        assert_eq!(service.post("/reshaper", taken_away).await.expect(409).code(), "placement.inventory.inuse");
    })
    .await;
}
