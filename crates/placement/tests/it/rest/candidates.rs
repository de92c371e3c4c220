//! Allocation candidates: single hosts, trees, sharing providers, groups.

use super::Client;
use platform_db::testing::on_each_engine;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const POOL: &str = "0c7e4f3a-1111-4222-8333-444455556666";

async fn ask(c: &Client, query: &str) -> Value {
    c.get(&format!("/allocation_candidates?{query}")).await.expect(200).json
}

/// Each request as text `NAME=CLASS:N,…`, sorted; names are the providers', given as (name, uuid).
fn told(answer: &Value, names: &[(&str, &str)]) -> BTreeSet<String> {
    let name = |uuid: &str| names.iter().find(|(_, u)| *u == uuid).unwrap().0;
    let one = |request: &Value| {
        let mut parts: Vec<String> = request["allocations"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(uuid, a)| {
                let mut amounts: Vec<String> =
                    a["resources"].as_object().unwrap().iter().map(|(c, n)| format!("{c}:{n}")).collect();
                amounts.sort();
                format!("{}={}", name(uuid), amounts.join(","))
            })
            .collect();
        parts.sort();
        parts.join(" ")
    };
    answer["allocation_requests"].as_array().unwrap().iter().map(one).collect()
}

fn set(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[tokio::test]
async fn single_hosts_in_the_shapes_of_versions() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let a = c.provider("a", None, &[("VCPU", 4), ("MEMORY_MB", 1024)]).await;
        let b = c.provider("b", None, &[("VCPU", 1), ("MEMORY_MB", 1024)]).await;
        c.set_traits(&a, &["HW_CPU_X86_AVX"]).await;
        let names = [("a", a.as_str()), ("b", b.as_str())];
        let answer = ask(&c, "resources=VCPU:2").await;
        assert_eq!(told(&answer, &names), set(&["a=VCPU:2"]));
        assert_eq!(answer["allocation_requests"][0]["mappings"], json!({"": [a]}));
        assert_eq!(
            answer["provider_summaries"],
            json!({&a: {"resources": {"VCPU": {"capacity": 4, "used": 0}, "MEMORY_MB": {"capacity": 1024, "used": 0}},
                        "traits": ["HW_CPU_X86_AVX"], "parent_provider_uuid": null, "root_provider_uuid": a}})
        );
        let answer = ask(&c.at("1.10"), "resources=VCPU:2").await;
        assert_eq!(
            answer,
            json!({"allocation_requests": [
                       {"allocations": [{"resource_provider": {"uuid": a}, "resources": {"VCPU": 2}}]}],
                   "provider_summaries": {&a: {"resources": {"VCPU": {"capacity": 4, "used": 0}}}}})
        );
        assert_eq!(told(&ask(&c, "resources=VCPU:1&limit=1").await, &names).len(), 1);
        assert_eq!(told(&ask(&c, "resources=VCPU:1&required=!HW_CPU_X86_AVX").await, &names), set(&["b=VCPU:1"]));
        assert_eq!(told(&ask(&c, "resources=VCPU:1&root_required=HW_CPU_X86_AVX").await, &names), set(&["a=VCPU:1"]));
        assert_eq!(told(&ask(&c, "resources=VCPU:1&root_required=!HW_CPU_X86_AVX").await, &names), set(&["b=VCPU:1"]));
        assert_eq!(told(&ask(&c, &format!("resources=VCPU:1&in_tree={b}")).await, &names), set(&["b=VCPU:1"]));
        let nothing = ask(&c, "resources=VCPU:9").await;
        assert_eq!(nothing, json!({"allocation_requests": [], "provider_summaries": {}}));
        c.allocate(&a, "VCPU", 3).await;
        assert_eq!(told(&ask(&c, "resources=VCPU:2").await, &names), set(&[]), "seen at once");
    })
    .await;
}

#[tokio::test]
async fn a_candidate_can_be_put_as_it_is() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let a = c.provider("a", None, &[("VCPU", 4)]).await;
        let mut wanted = ask(&c, "resources=VCPU:2").await["allocation_requests"][0].clone();
        for (key, value) in [
            ("project_id", json!("p")),
            ("user_id", json!("u")),
            ("consumer_generation", json!(null)),
            ("consumer_type", json!("INSTANCE")),
        ] {
            wanted[key] = value;
        }
        c.put(&format!("/allocations/{}", uuid::Uuid::new_v4()), wanted).await.expect(204);
        assert_eq!(c.get(&format!("/resource_providers/{a}/usages")).await.json["usages"], json!({"VCPU": 2}));
    })
    .await;
}

#[tokio::test]
async fn trees_and_sharing_providers_give_together() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let root = c.provider("root", None, &[("VCPU", 8), ("MEMORY_MB", 1024)]).await;
        let numa0 = c.provider("numa0", Some(&root), &[("PCPU", 4)]).await;
        let numa1 = c.provider("numa1", Some(&root), &[("PCPU", 4)]).await;
        let pool = c.provider("pool", None, &[("DISK_GB", 1000)]).await;
        let lonely = c.provider("lonely", None, &[("VCPU", 8)]).await;
        c.set_traits(&pool, &["MISC_SHARES_VIA_AGGREGATE"]).await;
        c.set_traits(&numa1, &["CUSTOM_NEAR_NIC"]).await;
        c.set_aggregates(&pool, &[POOL]).await;
        c.set_aggregates(&root, &[POOL]).await;
        let names =
            [("root", root.as_str()), ("numa0", &numa0), ("numa1", &numa1), ("pool", &pool), ("lonely", &lonely)];

        let answer = ask(&c, "resources=VCPU:1,DISK_GB:10").await;
        assert_eq!(told(&answer, &names), set(&["pool=DISK_GB:10 root=VCPU:1"]));
        let summaries: BTreeSet<&String> = answer["provider_summaries"].as_object().unwrap().keys().collect();
        assert_eq!(summaries, BTreeSet::from([&root, &numa0, &numa1, &pool]), "all of the tree");
        assert_eq!(told(&ask(&c, "resources=DISK_GB:10").await, &names), set(&["pool=DISK_GB:10"]), "once, not twice");

        let both = ask(&c, "resources=VCPU:1,PCPU:2").await;
        assert_eq!(told(&both, &names), set(&["numa0=PCPU:2 root=VCPU:1", "numa1=PCPU:2 root=VCPU:1"]));
        let near = ask(&c, "resources=VCPU:1,PCPU:2&required=CUSTOM_NEAR_NIC").await;
        assert_eq!(told(&near, &names), set(&["numa1=PCPU:2 root=VCPU:1"]));
        assert_eq!(told(&ask(&c, "resources=PCPU:2&required=!CUSTOM_NEAR_NIC").await, &names), set(&["numa0=PCPU:2"]));
        let old = ask(&c.at("1.28"), "resources=VCPU:1,PCPU:2").await;
        assert_eq!(old["allocation_requests"], json!([]), "clients of that version know no trees");
        // the root's aggregate spans its tree
        assert_eq!(
            told(&ask(&c, &format!("resources=PCPU:2&member_of={POOL}")).await, &names),
            set(&["numa0=PCPU:2", "numa1=PCPU:2"])
        );
        assert_eq!(told(&ask(&c, &format!("resources1=PCPU:2&member_of1={POOL}")).await, &names), set(&[]));
    })
    .await;
}

#[tokio::test]
async fn groups_policy_and_subtrees() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let root = c.provider("root", None, &[("VCPU", 8)]).await;
        let numa0 = c.provider("numa0", Some(&root), &[("PCPU", 4)]).await;
        let numa1 = c.provider("numa1", Some(&root), &[("PCPU", 4)]).await;
        let nic0 = c.provider("nic0", Some(&numa0), &[("SRIOV_NET_VF", 8)]).await;
        let nic1 = c.provider("nic1", Some(&numa1), &[("SRIOV_NET_VF", 8)]).await;
        c.set_traits(&nic1, &["CUSTOM_FAST"]).await;
        let names = [("root", root.as_str()), ("numa0", &numa0), ("numa1", &numa1), ("nic0", &nic0), ("nic1", &nic1)];

        let two = "resources_A=SRIOV_NET_VF:1&resources_B=SRIOV_NET_VF:1";
        c.get(&format!("/allocation_candidates?{two}")).await.expect(400);
        let apart = ask(&c, &format!("{two}&group_policy=isolate")).await;
        assert_eq!(told(&apart, &names), set(&["nic0=SRIOV_NET_VF:1 nic1=SRIOV_NET_VF:1"]));
        assert_eq!(apart["allocation_requests"].as_array().unwrap().len(), 2, "A and B either way round");
        let any = ask(&c, &format!("{two}&group_policy=none")).await;
        assert_eq!(
            told(&any, &names),
            set(&["nic0=SRIOV_NET_VF:2", "nic1=SRIOV_NET_VF:2", "nic0=SRIOV_NET_VF:1 nic1=SRIOV_NET_VF:1"])
        );
        let fast = ask(&c, &format!("{two}&required_A=CUSTOM_FAST&group_policy=isolate")).await;
        assert_eq!(fast["allocation_requests"][0]["mappings"], json!({"_A": [nic1], "_B": [nic0]}));
        assert_eq!(fast["allocation_requests"].as_array().unwrap().len(), 1);

        let near = "resources_C=PCPU:1&resources_N=SRIOV_NET_VF:1&group_policy=none";
        assert_eq!(told(&ask(&c, near).await, &names).len(), 4);
        assert_eq!(
            told(&ask(&c, &format!("{near}&same_subtree=_C,_N")).await, &names),
            set(&["nic0=SRIOV_NET_VF:1 numa0=PCPU:1", "nic1=SRIOV_NET_VF:1 numa1=PCPU:1"])
        );
        // a group without resources, named in same_subtree: only its place counts
        let placed = "resources_C=PCPU:1&required_N=CUSTOM_FAST&same_subtree=_C,_N&group_policy=none";
        assert_eq!(told(&ask(&c, placed).await, &names), set(&["numa1=PCPU:1"]));
    })
    .await;
}

#[tokio::test]
async fn bad_queries() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        for (query, code) in [
            ("", "missing_value"),
            ("resources=", ""),
            ("resources=NOTHING:1", ""),
            ("resources=VCPU:1&required=NO_SUCH_TRAIT", ""),
            ("resources=VCPU:1&limit=0", ""),
            ("resources=VCPU:1&limit=x", ""),
            ("resources=VCPU:1&colour=red", ""),
            ("resources=VCPU:1&group_policy=some", ""),
            ("resources=VCPU:1&required=HW_CPU_X86_AVX,!HW_CPU_X86_AVX", ""),
            ("resources=VCPU:1&root_required=HW_CPU_X86_AVX,!HW_CPU_X86_AVX", "bad_value"),
            ("resources=VCPU:1&root_required=HW_CPU_X86_AVX&root_required=HW_CPU_X86_AVX2", "duplicate_key"),
            ("resources=VCPU:1&required_A=HW_CPU_X86_AVX", "bad_value"),
            ("resources=VCPU:1&same_subtree=_A", "bad_value"),
            ("resources_A=VCPU:1&same_subtree=_A,", "bad_value"),
            ("required=HW_CPU_X86_AVX", "missing_value"),
            ("resources=VCPU:1&in_tree=x", ""),
            ("resources=VCPU:1&member_of=x", ""),
        ] {
            let answer = c.get(&format!("/allocation_candidates?{query}")).await;
            assert_eq!(answer.status, 400, "{query}");
            let expected = if code.is_empty() { "undefined_code".to_owned() } else { format!("query.{code}") };
            assert_eq!(answer.code(), format!("placement.{expected}"), "{query}: {}", answer.detail());
        }
        for (version, query) in [
            ("1.15", "resources=VCPU:1&limit=1"),
            ("1.16", "resources=VCPU:1&required=HW_CPU_X86_AVX"),
            ("1.24", "resources1=VCPU:1"),
            ("1.30", "resources=VCPU:1&in_tree=0c7e4f3a-1111-4222-8333-444455556666"),
            ("1.32", "resources_A=VCPU:1"),
            ("1.34", "resources=VCPU:1&root_required=HW_CPU_X86_AVX"),
            ("1.35", "resources=VCPU:1&required=HW_CPU_X86_AVX&required1=HW_CPU_X86_AVX"),
        ] {
            c.at(version).get(&format!("/allocation_candidates?{query}")).await.expect(400);
        }
    })
    .await;
}
