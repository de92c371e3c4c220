//! Resource classes and traits.

use super::Client;
use platform_db::testing::on_each_engine;
use serde_json::{Value, json};

#[tokio::test]
async fn resource_classes() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let all = c.get("/resource_classes").await.expect(200).json;
        let names: Vec<&str> =
            all["resource_classes"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
        assert!(names.len() == 21 && names.contains(&"VCPU"), "{names:?}");
        let shown = c.get("/resource_classes/VCPU").await.expect(200).json;
        assert_eq!(
            shown,
            json!({"name": "VCPU", "links": [{"rel": "self", "href": "/placement/resource_classes/VCPU"}]})
        );
        c.get("/resource_classes/CUSTOM_A").await.expect(404);
        let made = c.put("/resource_classes/CUSTOM_A", Value::Null).await.expect(201);
        assert_eq!(made.header("location"), "http://h:8700/placement/resource_classes/CUSTOM_A");
        c.put("/resource_classes/CUSTOM_A", Value::Null).await.expect(204);
        for bad in ["VCPU", "custom_a", "CUSTOM_a", "CUSTOM_"] {
            c.put(&format!("/resource_classes/{bad}"), Value::Null).await.expect(400);
        }
        c.post("/resource_classes", json!({"name": "CUSTOM_A"})).await.expect(409);
        c.post("/resource_classes", json!({"name": "CUSTOM_B"})).await.expect(201);
        c.post("/resource_classes", json!({"name": "B"})).await.expect(400);
        c.at("1.6").put("/resource_classes/CUSTOM_B", json!({"name": "CUSTOM_C"})).await.expect(200);
        c.at("1.6").put("/resource_classes/CUSTOM_C", json!({"name": "CUSTOM_A"})).await.expect(409);
        c.at("1.6").put("/resource_classes/VCPU", json!({"name": "CUSTOM_Z"})).await.expect(400);
        c.at("1.6").put("/resource_classes/CUSTOM_Q", json!({"name": "CUSTOM_Z"})).await.expect(404);
        c.delete("/resource_classes/VCPU").await.expect(400);
        c.delete("/resource_classes/CUSTOM_Q").await.expect(404);
        c.provider("a", None, &[("CUSTOM_A", 1)]).await;
        c.delete("/resource_classes/CUSTOM_A").await.expect(409);
        c.delete("/resource_classes/CUSTOM_C").await.expect(204);
    })
    .await;
}

#[tokio::test]
async fn traits() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let names = async |query: &str| -> Vec<String> {
            let answer = c.get(&format!("/traits{query}")).await.expect(200).json;
            serde_json::from_value(answer["traits"].clone()).unwrap()
        };
        assert_eq!(names("").await.len(), 377);
        c.put("/traits/CUSTOM_A", Value::Null).await.expect(201);
        c.put("/traits/CUSTOM_A", Value::Null).await.expect(204);
        c.put("/traits/CUSTOM_B", Value::Null).await.expect(201);
        c.put("/traits/OTHER", Value::Null).await.expect(400);
        c.get("/traits/CUSTOM_A").await.expect(204);
        c.get("/traits/CUSTOM_Q").await.expect(404);
        assert_eq!(names("?name=startswith:CUSTOM_").await, ["CUSTOM_A", "CUSTOM_B"]);
        assert_eq!(names("?name=in:CUSTOM_B,HW_CPU_X86_AVX,NONE").await, ["CUSTOM_B", "HW_CPU_X86_AVX"]);
        c.get("/traits?name=CUSTOM_A").await.expect(400);
        c.get("/traits?associated=maybe").await.expect(400);

        let uuid = c.provider("a", None, &[]).await;
        let path = format!("/resource_providers/{uuid}/traits");
        let g = c.generation(&uuid).await;
        let body = json!({"traits": ["CUSTOM_A", "HW_CPU_X86_AVX"], "resource_provider_generation": g});
        let set = c.put(&path, body.clone()).await.expect(200);
        assert_eq!(set.json["resource_provider_generation"], g + 1);
        assert_eq!(c.put(&path, body).await.expect(409).code(), "placement.concurrent_update");
        let unknown = json!({"traits": ["CUSTOM_Q"], "resource_provider_generation": g + 1});
        assert_eq!(c.put(&path, unknown).await.expect(400).detail(), "No such trait CUSTOM_Q");
        assert_eq!(names("?associated=true").await, ["CUSTOM_A", "HW_CPU_X86_AVX"]);
        assert_eq!(names("?associated=false&name=startswith:CUSTOM").await, ["CUSTOM_B"]);
        assert_eq!(c.get(&path).await.expect(200).json["traits"], json!(["CUSTOM_A", "HW_CPU_X86_AVX"]));
        c.delete("/traits/CUSTOM_A").await.expect(409);
        c.delete("/traits/HW_CPU_X86_AVX").await.expect(400);
        c.delete("/traits/CUSTOM_Q").await.expect(404);
        c.delete("/traits/CUSTOM_B").await.expect(204);
        c.delete(&path).await.expect(204);
        c.delete("/traits/CUSTOM_A").await.expect(204);
    })
    .await;
}
