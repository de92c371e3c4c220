//! Answers against the schemas Tempest holds clouds to: nothing missing, nothing too much, at every microversion.

use crate::world::{ADMIN, MEMBER, OWN_ADMIN, World};
use platform_http::schema::Schema;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Minor versions at which something about servers changes, and the last one.
const MINORS: &[u16] =
    &[1, 3, 8, 9, 16, 19, 25, 26, 36, 37, 47, 51, 57, 58, 62, 63, 66, 71, 73, 75, 79, 84, 89, 90, 94, 96, 98, 100, 104];

struct Book(HashMap<String, Vec<(u16, Schema, Vec<u16>)>>);

impl Book {
    fn read() -> Self {
        let all: HashMap<String, Vec<(u16, Value)>> =
            serde_json::from_str(include_str!("../data/responses.json")).unwrap();
        let schema = |(minor, v): (u16, Value)| {
            let codes = v["status_code"].as_array().unwrap().iter().map(|c| c.as_u64().unwrap() as u16).collect();
            (minor, Schema::from_value(v["response_body"].clone()), codes)
        };
        Self(all.into_iter().map(|(k, list)| (k, list.into_iter().map(schema).collect())).collect())
    }

    #[track_caller]
    fn check(&self, name: &str, minor: u16, status: u16, body: &Value) {
        let versions = &self.0[name];
        let (_, schema, codes) = versions.iter().rev().find(|(from, ..)| *from <= minor).unwrap_or(&versions[0]);
        assert!(codes.contains(&status), "{name} at 2.{minor}: {status} {body}");
        let finding = schema.first_finding(body);
        assert!(finding.is_none(), "{name} at 2.{minor}: {:?} in {body}", finding.map(|f| (f.path, f.message)));
    }
}

#[tokio::test]
async fn answers_are_what_tempest_takes() {
    let (w, book) = (World::new().await, Book::read());
    w.sql(
        "INSERT INTO compute_services (id, uuid, host, \"binary\", disabled, forced_down, last_seen, created_at)
         VALUES (1, 'u', 'h1', 'nova-compute', 0, 0, 1, 1)",
    )
    .await;
    for &minor in MINORS {
        for caller in [w.as_(MEMBER), w.as_(OWN_ADMIN)] {
            let caller = caller.at(minor);
            let a = caller.create(json!({"metadata": {"k": "v"}, "accessIPv4": "1.2.3.4"})).await;
            book.check("create_server_with_admin_pass", minor, a.status, &a.body);
            let id = a.body["server"]["id"].as_str().unwrap().to_owned();
            for state in ["building", "active"] {
                if state == "active" {
                    w.all_active().await;
                }
                let a = caller.get(&format!("/servers/{id}")).await;
                book.check("get_server", minor, a.status, &a.body);
                let a = caller.get("/servers/detail?limit=1").await;
                book.check("list_servers_detail", minor, a.status, &a.body);
                assert!(a.body["servers_links"].is_array());
                let a = caller.get("/servers?limit=1").await;
                book.check("list_servers", minor, a.status, &a.body);
                let a = caller.put(&format!("/servers/{id}"), json!({"server": {"name": "new"}})).await;
                book.check("update_server", minor, a.status, &a.body);
            }
            caller.act(&id, json!({"os-stop": null})).await.expect(202);
            let a = caller.get(&format!("/servers/{id}/os-instance-actions")).await;
            book.check("list_instance_actions", minor, a.status, &a.body);
            let request = a.body["instanceActions"][0]["request_id"].as_str().unwrap();
            let a = caller.get(&format!("/servers/{id}/os-instance-actions/{request}")).await;
            book.check("show_instance_action", minor, a.status, &a.body);
            let parts = [
                ("metadata", "list_server_metadata"),
                ("metadata/k", "set_show_server_metadata_item"),
                ("ips", "list_addresses"),
                ("os-volume_attachments", "list_volume_attachments"),
                ("os-server-password", "show_password"),
            ];
            for (path, schema) in parts {
                let a = caller.get(&format!("/servers/{id}/{path}")).await;
                book.check(schema, minor, a.status, &a.body);
            }
            let a = caller.put(&format!("/servers/{id}/metadata"), json!({"metadata": {"a": "b"}})).await;
            book.check("set_server_metadata", minor, a.status, &a.body);
            let a = caller.post(&format!("/servers/{id}/metadata"), json!({"metadata": {"c": "d"}})).await;
            book.check("update_server_metadata", minor, a.status, &a.body);
            caller.delete(&format!("/servers/{id}")).await.expect(204);
            w.sql("UPDATE instances SET deleted_at = 1, vm_state = 'deleted' WHERE deleted_at IS NULL").await;
            w.sql("DELETE FROM quota_usage").await;
        }
    }
}

#[tokio::test]
async fn the_newest_shape_in_full() {
    let w = World::new().await;
    let caller = w.as_(MEMBER).below(crate::world::PROJECT);
    let body = json!({"server": {
        "name": "My Server", "flavorRef": "1", "imageRef": w.image.id.to_string(), "networks": "none",
        "description": "d", "tags": ["b", "a"], "metadata": {"k": "v"}, "config_drive": true, "hostname": "host-x",
        "user_data": "aGVsbG8=", "availability_zone": "nova",
    }, "os:scheduler_hints": {"same_host": "48e6a9f6-30af-47e0-bc04-acaed113bb4e"}});
    let id = caller.post("/servers", body).await.expect(202)["server"]["id"].as_str().unwrap().to_owned();
    w.all_active().await;
    let s = caller.show(&id).await;
    let created = s["created"].clone();
    let base = "http://cloud:8700/compute";
    let project = crate::world::PROJECT;
    let expected = json!({
        "id": id, "name": "My Server", "status": "ACTIVE", "tenant_id": project, "user_id": "alice",
        "metadata": {"k": "v"}, "hostId": s["hostId"],
        "image": {"id": w.image.id.to_string(), "properties": {"os_distro": "debian"}, "links": [
            {"rel": "bookmark", "href": format!("{base}/{project}/images/{}", w.image.id)}]},
        "flavor": {"vcpus": 1, "ram": 512, "disk": 1, "ephemeral": 0, "swap": 0, "original_name": "m1.1", "extra_specs": {}},
        "created": created, "updated": s["updated"], "addresses": {}, "accessIPv4": "", "accessIPv6": "",
        "links": [
            {"rel": "self", "href": format!("{base}/v2.1/{project}/servers/{id}")},
            {"rel": "bookmark", "href": format!("{base}/{project}/servers/{id}")}],
        "OS-DCF:diskConfig": "MANUAL", "progress": 0, "OS-EXT-AZ:availability_zone": "nova", "config_drive": "True",
        "key_name": null, "OS-SRV-USG:launched_at": s["OS-SRV-USG:launched_at"], "OS-SRV-USG:terminated_at": null,
        "OS-EXT-STS:task_state": null, "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1,
        "os-extended-volumes:volumes_attached": [], "OS-EXT-SRV-ATTR:hostname": "host-x", "locked": false,
        "description": "d", "tags": ["b", "a"], "trusted_image_certificates": null, "server_groups": [],
        "locked_reason": null, "pinned_availability_zone": "nova",
        "scheduler_hints": {"same_host": ["48e6a9f6-30af-47e0-bc04-acaed113bb4e"]},
    });
    assert_eq!(s, expected);
    assert_eq!(s["hostId"].as_str().unwrap().len(), 56);
    let admins = w.as_(ADMIN).show(&id).await;
    assert_eq!(admins["OS-EXT-SRV-ATTR:host"], "h1");
    assert_eq!(admins["OS-EXT-SRV-ATTR:user_data"], "aGVsbG8=");
    assert_eq!(admins["host_status"], "");
}
