//! Placement's REST API, 1.0 to 1.39. One file a resource; the table of routes is here.
//!
//! What every route does before its handler (policy, Accept, Content-Type) is done once, by [`route`].

mod aggregates;
mod allocation_candidates;
mod allocations;
mod candidates_query;
mod faults;
mod input;
mod inventories;
mod reply;
mod reshaper;
mod resource_classes;
mod resource_providers;
mod root;
mod traits;
mod usages;

pub use faults::PlacementFaults;

use crate::Placement;
use base::Microversion;
use base::policy::{Enforcer, PolicyError, Target};
use http::Method;
use platform_http::{Authenticate, Call, Fault, Microversions, Reply, Route, Service, ServiceSettings};
use std::future::Future;
use std::sync::Arc;

pub const MICROVERSIONS: Microversions = Microversions {
    service: "placement",
    min: Microversion::new(1, 0),
    max: Microversion::new(1, 39),
    legacy_header: None,
    legacy_path: None,
};

/// oslo.middleware's `max_request_body_size`.
const JSON_LIMIT_BYTES: usize = 114_688;

/// OpenStack's own rules. The operator's `policy.yaml` is laid over them with [`Enforcer::override_with`].
pub fn default_policy() -> Result<Enforcer, PolicyError> {
    Enforcer::from_json(include_str!("../../data/policies.json"))
}

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    placement: Placement,
    enforcer: Arc<Enforcer>,
}

impl Api {
    fn allow(&self, call: &Call, rule: &str, target: &Target) -> Result<(), Fault> {
        if self.enforcer.allows(rule, &call.cx, target) {
            return Ok(());
        }
        Err(Fault::forbidden(format!("Policy does not allow {rule} to be performed.")))
    }
}

/// The service, ready to be mounted. `identity_url` is what a 401 names.
pub fn service(
    placement: Placement,
    enforcer: Enforcer,
    auth: Arc<dyn Authenticate>,
    identity_url: String,
) -> Arc<Service<Api>> {
    let settings = ServiceSettings {
        name: "placement",
        faults: Arc::new(PlacementFaults),
        auth,
        identity_url,
        versions: Some(MICROVERSIONS),
        schemas: None,
        json_limit: JSON_LIMIT_BYTES,
        request_id_header: None,
        rewrite: None,
        admit: None,
    };
    Arc::new(Service::new(settings, Api { placement, enforcer: Arc::new(enforcer) }, routes()))
}

/// A route whose one policy rule is about no stored row.
fn route<F, Fut>(method: Method, path: &'static str, policies: &'static [&'static str], handler: F) -> Route<Api>
where
    F: Fn(Api, Call) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Reply, Fault>> + Send + 'static,
{
    own_policy(method, path, policies, move |api: Api, call: Call| {
        let allowed = policies.iter().try_for_each(|rule| api.allow(&call, rule, &Target::new()));
        let handler = handler.clone();
        async move {
            allowed?;
            handler(api, call).await
        }
    })
}

/// A route whose handler asks its policy rule itself.
fn own_policy<F, Fut>(method: Method, path: &'static str, policies: &'static [&'static str], handler: F) -> Route<Api>
where
    F: Fn(Api, Call) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Reply, Fault>> + Send + 'static,
{
    let checked = move |api: Api, call: Call| {
        let handler = handler.clone();
        async move {
            let version = call.version;
            let result = match input::content_types(&call) {
                Ok(()) => handler(api, call).await,
                Err(fault) => Err(fault),
            };
            result.map_err(|fault| faults::for_version(fault, version))
        }
    };
    Route::new(method, path, checked).policy(policies)
}

const DELETE: Method = Method::DELETE;
const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;

#[rustfmt::skip]
pub fn routes() -> Vec<Route<Api>> {
    vec![
        own_policy(GET, "/", &[], root::home).open(),

        route(GET, "/resource_providers", &["placement:resource_providers:list"], resource_providers::list),
        route(POST, "/resource_providers", &["placement:resource_providers:create"], resource_providers::create),
        route(GET, "/resource_providers/{uuid}", &["placement:resource_providers:show"], resource_providers::show),
        route(PUT, "/resource_providers/{uuid}", &["placement:resource_providers:update"], resource_providers::update),
        route(DELETE, "/resource_providers/{uuid}", &["placement:resource_providers:delete"], resource_providers::delete),

        route(GET, "/resource_providers/{uuid}/inventories", &["placement:resource_providers:inventories:list"], inventories::list),
        route(POST, "/resource_providers/{uuid}/inventories", &["placement:resource_providers:inventories:create"], inventories::create),
        route(PUT, "/resource_providers/{uuid}/inventories", &["placement:resource_providers:inventories:update"], inventories::replace),
        route(DELETE, "/resource_providers/{uuid}/inventories", &["placement:resource_providers:inventories:delete"], inventories::delete_all),
        route(GET, "/resource_providers/{uuid}/inventories/{resource_class}", &["placement:resource_providers:inventories:show"], inventories::show),
        route(PUT, "/resource_providers/{uuid}/inventories/{resource_class}", &["placement:resource_providers:inventories:update"], inventories::update),
        route(DELETE, "/resource_providers/{uuid}/inventories/{resource_class}", &["placement:resource_providers:inventories:delete"], inventories::delete),

        route(GET, "/resource_providers/{uuid}/aggregates", &["placement:resource_providers:aggregates:list"], aggregates::list).since(1, 1),
        route(PUT, "/resource_providers/{uuid}/aggregates", &["placement:resource_providers:aggregates:update"], aggregates::replace).since(1, 1),
        route(GET, "/resource_providers/{uuid}/traits", &["placement:resource_providers:traits:list"], traits::list_of_provider).since(1, 6),
        route(PUT, "/resource_providers/{uuid}/traits", &["placement:resource_providers:traits:update"], traits::replace_of_provider).since(1, 6),
        route(DELETE, "/resource_providers/{uuid}/traits", &["placement:resource_providers:traits:delete"], traits::delete_of_provider).since(1, 6),
        route(GET, "/resource_providers/{uuid}/usages", &["placement:resource_providers:usages"], usages::of_provider),
        route(GET, "/resource_providers/{uuid}/allocations", &["placement:resource_providers:allocations:list"], allocations::list_of_provider),

        route(GET, "/resource_classes", &["placement:resource_classes:list"], resource_classes::list).since(1, 2),
        route(POST, "/resource_classes", &["placement:resource_classes:create"], resource_classes::create).since(1, 2),
        route(GET, "/resource_classes/{name}", &["placement:resource_classes:show"], resource_classes::show).since(1, 2),
        route(PUT, "/resource_classes/{name}", &["placement:resource_classes:update"], resource_classes::rename).since(1, 2).until(1, 6),
        route(PUT, "/resource_classes/{name}", &["placement:resource_classes:update"], resource_classes::ensure).since(1, 7),
        route(DELETE, "/resource_classes/{name}", &["placement:resource_classes:delete"], resource_classes::delete).since(1, 2),

        route(GET, "/traits", &["placement:traits:list"], traits::list).since(1, 6),
        route(GET, "/traits/{name}", &["placement:traits:show"], traits::show).since(1, 6),
        route(PUT, "/traits/{name}", &["placement:traits:update"], traits::ensure).since(1, 6),
        route(DELETE, "/traits/{name}", &["placement:traits:delete"], traits::delete).since(1, 6),

        route(POST, "/allocations", &["placement:allocations:manage"], allocations::manage).since(1, 13),
        route(GET, "/allocations/{consumer_uuid}", &["placement:allocations:list"], allocations::list),
        route(PUT, "/allocations/{consumer_uuid}", &["placement:allocations:update"], allocations::replace),
        route(DELETE, "/allocations/{consumer_uuid}", &["placement:allocations:delete"], allocations::delete),
        route(GET, "/allocation_candidates", &["placement:allocation_candidates:list"], allocation_candidates::list).since(1, 10),
        own_policy(GET, "/usages", &["placement:usages"], usages::of_project).since(1, 9),
        route(POST, "/reshaper", &["placement:reshaper:reshape"], reshaper::reshape).since(1, 30),
    ]
}
