//! Calls by which Nova, up to 2.35, passes requests on to the network, volume and bare metal services. This cloud has
//! none of them yet: whoever may ask is told so.

use crate::ComputeApi;
use http::{Method, StatusCode};
use platform_http::{Call, Fault, Reply, Route};

/// Method, path, rule, and the schema of what is sent.
type Proxy = (Method, &'static str, &'static [&'static str], Option<&'static str>);

const PROXIES: &[Proxy] = &[
    (Method::GET, "/os-networks", &["os_compute_api:os-networks:list"], None),
    (Method::GET, "/os-networks/{id}", &["os_compute_api:os-networks:show"], None),
    (Method::GET, "/os-tenant-networks", &["os_compute_api:os-tenant-networks:list"], None),
    (Method::GET, "/os-tenant-networks/{id}", &["os_compute_api:os-tenant-networks:show"], None),
    (Method::GET, "/os-floating-ip-pools", &["os_compute_api:os-floating-ip-pools"], None),
    (Method::GET, "/os-floating-ips", &["os_compute_api:os-floating-ips:list"], None),
    (Method::POST, "/os-floating-ips", &["os_compute_api:os-floating-ips:create"], Some("floating_ips.create")),
    (Method::GET, "/os-floating-ips/{id}", &["os_compute_api:os-floating-ips:show"], None),
    (Method::DELETE, "/os-floating-ips/{id}", &["os_compute_api:os-floating-ips:delete"], None),
    (Method::GET, "/os-security-groups", &["os_compute_api:os-security-groups:get"], Some("security_groups.index")),
    (
        Method::POST,
        "/os-security-groups",
        &["os_compute_api:os-security-groups:create"],
        Some("security_groups.create"),
    ),
    (Method::GET, "/os-security-groups/{id}", &["os_compute_api:os-security-groups:show"], None),
    (
        Method::PUT,
        "/os-security-groups/{id}",
        &["os_compute_api:os-security-groups:update"],
        Some("security_groups.update"),
    ),
    (Method::DELETE, "/os-security-groups/{id}", &["os_compute_api:os-security-groups:delete"], None),
    (
        Method::POST,
        "/os-security-group-rules",
        &["os_compute_api:os-security-groups:rule:create"],
        Some("security_group_rules.create"),
    ),
    (Method::DELETE, "/os-security-group-rules/{id}", &["os_compute_api:os-security-groups:rule:delete"], None),
    (Method::GET, "/os-volumes", &["os_compute_api:os-volumes:list"], Some("volumes.index")),
    (Method::POST, "/os-volumes", &["os_compute_api:os-volumes:create"], Some("volumes.create")),
    (Method::GET, "/os-volumes/detail", &["os_compute_api:os-volumes:detail"], Some("volumes.detail")),
    (Method::GET, "/os-volumes/{id}", &["os_compute_api:os-volumes:show"], None),
    (Method::DELETE, "/os-volumes/{id}", &["os_compute_api:os-volumes:delete"], None),
    (Method::GET, "/os-snapshots", &["os_compute_api:os-volumes:snapshots:list"], Some("snapshots.index")),
    (Method::POST, "/os-snapshots", &["os_compute_api:os-volumes:snapshots:create"], Some("snapshots.create")),
    (Method::GET, "/os-snapshots/detail", &["os_compute_api:os-volumes:snapshots:detail"], Some("snapshots.detail")),
    (Method::GET, "/os-snapshots/{id}", &["os_compute_api:os-volumes:snapshots:show"], None),
    (Method::DELETE, "/os-snapshots/{id}", &["os_compute_api:os-volumes:snapshots:delete"], None),
    (Method::GET, "/os-baremetal-nodes", &["os_compute_api:os-baremetal-nodes:list"], None),
    (Method::GET, "/os-baremetal-nodes/{id}", &["os_compute_api:os-baremetal-nodes:show"], None),
];

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    let mut routes: Vec<Route<ComputeApi>> = PROXIES
        .iter()
        .map(|&(ref method, path, rules, schema)| {
            let route = Route::new(method.clone(), path, move |api, call| not_here(api, call, rules)).policy(rules);
            Route { schema, ..route }.until(2, 35)
        })
        .collect();
    routes.extend([
        Route::post("/os-baremetal-nodes", no_ironic_proxy).until(2, 35),
        Route::delete("/os-baremetal-nodes/{id}", no_ironic_proxy).until(2, 35),
        Route::action("/os-baremetal-nodes/{id}/action", "add_interface", no_ironic_proxy).until(2, 35),
        Route::action("/os-baremetal-nodes/{id}/action", "remove_interface", no_ironic_proxy).until(2, 35),
    ]);
    routes
}

async fn not_here(api: ComputeApi, call: Call, rules: &'static [&'static str]) -> Result<Reply, Fault> {
    for rule in rules {
        api.allow_own(&call.cx, rule)?;
    }
    Err(Fault::new(StatusCode::NOT_IMPLEMENTED, "The requested functionality is not supported."))
}

/// Nova itself never passed these on.
async fn no_ironic_proxy(_: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let command = match (call.method == Method::DELETE, call.path.ends_with("/action")) {
        (true, _) => "node-delete",
        (_, false) => "node-create",
        (_, true) if call.json().get("add_interface").is_some() => "port-create",
        (_, true) => "port-delete",
    };
    Err(Fault::bad_request(format!(
        "Command not supported. Please use Ironic command {command} to perform this action."
    )))
}
