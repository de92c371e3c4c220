//! Unified limits as services are told them, wherever identity is.

use crate::world::{World, on_each};
use base::ProjectId;
use identity::{BusLimits, LocalLimits};
use platform_bus::{Bus, LocalBus};
use platform_http::{Allowed, ProjectLimits};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const REGION: &str = "RegionOne";

pub(crate) struct Made {
    pub(crate) admin: String,
    /// Has a limit of its own.
    pub(crate) one: ProjectId,
    pub(crate) other: ProjectId,
    /// That limit's path.
    own: String,
}

/// Limits for compute, in this region, in all, and in another one.
pub(crate) async fn made(w: &World) -> Made {
    let admin = w.admin().await;
    let (one, other) = (w.project(&admin, "one").await, w.project(&admin, "other").await);
    let services = w.get("/v3/services?type=compute", &admin).await;
    let service = services["services"][0]["id"].clone();
    w.post("/v3/regions", &admin, json!({"region": {"id": "elsewhere"}})).await;
    let registered = |name: &str, region: Value, limit: i64| json!({"service_id": service, "region_id": region, "resource_name": name, "default_limit": limit});
    let all = json!({"registered_limits": [
        registered("cores", json!(REGION), 10), registered("cores", Value::Null, 20), registered("ram", Value::Null, -1),
        registered("disk", json!("elsewhere"), 5),
    ]});
    w.post("/v3/registered_limits", &admin, all).await;
    let limit = json!({"limits": [{"service_id": service, "region_id": REGION, "resource_name": "cores",
                                   "resource_limit": 3, "project_id": one}]});
    let own = w.post("/v3/limits", &admin, limit).await["limits"][0]["id"].as_str().unwrap().to_owned();
    Made { admin, one: one.as_str().into(), other: other.as_str().into(), own: format!("/v3/limits/{own}") }
}

impl Made {
    pub(crate) async fn raise(&self, w: &World, limit: i64) {
        w.expect(200, "PATCH", &self.own, &self.admin, json!({"limit": {"resource_limit": limit}})).await;
    }
}

pub(crate) fn limits<const N: usize>(of: [(&str, i64); N]) -> Allowed {
    Allowed(of.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect())
}

#[tokio::test]
async fn the_projects_own_before_everybodys_and_the_regions_before_alls() {
    on_each(|w| async move {
        let made = made(&w).await;
        let here = LocalLimits::of(w.identity.clone(), REGION);
        let own = here.allowed("compute", &made.one).await.unwrap();
        assert_eq!(*own, limits([("cores", 3), ("ram", -1)]));
        assert_eq!(own.of("disk"), 0, "what is limited elsewhere only is not registered here");
        assert_eq!(*here.allowed("compute", &made.other).await.unwrap(), limits([("cores", 10), ("ram", -1)]));
        assert_eq!(*here.allowed("image", &made.one).await.unwrap(), limits([]));
        let there = LocalLimits::of(w.identity.clone(), "elsewhere");
        let expected = limits([("cores", 20), ("disk", 5), ("ram", -1)]);
        assert_eq!(*there.allowed("compute", &made.one).await.unwrap(), expected);
        made.raise(&w, 4).await;
        assert_eq!(here.allowed("compute", &made.one).await.unwrap().of("cores"), 4, "at once");
    })
    .await;
}

#[tokio::test]
async fn over_the_bus_they_are_believed_for_a_moment() {
    on_each(|w| async move {
        let made = made(&w).await;
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let far = BusLimits::on(bus.clone(), REGION);
        assert!(far.allowed("compute", &made.one).await.is_err(), "nobody answers yet");
        let _served = identity::serve(&bus, &w.identity);
        assert_eq!(*far.allowed("compute", &made.one).await.unwrap(), limits([("cores", 3), ("ram", -1)]));
        made.raise(&w, 4).await;
        assert_eq!(far.allowed("compute", &made.one).await.unwrap().of("cores"), 3);
        assert_eq!(far.allowed("compute", &made.other).await.unwrap().of("cores"), 10);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::time::resume();
        assert_eq!(far.allowed("compute", &made.one).await.unwrap().of("cores"), 4);
    })
    .await;
}
