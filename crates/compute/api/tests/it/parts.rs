//! What hangs on a server.

use crate::world::{MEMBER, READER, World};
use serde_json::json;

#[tokio::test]
async fn metadata() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({"metadata": {"a": "1"}})).await;
    let path = format!("/servers/{id}/metadata");
    assert_eq!(me.get(&path).await.expect(200), json!({"metadata": {"a": "1"}}));
    let early = me.put(&path, json!({"metadata": {}})).await.fault(409);
    assert_eq!(early, format!("Cannot 'update metadata' instance {id} while it is in vm_state building"));
    w.all_active().await;
    let merged = me.post(&path, json!({"metadata": {"b": "2"}})).await.expect(200);
    assert_eq!(merged, json!({"metadata": {"a": "1", "b": "2"}}));
    assert_eq!(me.put(&path, json!({"metadata": {"c": "3"}})).await.expect(200), json!({"metadata": {"c": "3"}}));
    assert_eq!(
        me.put(&format!("{path}/d"), json!({"meta": {"d": "4"}})).await.expect(200),
        json!({"meta": {"d": "4"}})
    );
    assert_eq!(me.get(&format!("{path}/d")).await.expect(200), json!({"meta": {"d": "4"}}));
    let mismatch = me.put(&format!("{path}/e"), json!({"meta": {"d": "4"}})).await.fault(400);
    assert_eq!(mismatch, "Request body and URI mismatch");
    me.delete(&format!("{path}/d")).await.expect(204);
    assert_eq!(me.delete(&format!("{path}/d")).await.fault(404), "Metadata item was not found");
    assert_eq!(me.get(&format!("{path}/d")).await.fault(404), "Metadata item was not found");
    for bad in
        [json!({"metadata": {"": "x"}}), json!({"metadata": {"k": 1}}), json!({"metadata": {"k": "v".repeat(256)}})]
    {
        me.post(&path, bad).await.fault(400);
    }
    let many: serde_json::Map<String, _> = (0..129).map(|n| (n.to_string(), json!("v"))).collect();
    let over = me.put(&path, json!({"metadata": many})).await.fault(403);
    assert_eq!(over, "Maximum number of metadata items exceeds 128");
    me.create(json!({"metadata": many})).await.fault(403);
    assert_eq!(me.get(&path).await.expect(200), json!({"metadata": {"c": "3"}}));
    w.as_(READER).post(&path, json!({"metadata": {"b": "2"}})).await.fault(403);
}

#[tokio::test]
async fn concurrent_metadata_writers_lose_nothing() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    w.all_active().await;
    let path = format!("/servers/{id}/metadata");
    let writes = (0..4).map(|n| me.post(&path, json!({"metadata": {n.to_string(): "v"}})));
    let answers = futures_util::future::join_all(writes).await;
    let written = answers.iter().filter(|a| a.status == 200).count();
    assert!(written >= 1 && answers.iter().all(|a| matches!(a.status, 200 | 409)));
    let stored = me.get(&path).await.expect(200);
    assert_eq!(stored["metadata"].as_object().unwrap().len(), written);
}

#[tokio::test]
async fn tags() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({"tags": ["a", "a"]})).await;
    w.all_active().await;
    let path = format!("/servers/{id}/tags");
    assert_eq!(me.get(&path).await.expect(200), json!({"tags": ["a"]}));
    let added = me.send("PUT", &format!("{path}/b"), None).await;
    assert_eq!(
        (added.status, &added.headers["location"]),
        (201, &http::HeaderValue::from_str(&format!("http://cloud:8700/compute/v2.1{path}/b")).unwrap())
    );
    me.send("PUT", &format!("{path}/b"), None).await.expect(204);
    me.get(&format!("{path}/b")).await.expect(204);
    me.get(&format!("{path}/c")).await.fault(404);
    assert_eq!(me.put(&path, json!({"tags": ["x", "y", "x"]})).await.expect(200), json!({"tags": ["x", "y"]}));
    me.delete(&format!("{path}/x")).await.expect(204);
    assert_eq!(me.delete(&format!("{path}/x")).await.fault(404), format!("Server {id} has no tag 'x'"));
    me.put(&path, json!({"tags": ["a,b"]})).await.fault(400);
    me.send("PUT", &format!("{path}/a,b"), None).await.fault(400);
    me.send("PUT", &format!("{path}/{}", "t".repeat(61)), None).await.fault(400);
    let fifty: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    me.put(&path, json!({"tags": fifty})).await.expect(200);
    me.send("PUT", &format!("{path}/one-more"), None).await.fault(400);
    me.delete(&path).await.expect(204);
    assert_eq!(me.get(&path).await.expect(200), json!({"tags": []}));
    me.at(25).get(&path).await.fault(404);
}

#[tokio::test]
async fn lists_of_what_is_not_there() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    for (path, body) in [
        ("ips", json!({"addresses": {}})),
        ("os-interface", json!({"interfaceAttachments": []})),
        ("os-volume_attachments", json!({"volumeAttachments": []})),
        ("os-security-groups", json!({"security_groups": []})),
        ("shares", json!({"shares": []})),
        ("topology", json!({"nodes": [], "pagesize_kb": null})),
        ("os-server-password", json!({"password": ""})),
    ] {
        assert_eq!(me.get(&format!("/servers/{id}/{path}")).await.expect(200), body);
    }
    w.as_(crate::world::OWN_ADMIN).get(&format!("/servers/{id}/migrations")).await.expect(200);
    for path in ["ips/private", "os-interface/x", "os-volume_attachments/x", "shares/x"] {
        me.get(&format!("/servers/{id}/{path}")).await.fault(404);
    }
    w.sql("UPDATE instances SET system_metadata = '{\"password\":\"abc\"}'").await;
    let path = format!("/servers/{id}/os-server-password");
    assert_eq!(me.get(&path).await.expect(200), json!({"password": "abc"}));
    me.delete(&path).await.expect(204);
    assert_eq!(me.get(&path).await.expect(200), json!({"password": ""}));
}

#[tokio::test]
async fn the_log_of_actions_has_pages() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    for _ in 0..2 {
        me.act(&id, json!({"lock": null})).await.expect(202);
        me.act(&id, json!({"unlock": null})).await.expect(202);
    }
    let mut seen = Vec::new();
    let mut next = Some(format!("/servers/{id}/os-instance-actions?limit=2"));
    while let Some(path) = next {
        let page = me.get(&path).await.expect(200);
        let actions = page["instanceActions"].as_array().unwrap().clone();
        seen.extend(actions.iter().map(|a| a["action"].as_str().unwrap().to_owned()));
        next = page["links"][0]["href"].as_str().map(|h| h.split_once("/v2.1").unwrap().1.to_owned());
    }
    assert_eq!(seen, ["unlock", "lock", "unlock", "lock", "create"]);
    me.get(&format!("/servers/{id}/os-instance-actions?marker=req-none")).await.fault(400);
    let none = me.get(&format!("/servers/{id}/os-instance-actions?changes-before=2020-01-01T00:00:00Z")).await;
    assert_eq!(none.expect(200), json!({"instanceActions": []}));
    me.get(&format!("/servers/{id}/os-instance-actions/req-none")).await.fault(404);
}
