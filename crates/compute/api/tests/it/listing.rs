//! Lists of servers: filters, order, pages, and what they cost.

use crate::world::{ADMIN, MEMBER, OTHER, PROJECT, STRANGER, World};
use serde_json::{Value, json};
use std::time::Instant;

fn names(list: &Value) -> Vec<String> {
    list["servers"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
}

async fn three(w: &World) {
    for (name, tags) in [("alpha", vec!["x", "y"]), ("beta", vec!["y"]), ("gamma-10", vec!["z"])] {
        w.as_(MEMBER).created(json!({"name": name, "tags": tags, "metadata": {"n": name}})).await;
    }
}

#[tokio::test]
async fn filters() {
    let w = World::new().await;
    three(&w).await;
    w.as_(STRANGER).created(json!({"name": "foreign"})).await;
    w.all_active().await;
    w.sql("UPDATE instances SET vm_state = 'stopped', locked_by = 'owner', key_name = 'k' WHERE name = 'beta'").await;
    w.sql("UPDATE instances SET task_state = 'rebooting' WHERE name = 'alpha'").await;
    let cases = [
        ("", "gamma-10 beta alpha"),
        ("name=a$", "beta alpha"),
        ("name=^gamma", "gamma-10"),
        ("name=%5Cd", "gamma-10"),
        ("status=ACTIVE", "gamma-10 alpha"),
        ("status=shutoff", "beta"),
        ("status=REBOOT", "alpha"),
        // a status without a task of its own lifts the filter by task: Nova takes several together like that
        ("status=REBOOT&status=SHUTOFF", "gamma-10 beta alpha"),
        ("status=ERROR&status=SHUTOFF", "beta"),
        ("tags=x,y", "alpha"),
        ("tags=x,z", ""),
        ("tags-any=x,z", "gamma-10 alpha"),
        ("not-tags=x,y", "gamma-10 beta"),
        ("not-tags-any=x,z", "beta"),
        ("tags=Y", ""),
        ("locked=true", "beta"),
        ("locked=false", "gamma-10 alpha"),
        ("key_name=k", "beta"),
        ("vm_state=stopped", "beta"),
        ("task_state=rebooting", "alpha"),
        ("power_state=1", "gamma-10 beta alpha"),
        ("power_state=4", ""),
        ("flavor=1", "gamma-10 beta alpha"),
        ("flavor=2", ""),
        ("config_drive=true", ""),
        ("ip=10", ""),
        ("changes-since=2020-01-01T00:00:00Z", "gamma-10 beta alpha"),
        ("changes-before=2020-01-01T00:00:00Z", ""),
        ("hostname=gamma", "gamma-10"),
        // not for members: dropped
        ("host=nowhere", "gamma-10 beta alpha"),
        ("deleted=true", "gamma-10 beta alpha"),
        ("project_id=x", "gamma-10 beta alpha"),
    ];
    for (query, expected) in cases {
        for path in ["/servers", "/servers/detail"] {
            let list = w.as_(MEMBER).get(&format!("{path}?{query}")).await.expect(200);
            assert_eq!(names(&list).join(" "), expected, "{query}");
        }
    }
    let admin = w.as_(ADMIN);
    let cases = [
        ("", ""),
        ("all_tenants=1", "foreign gamma-10 beta alpha"),
        ("all_tenants", "foreign gamma-10 beta alpha"),
        (&format!("all_tenants=1&project_id={OTHER}"), "foreign"),
        (&format!("all_tenants=1&tenant_id={PROJECT}&host=h1"), "gamma-10 beta alpha"),
        ("all_tenants=1&host=nowhere", ""),
        ("all_tenants=1&metadata=%7B%22n%22:%22beta%22%7D", "beta"),
    ];
    for (query, expected) in cases {
        let list = admin.get(&format!("/servers?{query}")).await.expect(200);
        assert_eq!(names(&list).join(" "), expected, "{query}");
    }
}

#[tokio::test]
async fn refused_queries() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let refused = me.get("/servers?all_tenants=1").await.fault(403);
    assert_eq!(refused, "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.");
    assert_eq!(me.get("/servers?status=deleted").await.fault(403), "Only administrators may list deleted instances");
    assert_eq!(me.get("/servers?status=odd").await.fault(400), "Invalid status value");
    assert_eq!(me.at(37).get("/servers?status=odd").await.expect(200), json!({"servers": []}));
    for bad in [
        "limit=-1",
        "limit=x",
        "marker=70a599e0-31e7-49b7-b260-868f441e862b",
        "changes-since=yesterday",
        "name=(",
        "all_tenants=maybe",
        "sort_key=nonsense",
        "unknown=1",
        "locked=maybe",
        "changes-since=2020-01-02T00:00:00Z&changes-before=2020-01-01T00:00:00Z",
    ] {
        me.get(&format!("/servers?{bad}")).await.fault(400);
    }
    me.at(74).get("/servers?unknown=1").await.expect(200);
    me.get("/servers?sort_key=host").await.fault(403);
    w.as_(ADMIN).get("/servers?sort_key=host").await.expect(200);
}

#[tokio::test]
async fn deleted_servers_are_for_admins_and_for_changes() {
    let w = World::new().await;
    three(&w).await;
    w.sql("UPDATE instances SET deleted_at = updated_at, vm_state = 'deleted', task_state = NULL WHERE name = 'beta'")
        .await;
    let list = w.as_(MEMBER).get("/servers").await.expect(200);
    assert_eq!(names(&list), ["gamma-10", "alpha"]);
    let changed = w.as_(MEMBER).get("/servers/detail?changes-since=2020-01-01T00:00:00Z").await.expect(200);
    assert_eq!(names(&changed), ["gamma-10", "beta", "alpha"]);
    assert_eq!(changed["servers"][1]["status"], "DELETED");
    for query in ["deleted=true&all_tenants=1", "status=DELETED&all_tenants=1"] {
        let list = w.as_(ADMIN).get(&format!("/servers?{query}")).await.expect(200);
        assert_eq!(names(&list), ["beta"], "{query}");
    }
}

#[tokio::test]
async fn pages_hold_every_server_once_in_every_order() {
    let w = World::new().await;
    w.sql(&format!("INSERT INTO quota_limits VALUES ('{PROJECT}', '', 'instances', -1)")).await;
    w.as_(MEMBER).create(json!({"min_count": 9, "max_count": 9})).await.expect(202);
    w.all_active().await;
    // ties and nulls
    w.sql("UPDATE instances SET launched_at = NULL, key_name = 'k' WHERE launch_index < 4").await;
    w.sql("UPDATE instances SET task_state = 'rebooting', locked_by = 'owner' WHERE launch_index IN (2, 3, 7)").await;
    let me = w.as_(MEMBER);
    for query in [
        "",
        "sort_key=display_name&sort_dir=asc",
        "sort_key=launched_at&sort_dir=asc",
        "sort_key=launched_at&sort_dir=desc",
        "sort_key=key_name&sort_dir=desc&sort_key=task_state&sort_dir=asc",
        "sort_key=locked&sort_dir=asc&sort_key=uuid&sort_dir=desc",
        "sort_key=config_drive",
        "sort_key=vm_state&sort_dir=asc",
    ] {
        let whole = names(&me.get(&format!("/servers?{query}")).await.expect(200));
        assert_eq!(whole.len(), 9);
        let mut seen = Vec::new();
        let mut next = Some(format!("/servers/detail?limit=2&{query}"));
        while let Some(path) = next {
            let page = me.get(&path).await.expect(200);
            seen.extend(names(&page));
            next = page["servers_links"][0]["href"]
                .as_str()
                .map(|href| href.strip_prefix("http://cloud:8700/compute/v2.1").unwrap().to_owned());
        }
        assert_eq!(seen, whole, "{query}");
    }
    let asc = names(&me.get("/servers?sort_key=display_name&sort_dir=asc").await.expect(200));
    assert_eq!(asc[0], "web-1");
}

/// The figures of a full table are measured by the load tool; here it is that the number of statements does not grow.
#[tokio::test]
async fn a_page_is_one_statement_however_long() {
    let w = World::new().await;
    w.sql(&format!("INSERT INTO quota_limits VALUES ('{PROJECT}', '', 'instances', -1)")).await;
    for resource in ["cores", "ram"] {
        w.sql(&format!("INSERT INTO quota_limits VALUES ('{PROJECT}', '', '{resource}', -1)")).await;
    }
    let me = w.as_(MEMBER);
    let many = json!({"min_count": 1000, "max_count": 1000, "return_reservation_id": true});
    me.create(many).await.expect(202);
    w.all_active().await;
    let mut counts = Vec::new();
    for limit in [1, 10, 1000] {
        let before = w.db.statements();
        let started = Instant::now();
        let list = me.get(&format!("/servers/detail?limit={limit}")).await.expect(200);
        println!("{limit} servers in {:?}", started.elapsed());
        counts.push(w.db.statements() - before);
        assert_eq!(names(&list).len(), limit);
        let before = w.db.statements();
        let marker = list["servers"][0]["id"].as_str().unwrap();
        me.get(&format!("/servers/detail?limit={limit}&marker={marker}")).await.expect(200);
        assert_eq!(w.db.statements() - before, 2);
    }
    assert_eq!(counts, [1, 1, 1]);
    assert_eq!(me.get("/servers?limit=0").await.expect(200), json!({"servers": []}));
    let list = me.get("/servers?limit=1").await.expect(200);
    let before = w.db.statements();
    me.show(list["servers"][0]["id"].as_str().unwrap()).await;
    assert_eq!(w.db.statements() - before, 1);
}
