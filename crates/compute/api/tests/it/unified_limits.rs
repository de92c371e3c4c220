//! Limits that identity keeps.

use crate::world::{ADMIN, MEMBER, PROJECT, World};
use async_trait::async_trait;
use base::ProjectId;
use compute_api::{UnifiedLimits, Unregistered};
use platform_http::{Allowed, LimitsUnavailable, ProjectLimits};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Registered limits, which hold for all, and those of [`PROJECT`]. `None`: identity is away.
#[derive(Default)]
struct Told(Mutex<Option<[BTreeMap<String, i64>; 2]>>);

fn limits(pairs: Value) -> BTreeMap<String, i64> {
    serde_json::from_value(pairs).unwrap()
}

impl Told {
    fn tell(&self, registered: Value, own: Value) {
        *self.0.lock().unwrap() = Some([limits(registered), limits(own)]);
    }
}

#[async_trait]
impl ProjectLimits for Told {
    async fn allowed(&self, service_type: &str, project: &ProjectId) -> Result<Arc<Allowed>, LimitsUnavailable> {
        assert_eq!(service_type, "compute");
        let told = self.0.lock().unwrap().clone();
        let [mut all, own] = told.ok_or_else(|| LimitsUnavailable("it is away".into()))?;
        if project.as_str() == PROJECT {
            all.extend(own);
        }
        Ok(Arc::new(Allowed(all)))
    }
}

async fn world(unregistered: Unregistered) -> (World, Arc<Told>) {
    let told = Arc::new(Told::default());
    let source = told.clone();
    let w = World::with(|parts| parts.unified_limits = Some(UnifiedLimits { source, unregistered })).await;
    (w, told)
}

fn require() -> Unregistered {
    Unregistered::Require(vec!["servers".into()])
}

fn over(resource: &str, limit: i64, usage: i64, delta: i64) -> String {
    format!("Resource {resource} is over limit of {limit} due to current usage {usage} and delta {delta}")
}

#[tokio::test]
async fn servers_and_what_they_are_made_of() {
    let (w, told) = world(require()).await;
    let me = w.as_(MEMBER);
    let why = me.create(json!({})).await.fault(503);
    assert_eq!(why, "The project's limits cannot be asked for; try again.");
    told.tell(json!({}), json!({}));
    let why = me.create(json!({})).await.fault(403);
    assert_eq!(why, format!("Project {PROJECT} is over a limit for [{}]", over("servers", 0, 0, 1)));
    // what needs not be registered, and is not, is not limited
    told.tell(json!({"servers": 2}), json!({}));
    me.created(json!({})).await;
    me.created(json!({"flavorRef": "big"})).await;
    assert!(me.create(json!({})).await.fault(403).contains(&over("servers", 2, 2, 1)));
    // the project's own before everybody's
    told.tell(json!({"servers": 0, "class:VCPU": -1, "class:DISK_GB": 25}), json!({"servers": 10}));
    let why = me.create(json!({"flavorRef": "big"})).await.fault(403);
    assert_eq!(why, format!("Project {PROJECT} is over a limit for [{}]", over("class:DISK_GB", 25, 21, 20)));
    assert_eq!(w.usage().await, (2, 17, 33_280));
    // as many as there is room for: 4 of one GiB
    me.create(json!({"min_count": 1, "max_count": 9})).await.expect(202);
    assert_eq!(w.usage().await.0, 6);
    assert!(me.create(json!({"min_count": 1, "max_count": 9})).await.fault(403).contains("class:DISK_GB"));
}

#[tokio::test]
async fn classes_that_flavors_name() {
    let (w, told) = world(Unregistered::Ignore(vec!["class:VCPU".into(), "class:MEMORY_MB".into()])).await;
    let specs = json!({"extra_specs": {"resources:CUSTOM_LICENCE": "3", "resources:VCPU": "2"}});
    w.as_(ADMIN).post("/flavors/1/os-extra_specs", specs).await.expect(200);
    told.tell(json!({"servers": -1, "class:DISK_GB": -1, "class:CUSTOM_LICENCE": 7}), json!({}));
    let me = w.as_(MEMBER);
    me.created(json!({})).await;
    me.created(json!({})).await;
    let why = me.create(json!({})).await.fault(403);
    assert_eq!(why, format!("Project {PROJECT} is over a limit for [{}]", over("class:CUSTOM_LICENCE", 7, 6, 3)));
    let shown = me.get("/limits").await.expect(200)["limits"]["absolute"].clone();
    assert_eq!((&shown["totalCoresUsed"], &shown["maxTotalCores"]), (&json!(4), &json!(-1)), "what is claimed counts");
    // what is neither registered nor to be ignored may not be had
    told.tell(json!({"servers": -1, "class:CUSTOM_LICENCE": -1}), json!({}));
    assert!(me.create(json!({})).await.fault(403).contains(&over("class:DISK_GB", 0, 2, 1)));
}

#[tokio::test]
async fn two_creates_cannot_take_the_same_last_place() {
    let (w, told) = world(require()).await;
    told.tell(json!({"servers": 1}), json!({}));
    let me = w.as_(MEMBER);
    let (a, b) = tokio::join!(me.create(json!({})), me.create(json!({})));
    let mut answers = [a.status, b.status];
    answers.sort_unstable();
    assert_eq!(answers, [202, 403]);
    assert_eq!(w.usage().await.0, 1);
}

#[tokio::test]
async fn what_is_shown_is_identitys_and_cannot_be_set_here() {
    let (w, told) = world(require()).await;
    told.tell(
        json!({"servers": 3, "class:VCPU": 8, "class:MEMORY_MB": 4096, "server_key_pairs": 1, "server_metadata_items": 2}),
        json!({"class:VCPU": 16}),
    );
    let (me, admin) = (w.as_(MEMBER), w.as_(ADMIN));
    me.created(json!({"metadata": {"a": "b"}})).await;
    let shown = me.get("/limits").await.expect(200)["limits"]["absolute"].clone();
    for (name, value) in [
        ("maxTotalInstances", 3),
        ("maxTotalCores", 16),
        ("maxTotalRAMSize", 4096),
        ("maxTotalKeypairs", 1),
        ("maxServerMeta", 2),
        ("maxServerGroups", -1),
        ("totalInstancesUsed", 1),
        ("totalCoresUsed", 1),
        ("totalRAMUsed", 512),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let path = format!("/os-quota-sets/{PROJECT}");
    let set = admin.put(&path, json!({"quota_set": {"cores": 99}})).await.expect(200)["quota_set"].clone();
    assert_eq!(set["cores"], 16);
    assert_eq!(admin.delete(&path).await.status, 202);
    let detail = me.get(&format!("{path}/detail")).await.expect(200)["quota_set"].clone();
    assert_eq!(detail["cores"], json!({"limit": 16, "in_use": 1, "reserved": 0}));
    assert_eq!(me.get(&format!("{path}/defaults")).await.expect(200)["quota_set"]["cores"], 8);
    let class = json!({"quota_class_set": {"cores": 99}});
    let class = admin.put("/os-quota-class-sets/default", class).await.expect(200)["quota_class_set"].clone();
    assert_eq!((&class["cores"], &class["instances"]), (&json!(8), &json!(3)));
    // the smaller limits hold, too
    me.create(json!({"metadata": {"a": "b", "c": "d", "e": "f"}})).await.fault(403);
    let key = |name: &str| json!({"keypair": {"name": name}});
    me.at(91).post("/os-keypairs", key("a")).await.expect(201);
    assert_eq!(me.at(91).post("/os-keypairs", key("b")).await.fault(403), "Quota exceeded, too many key pairs.");
}
