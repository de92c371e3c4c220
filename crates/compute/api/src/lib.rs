//! Compute's REST API: Nova's v2.1 with microversions 2.1 … 2.104.
//!
//! One folder a resource; each hands over its routes as data ([`Route`]). A handler allows, translates, calls, renders:
//! decisions that need no I/O live in `compute-model`, statements in `compute-store`, long work in `compute-conductor`.
//! Logic knows the newest shape only; older microversions exist in rendering and in the schemas (`../schemas`).

mod aggregates;
mod availability_zones;
mod console_tokens;
mod extensions;
mod external_events;
mod faults;
mod flavors;
mod gone;
mod hosts;
mod hypervisors;
mod images;
mod input;
mod keypairs;
mod limits;
mod links;
mod migrations;
mod paths;
mod policy;
mod proxies;
mod quota;
mod quota_sets;
mod server_groups;
mod servers;
mod services;
mod usage;
mod versions;
mod volume_snapshots;

pub use faults::NovaFaults;
pub use policy::default_policy;
pub use quota::{UnifiedLimits, Unregistered};

use base::policy::Enforcer;
use base::{Microversion, Timestamp};
use compute_store::Store;
use image_model::ImageProxy;
use include_dir::{Dir, include_dir};
use platform_bus::Bus;
use platform_http::schema::SchemaSet;
use platform_http::{Authenticate, Microversions, Route, Service, ServiceSettings};
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

pub const MICROVERSIONS: Microversions = Microversions {
    service: "compute",
    min: Microversion::new(2, 1),
    max: Microversion::new(2, 104),
    legacy_header: Some("x-openstack-nova-api-version"),
    legacy_path: Some("/v2"),
};

/// oslo.middleware's `max_request_body_size`.
const JSON_LIMIT_BYTES: usize = 114_688;

static SCHEMA_FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/schemas");
static SCHEMAS: LazyLock<SchemaSet> = LazyLock::new(|| SchemaSet::from_dir(&SCHEMA_FILES).expect("schema files"));

/// What the operator decides about the API.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most items an answer may hold: Nova's `[api] max_limit`.
    pub max_limit: usize,
    /// Zone of hosts that are in no aggregate with a zone: Nova's `default_availability_zone`.
    pub default_availability_zone: String,
    /// Zone for servers that ask for none; `None`: any zone.
    pub default_schedule_zone: Option<String>,
    /// An agent that has not asked for work for so long is down, in seconds: Nova's `service_down_time`.
    pub service_down_secs: u64,
    /// What servers whose images' signatures are validated trust if they name no certificates; empty: they trust none.
    pub default_trusted_certificates: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_limit: 1000,
            default_availability_zone: "nova".into(),
            default_schedule_zone: None,
            service_down_secs: 60,
            default_trusted_certificates: Vec::new(),
        }
    }
}

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct ComputeApi(Arc<Parts>);

pub struct Parts {
    pub store: Store,
    pub images: Arc<dyn ImageProxy>,
    pub enforcer: Enforcer,
    pub bus: Arc<dyn Bus>,
    /// `None`: limits are those set by `os-quota-sets`.
    pub unified_limits: Option<UnifiedLimits>,
    pub config: Config,
}

impl ComputeApi {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
    pub(crate) fn now(&self) -> Timestamp {
        self.store.now()
    }
}

impl Deref for ComputeApi {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The service, ready to be mounted. `identity_url` is what a 401 names.
pub fn service(api: ComputeApi, auth: Arc<dyn Authenticate>, identity_url: String) -> Arc<Service<ComputeApi>> {
    let settings = ServiceSettings {
        name: "compute-api",
        faults: Arc::new(NovaFaults),
        auth,
        identity_url,
        versions: Some(MICROVERSIONS),
        schemas: Some(&SCHEMAS),
        json_limit: JSON_LIMIT_BYTES,
        request_id_header: Some("x-compute-request-id"),
        rewrite: Some(paths::rewrite),
        admit: Some(paths::admit),
    };
    Arc::new(Service::new(settings, api, routes()))
}

/// Every route, resource by resource.
pub fn routes() -> Vec<Route<ComputeApi>> {
    [
        versions::routes(),
        extensions::routes(),
        servers::routes(),
        flavors::routes(),
        keypairs::routes(),
        limits::routes(),
        quota_sets::routes(),
        usage::routes(),
        hypervisors::routes(),
        services::routes(),
        availability_zones::routes(),
        aggregates::routes(),
        server_groups::routes(),
        hosts::routes(),
        migrations::routes(),
        external_events::routes(),
        console_tokens::routes(),
        images::routes(),
        volume_snapshots::routes(),
        proxies::routes(),
        gone::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_compiles() {
        assert!(SCHEMAS.compile_all().unwrap() > 200);
    }

    #[test]
    fn every_route_names_policies_and_schemas_that_exist() {
        let enforcer = default_policy().unwrap();
        let rules: std::collections::HashSet<&str> = enforcer.rule_names().collect();
        for route in routes() {
            for policy in route.policies {
                assert!(rules.contains(policy), "{} {}: no rule {policy}", route.method, route.path);
            }
            if let Some(schema) = route.schema {
                let versions = (1..=MICROVERSIONS.max.minor).map(|minor| Microversion::new(2, minor));
                let found = versions
                    .filter(|v| route.versions.contains(*v))
                    .any(|v| SCHEMAS.body(schema, v).is_some() || SCHEMAS.query(schema, v).is_some());
                assert!(found, "{} {}: no schema {schema}", route.method, route.path);
            }
        }
    }
}
