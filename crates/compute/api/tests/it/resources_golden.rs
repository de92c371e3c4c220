//! Answers beside servers', against the schemas that Nova declares and those Tempest holds clouds to, at every
//! microversion that changed one of them.

use crate::world::{Answer, Caller, OWN_ADMIN, PROJECT, World};
use platform_http::schema::Schema;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Minor versions at which something beside servers changes, the ones before, and the last one.
const MINORS: &[u16] = &[
    1, 2, 6, 7, 10, 11, 12, 13, 14, 15, 22, 23, 27, 28, 32, 33, 35, 36, 38, 39, 40, 41, 42, 43, 49, 50, 52, 53, 54, 55,
    56, 57, 58, 59, 60, 61, 63, 64, 66, 69, 74, 75, 80, 81, 86, 87, 88, 91, 92, 101, 102, 104,
];

/// Schemas by name, each from its first minor version on; with the status codes, if they are told.
struct Book(HashMap<String, Vec<(u16, Schema, Vec<u64>)>>);

impl Book {
    fn read(text: &str) -> Self {
        let all: HashMap<String, Vec<(u16, Value)>> = serde_json::from_str(text).unwrap();
        let of = |(minor, v): (u16, Value)| {
            let codes = v["status_code"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
            // no body is described: anything goes
            let body = v.get("response_body").cloned().unwrap_or(json!(true));
            (minor, Schema::from_value(body), codes)
        };
        Self(all.into_iter().map(|(name, list)| (name, list.into_iter().map(of).collect())).collect())
    }

    fn check(&self, name: &str, minor: u16, a: &Answer) {
        let Some(versions) = self.0.get(name) else { panic!("no schema {name}") };
        let Some((_, schema, codes)) = versions.iter().rev().find(|(from, ..)| *from <= minor) else { return };
        let status = u64::from(a.status);
        assert!(codes.is_empty() || codes.contains(&status), "{name} at 2.{minor}: {status} {}", a.body);
        let finding = schema.first_finding(&a.body);
        assert!(finding.is_none(), "{name} at 2.{minor}: {:?} in {}", finding.map(|f| (f.path, f.message)), a.body);
    }
}

struct Books {
    nova: Book,
    tempest: Book,
}

impl Books {
    /// Empty names: that one has no schema for it.
    fn check(&self, nova: &str, tempest: &str, minor: u16, a: &Answer) {
        assert!((200..300).contains(&a.status), "{nova} at 2.{minor}: {} {}", a.status, a.body);
        if !nova.is_empty() {
            self.nova.check(nova, minor, a);
        }
        if !tempest.is_empty() {
            self.tempest.check(tempest, minor, a);
        }
    }
}

/// A world with one of everything, and the books to hold its answers against.
struct Scene<'a> {
    books: &'a Books,
    caller: Caller<'a>,
    minor: u16,
}

impl Scene<'_> {
    async fn get(&self, path: &str, nova: &str, tempest: &str) -> Value {
        let a = self.caller.get(path).await;
        self.books.check(nova, tempest, self.minor, &a);
        a.body
    }
    async fn put(&self, path: &str, body: Value, nova: &str, tempest: &str) -> Value {
        let a = self.caller.put(path, body).await;
        self.books.check(nova, tempest, self.minor, &a);
        a.body
    }
    async fn post(&self, path: &str, body: Value, nova: &str, tempest: &str) -> Value {
        let a = self.caller.post(path, body).await;
        self.books.check(nova, tempest, self.minor, &a);
        a.body
    }
    async fn delete(&self, path: &str, nova: &str, tempest: &str) {
        let a = self.caller.delete(path).await;
        self.books.check(nova, tempest, self.minor, &a);
    }
    fn since(&self, minor: u16) -> bool {
        self.minor >= minor
    }
}

#[tokio::test]
async fn answers_fit_at_every_microversion() {
    let w = World::new().await;
    w.host("h1").await;
    w.host("h2").await;
    let server = w.as_(OWN_ADMIN).created(json!({})).await;
    w.all_active().await;
    w.sql("UPDATE instances SET launched_at = created_at - 3600000000").await;
    w.sql(&format!(
        "INSERT INTO compute_migrations (id, uuid, instance, project_id, user_id, migration_type, status, source_compute,
             source_node, dest_compute, dest_node, dest_host, source_open, created_at, updated_at)
         VALUES (7, '42341d4b-346a-40d0-83c6-5f4f6892b650', '{server}', '{PROJECT}', 'root', 'evacuation', 'done', 'h1',
             'n1', 'h2', 'n2', '127.0.0.1', 1, 1466692922000000, 1466692922000000)"
    ))
    .await;
    let books = Books {
        nova: Book::read(include_str!("../data/nova-resources.json")),
        tempest: Book::read(include_str!("../data/tempest-resources.json")),
    };
    for &minor in MINORS {
        let s = Scene { books: &books, caller: w.as_(OWN_ADMIN).at(minor), minor };
        flavors(&s).await;
        keypairs(&s).await;
        quotas(&s).await;
        services(&s).await;
        hypervisors(&s).await;
        aggregates(&s).await;
        server_groups(&s).await;
        images(&s, &w.image.id.to_string()).await;
        others(&s, &server).await;
    }
}

async fn flavors(s: &Scene<'_>) {
    let details = "flavors.create_update_get_flavor_details";
    let wanted = json!({"flavor": {"name": "f", "id": "f", "ram": 64, "vcpus": "1", "disk": 0, "swap": 3,
                                   "os-flavor-access:is_public": "False"}});
    s.post("/flavors", wanted, "flavors.create", details).await;
    let specs = json!({"extra_specs": {"hw:numa_nodes": "2", "own": "x"}});
    let set = "flavors_extra_specs.set_get_flavor_extra_specs";
    let key = "flavors_extra_specs.set_get_flavor_extra_specs_key";
    s.post("/flavors/f/os-extra_specs", specs, "flavors_extraspecs.create", set).await;
    s.get("/flavors/f/os-extra_specs", "flavors_extraspecs.index", set).await;
    s.get("/flavors/f/os-extra_specs/own", "flavors_extraspecs.show", key).await;
    s.put("/flavors/f/os-extra_specs/own", json!({"own": "y"}), "flavors_extraspecs.update", key).await;
    s.get("/flavors/1", "flavors.show", details).await;
    s.get("/flavors/f", "flavors.show", details).await;
    let all = s.get("/flavors?is_public=None&limit=2", "flavors.index", "flavors.list_flavors").await;
    assert!(all["flavors_links"].is_array());
    s.get("/flavors/detail?is_public=None&limit=2", "flavors.detail", "flavors.list_flavors_details").await;
    if s.since(55) {
        s.put("/flavors/f", json!({"flavor": {"description": "d"}}), "flavors.update", details).await;
    }
    let access = "flavors_access.add_remove_list_flavor_access";
    let grant = json!({"addTenantAccess": {"tenant": PROJECT}});
    s.post("/flavors/f/action", grant, "flavor_access.addTenantAccess", access).await;
    s.get("/flavors/f/os-flavor-access", "flavor_access.index", access).await;
    let revoke = json!({"removeTenantAccess": {"tenant": PROJECT}});
    s.post("/flavors/f/action", revoke, "flavor_access.removeTenantAccess", access).await;
    let unset = "flavors_extra_specs.unset_flavor_extra_specs";
    s.delete("/flavors/f/os-extra_specs/own", "flavors_extraspecs.delete", unset).await;
    s.delete("/flavors/f", "flavors.delete", "flavors.delete_flavor").await;
}

async fn keypairs(s: &Scene<'_>) {
    let create = "keypairs.create_keypair";
    let public_key =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILsrvPF40cKY0OYT+qxZzy+PxwgN13RtddNuHqSDGbEZ someone@somewhere";
    let wanted = json!({"keypair": {"name": "k", "public_key": public_key}});
    s.post("/os-keypairs", wanted, "keypairs.create", create).await;
    s.get("/os-keypairs", "keypairs.index", "keypairs.list_keypairs").await;
    s.get("/os-keypairs/k", "keypairs.show", "keypairs.get_keypair").await;
    s.delete("/os-keypairs/k", "keypairs.delete", "keypairs.delete_keypair").await;
}

async fn quotas(s: &Scene<'_>) {
    s.get("/limits", "limits.index", "limits.get_limit").await;
    let of = |rest: &str| format!("/os-quota-sets/{PROJECT}{rest}");
    s.get(&of(""), "quota_sets.show", "quotas.get_quota_set").await;
    s.get(&of("?user_id=alice"), "quota_sets.show", "quotas.get_quota_set").await;
    s.get(&of("/detail"), "quota_sets.detail", "quotas.get_quota_set_details").await;
    s.get(&of("/defaults"), "quota_sets.defaults", "quotas.get_quota_set").await;
    let wanted = json!({"quota_set": {"cores": 30, "force": true}});
    s.put(&of(""), wanted, "quota_sets.update", "quotas.update_quota_set").await;
    s.delete(&of(""), "quota_sets.delete", "quotas.delete_quota").await;
    let class = "/os-quota-class-sets/default";
    s.get(class, "quota_classes.show", "quota_classes.get_quota_class_set").await;
    let wanted = json!({"quota_class_set": {"cores": 20}});
    s.put(class, wanted, "quota_classes.update", "quota_classes.update_quota_class_set").await;
}

async fn services(s: &Scene<'_>) {
    let all = s.get("/os-services", "services.index", "services.list_services").await;
    let h1 = json!({"host": "h1", "binary": "nova-compute"});
    if s.since(53) {
        let services = all["services"].as_array().unwrap();
        let id = services.iter().find(|s| s["host"] == "h1").unwrap()["id"].as_str().unwrap();
        for body in [json!({"status": "disabled", "disabled_reason": "x"}), json!({"status": "enabled"})] {
            s.put(&format!("/os-services/{id}"), body, "services.update", "services.update_service").await;
        }
    } else {
        let verb = |more: Value| {
            let mut body = h1.clone();
            body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            body
        };
        let reason = verb(json!({"disabled_reason": "x"}));
        s.put("/os-services/disable-log-reason", reason, "services.update", "services.disable_log_reason").await;
        for word in ["disable", "enable"] {
            let path = format!("/os-services/{word}");
            s.put(&path, h1.clone(), "services.update", "services.enable_disable_service").await;
        }
        if s.since(11) {
            let down = verb(json!({"forced_down": false}));
            s.put("/os-services/force-down", down, "services.update", "services.update_forced_down").await;
        }
    }
    let zones = "availability_zone.list_availability_zone_list";
    s.get("/os-availability-zone", "availability_zone.index", zones).await;
    let detail = "availability_zone.list_availability_zone_list_detail";
    s.get("/os-availability-zone/detail", "availability_zone.detail", detail).await;
    if !s.since(43) {
        s.get("/os-hosts", "hosts.index", "hosts.list_hosts").await;
        s.get("/os-hosts/h1", "hosts.show", "hosts.get_host_detail").await;
        s.put("/os-hosts/h1", json!({"status": "enable"}), "hosts.update", "hosts.update_host").await;
    }
}

async fn hypervisors(s: &Scene<'_>) {
    // Tempest knows no shape newer than 2.53, which 2.88 cut down
    let tempest = |name: &'static str| if s.since(88) { "" } else { name };
    let all = s.get("/os-hypervisors", "hypervisors.index", tempest("hypervisors.list_search_hypervisors")).await;
    let detail = "/os-hypervisors/detail";
    s.get(detail, "hypervisors.detail", tempest("hypervisors.list_hypervisors_detail")).await;
    let id = &all["hypervisors"][0]["id"];
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    s.get(&format!("/os-hypervisors/{id}"), "hypervisors.show", tempest("hypervisors.get_hypervisor")).await;
    if !s.since(88) {
        let uptime = "hypervisors.get_hypervisor_uptime";
        s.get(&format!("/os-hypervisors/{id}/uptime"), "hypervisors.uptime", uptime).await;
        let statistics = "hypervisors.get_hypervisor_statistics";
        s.get("/os-hypervisors/statistics", "hypervisors.statistics", statistics).await;
    }
    if s.since(53) {
        let with = s.get(&format!("{detail}?with_servers=True"), "hypervisors.detail", "").await;
        assert_eq!(with["hypervisors"][0]["servers"].as_array().map(Vec::len), Some(1));
        s.get(&format!("/os-hypervisors/{id}?with_servers=1"), "hypervisors.show", "").await;
    } else {
        let search = "hypervisors.list_search_hypervisors";
        s.get("/os-hypervisors/h/search", "hypervisors.search", search).await;
        let servers = "hypervisors.get_hypervisors_servers";
        s.get("/os-hypervisors/h1/servers", "hypervisors.servers", servers).await;
    }
    if s.since(33) {
        let paged = s.get(&format!("{detail}?limit=1"), "hypervisors.detail", "").await;
        assert!(paged["hypervisors_links"].is_array());
    }
}

async fn aggregates(s: &Scene<'_>) {
    let wanted = json!({"aggregate": {"name": "a", "availability_zone": "z"}});
    let made = s.post("/os-aggregates", wanted, "aggregates.create", "aggregates.create_aggregate").await;
    let path = format!("/os-aggregates/{}", made["aggregate"]["id"]);
    let action = format!("{path}/action");
    let host = "aggregates.aggregate_add_remove_host";
    s.post(&action, json!({"add_host": {"host": "h2"}}), "aggregates.add_host", host).await;
    s.get(&path, "aggregates.show", "aggregates.get_aggregate").await;
    s.get("/os-aggregates", "aggregates.index", "aggregates.list_aggregates").await;
    let update = json!({"aggregate": {"name": "b", "availability_zone": "y"}});
    s.put(&path, update, "aggregates.update", "aggregates.update_aggregate").await;
    let metadata = json!({"set_metadata": {"metadata": {"k": "v"}}});
    s.post(&action, metadata, "aggregates.set_metadata", "aggregates.aggregate_set_metadata").await;
    s.post(&action, json!({"remove_host": {"host": "h2"}}), "aggregates.remove_host", host).await;
    s.delete(&path, "aggregates.delete", "aggregates.delete_aggregate").await;
}

async fn server_groups(s: &Scene<'_>) {
    let wanted = if s.since(64) {
        json!({"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}})
    } else {
        json!({"server_group": {"name": "g", "policies": ["anti-affinity"]}})
    };
    let one = "server_groups.create_show_server_group";
    let made = s.post("/os-server-groups", wanted, "server_groups.create", one).await;
    let path = format!("/os-server-groups/{}", made["server_group"]["id"].as_str().unwrap());
    s.get(&path, "server_groups.show", one).await;
    s.get("/os-server-groups?all_projects=True", "server_groups.index", "server_groups.list_server_groups").await;
    s.delete(&path, "server_groups.delete", "server_groups.delete_server_group").await;
}

async fn images(s: &Scene<'_>, id: &str) {
    if !s.since(36) {
        s.get("/images?limit=1", "images.index", "images.list_images").await;
        s.get("/images/detail", "images.detail", "images.list_images_details").await;
        s.get(&format!("/images/{id}"), "images.show", "images.get_image").await;
    }
    if !s.since(39) {
        let (all, item) = ("images.image_metadata", "images.image_meta_item");
        let path = format!("/images/{id}/metadata");
        let metadata = json!({"metadata": {"k": "v"}});
        s.put(&path, metadata.clone(), "image_metadata.update_all", all).await;
        s.post(&path, metadata, "image_metadata.create", all).await;
        s.get(&path, "image_metadata.index", all).await;
        s.put(&format!("{path}/k"), json!({"meta": {"k": "w"}}), "image_metadata.update", item).await;
        s.get(&format!("{path}/k"), "image_metadata.show", item).await;
        s.delete(&format!("{path}/k"), "image_metadata.delete", "images.delete").await;
    }
}

async fn others(s: &Scene<'_>, server: &str) {
    let usage = "/os-simple-tenant-usage?detailed=1&start=2020-01-01T00:00:00";
    let all = s.get(usage, "simple_tenant_usage.index", "tenant_usages.list_tenant_usage").await;
    assert_eq!(all["tenant_usages"].as_array().map(Vec::len), Some(1));
    let one = format!("/os-simple-tenant-usage/{PROJECT}?start=2020-01-01T00:00:00");
    s.get(&one, "simple_tenant_usage.show", "tenant_usages.get_tenant_usage").await;
    let log = "instance_usage_audit_logs";
    let path = "/os-instance_usage_audit_log";
    s.get(path, "instance_usage_audit_log.index", &format!("{log}.list_instance_usage_audit_log")).await;
    let before = format!("{path}/2012-07-01%2010:00:00");
    s.get(&before, "instance_usage_audit_log.show", &format!("{log}.get_instance_usage_audit_log")).await;
    let moves = s.get("/os-migrations", "migrations.index", "migrations.list_migrations").await;
    assert_eq!(moves["migrations"].as_array().map(Vec::len), Some(1));
    s.get("/extensions", "extension_info.index", "extensions.list_extensions").await;
    s.get("/extensions/NMN", "extension_info.show", "").await;
    s.get("/versions/v2.1", "versionsV21.show", "versions.get_one_version").await;
    let events = json!({"events": [{"server_uuid": server, "name": "network-changed"}]});
    let path = "/os-server-external-events";
    s.post(path, events, "server_external_events.create", "server_external_events.create").await;
}
