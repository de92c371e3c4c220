//! Providers: their life, their trees, the list's filters.

use super::Client;
use platform_db::testing::on_each_engine;
use serde_json::json;

const AGGREGATE: &str = "0c7e4f3a-1111-4222-8333-444455556666";

#[tokio::test]
async fn a_provider_lives() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let made = c.at("1.19").post("/resource_providers", json!({"name": "a"})).await.expect(201);
        assert!(made.json.is_null());
        let location = made.header("location").to_owned();
        let uuid = location.strip_prefix("http://h:8700/placement/resource_providers/").unwrap().to_owned();
        let shown = c.at("1.0").get(&format!("/resource_providers/{uuid}")).await.expect(200).json;
        let url = format!("/placement/resource_providers/{uuid}");
        assert_eq!(
            shown,
            json!({"uuid": uuid, "name": "a", "generation": 0, "links": [
                {"rel": "self", "href": url},
                {"rel": "inventories", "href": format!("{url}/inventories")},
                {"rel": "usages", "href": format!("{url}/usages")}]})
        );
        let shown = c.get(&format!("/resource_providers/{uuid}")).await.expect(200).json;
        assert_eq!(shown["links"].as_array().unwrap().len(), 6);
        assert_eq!((&shown["parent_provider_uuid"], &shown["root_provider_uuid"]), (&json!(null), &json!(uuid)));

        let taken = c.post("/resource_providers", json!({"name": "a"})).await.expect(409);
        assert_eq!(taken.code(), "placement.duplicate_name");
        assert_eq!(taken.detail(), "Conflicting resource provider name: a already exists.");
        let taken = c.post("/resource_providers", json!({"name": "b", "uuid": uuid})).await.expect(409);
        assert_eq!(taken.detail(), format!("Conflicting resource provider uuid: {uuid} already exists."));
        for bad in [json!({}), json!({"name": "x".repeat(201)}), json!({"name": "x", "uuid": "y"}), json!([])] {
            c.post("/resource_providers", bad).await.expect(400);
        }

        let path = format!("/resource_providers/{uuid}");
        let renamed = c.put(&path, json!({"name": "z"})).await.expect(200);
        assert_eq!(renamed.json["name"], "z");
        c.post("/resource_providers", json!({"name": "b"})).await.expect(200);
        assert_eq!(c.put(&path, json!({"name": "b"})).await.expect(409).code(), "placement.duplicate_name");
        c.delete(&path).await.expect(204);
        c.delete(&path).await.expect(404);
        c.put(&path, json!({"name": "q"})).await.expect(404);
        c.delete("/resource_providers/not-a-uuid").await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn trees_grow_move_and_are_not_felled_from_below() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let root = c.provider("root", None, &[]).await;
        let child = c.provider("child", Some(&root), &[]).await;
        let grandchild = c.provider("grandchild", Some(&child), &[]).await;
        let other = c.provider("other", None, &[]).await;
        let path = |uuid: &str| format!("/resource_providers/{uuid}");
        let shown = c.get(&path(&grandchild)).await.expect(200).json;
        assert_eq!((&shown["parent_provider_uuid"], &shown["root_provider_uuid"]), (&json!(child), &json!(root)));
        let refused = c.delete(&path(&root)).await.expect(409);
        assert_eq!(refused.code(), "placement.resource_provider.cannot_delete_parent");

        let move_to = |parent: Option<&str>| json!({"name": "child", "parent_provider_uuid": parent});
        c.at("1.36").put(&path(&child), move_to(Some(&other))).await.expect(400);
        c.put(&path(&child), move_to(Some(&grandchild))).await.expect(400);
        c.put(&path(&child), move_to(Some(&child))).await.expect(400);
        c.put(&path(&child), move_to(Some("0c7e4f3a-1111-4222-8333-000000000000"))).await.expect(400);
        c.put(&path(&child), move_to(Some(&other))).await.expect(200);
        let shown = c.get(&path(&grandchild)).await.expect(200).json;
        assert_eq!((&shown["parent_provider_uuid"], &shown["root_provider_uuid"]), (&json!(child), &json!(other)));
        c.put(&path(&child), move_to(None)).await.expect(200);
        assert_eq!(c.get(&path(&grandchild)).await.json["root_provider_uuid"], json!(child));
        c.delete(&path(&root)).await.expect(204);
        // a parent may be given once at any version
        c.at("1.14").put(&path(&child), move_to(Some(&other))).await.expect(200);
        c.at("1.14").put(&path(&child), move_to(None)).await.expect(400);
    })
    .await;
}

async fn listed(c: &Client, query: &str) -> Vec<String> {
    let answer = c.get(&format!("/resource_providers{query}")).await.expect(200);
    let list = answer.json["resource_providers"].as_array().unwrap().clone();
    list.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_list_is_filtered() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let a = c.provider("a", None, &[("VCPU", 4), ("DISK_GB", 100)]).await;
        let b = c.provider("b", None, &[("VCPU", 16)]).await;
        let child = c.provider("child", Some(&a), &[("VGPU", 2)]).await;
        c.set_traits(&a, &["HW_CPU_X86_AVX", "CUSTOM_X"]).await;
        c.set_traits(&b, &["HW_CPU_X86_AVX"]).await;
        c.set_aggregates(&b, &[AGGREGATE]).await;
        c.allocate(&b, "VCPU", 10).await;
        let other = AGGREGATE.replace("0c7e", "0000");
        for (query, expected) in [
            (String::new(), vec!["a", "b", "child"]),
            ("?name=b".into(), vec!["b"]),
            ("?name=nobody".into(), vec![]),
            (format!("?uuid={a}"), vec!["a"]),
            (format!("?in_tree={child}"), vec!["a", "child"]),
            ("?resources=VCPU:4".into(), vec!["a", "b"]),
            ("?resources=VCPU:5".into(), vec!["b"]),
            ("?resources=VCPU:7".into(), vec![]),
            ("?resources=VCPU:1,DISK_GB:1".into(), vec!["a"]),
            (format!("?member_of={AGGREGATE}"), vec!["b"]),
            (format!("?member_of=in:{other},{AGGREGATE}"), vec!["b"]),
            (format!("?member_of=!{AGGREGATE}"), vec!["a", "child"]),
            (format!("?member_of={AGGREGATE}&member_of={other}"), vec![]),
            ("?required=HW_CPU_X86_AVX".into(), vec!["a", "b"]),
            ("?required=HW_CPU_X86_AVX,!CUSTOM_X".into(), vec!["b"]),
            ("?required=HW_CPU_X86_AVX&required=CUSTOM_X".into(), vec!["a"]),
            ("?required=in:HW_CPU_X86_AVX2,CUSTOM_X".into(), vec!["a"]),
        ] {
            assert_eq!(listed(&c, &query).await, expected, "{query}");
        }
        for bad in [
            "?resources=NOTHING:1",
            "?resources=VCPU",
            "?resources=VCPU:0",
            "?required=NO_SUCH_TRAIT",
            "?required=",
            "?member_of=x",
            "?member_of=a,b",
            "?in_tree=x",
            "?uuid=x",
            "?limit=5",
        ] {
            c.get(&format!("/resource_providers{bad}")).await.expect(400);
        }
        for (version, query) in [
            ("1.2", "?member_of=0c7e4f3a-1111-4222-8333-444455556666"),
            ("1.3", "?resources=VCPU:1"),
            ("1.13", "?in_tree=0c7e4f3a-1111-4222-8333-444455556666"),
            ("1.17", "?required=HW_CPU_X86_AVX"),
            ("1.21", "?required=!HW_CPU_X86_AVX"),
            ("1.31", "?member_of=!0c7e4f3a-1111-4222-8333-444455556666"),
            ("1.38", "?required=in:HW_CPU_X86_AVX"),
        ] {
            c.at(version).get(&format!("/resource_providers{query}")).await.expect(400);
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_costs_a_constant_number_of_statements() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let count = async |query: &str| {
            let before = db.statements();
            c.get(&format!("/resource_providers{query}")).await.expect(200);
            db.statements() - before
        };
        c.provider("p0", None, &[("VCPU", 4)]).await;
        count("?resources=VCPU:1").await;
        let (few, few_filtered) = (count("").await, count("?resources=VCPU:1").await);
        for n in 1..30 {
            c.provider(&format!("p{n}"), None, &[("VCPU", 4)]).await;
        }
        count("?resources=VCPU:1").await;
        assert_eq!((count("").await, count("?resources=VCPU:1").await), (few, few_filtered));
    })
    .await;
}
