//! What Nova has removed for good: 410 at every microversion.

use crate::ComputeApi;
use http::{Method, StatusCode};
use platform_http::{Call, Fault, Reply, Route};

/// Calls, a path each.
const GONE: &[(&str, &[Method])] = &[
    ("/os-agents", &[Method::GET, Method::POST]),
    ("/os-agents/{id}", &[Method::PUT, Method::DELETE]),
    ("/os-cells", &[Method::GET, Method::POST]),
    ("/os-cells/capacities", &[Method::GET]),
    ("/os-cells/detail", &[Method::GET]),
    ("/os-cells/info", &[Method::GET]),
    ("/os-cells/sync_instances", &[Method::POST]),
    ("/os-cells/{id}", &[Method::GET, Method::PUT, Method::DELETE]),
    ("/os-cells/{id}/capacities", &[Method::GET]),
    ("/os-certificates", &[Method::POST]),
    ("/os-certificates/{id}", &[Method::GET]),
    ("/os-cloudpipe", &[Method::GET, Method::POST]),
    ("/os-cloudpipe/{id}", &[Method::PUT]),
    ("/os-fixed-ips/{id}", &[Method::GET]),
    ("/os-floating-ip-dns", &[Method::GET]),
    ("/os-floating-ip-dns/{id}", &[Method::PUT, Method::DELETE]),
    ("/os-floating-ip-dns/{id}/entries/{entry}", &[Method::GET, Method::PUT, Method::DELETE]),
    ("/os-floating-ips-bulk", &[Method::GET, Method::POST]),
    ("/os-floating-ips-bulk/{id}", &[Method::GET, Method::PUT]),
    ("/os-fping", &[Method::GET]),
    ("/os-fping/{id}", &[Method::GET]),
    ("/os-networks", &[Method::POST]),
    ("/os-networks/add", &[Method::POST]),
    ("/os-networks/{id}", &[Method::DELETE]),
    ("/os-security-group-default-rules", &[Method::GET, Method::POST]),
    ("/os-security-group-default-rules/{id}", &[Method::GET, Method::DELETE]),
    ("/os-tenant-networks", &[Method::POST]),
    ("/os-tenant-networks/{id}", &[Method::DELETE]),
    ("/servers/{id}/consoles", &[Method::GET, Method::POST]),
    ("/servers/{id}/consoles/{console}", &[Method::GET, Method::DELETE]),
    ("/servers/{id}/os-virtual-interfaces", &[Method::GET]),
];

/// Actions of `POST …/action`.
const GONE_ACTIONS: &[(&str, &[&str])] = &[
    ("/os-fixed-ips/{id}/action", &["reserve", "unreserve"]),
    ("/os-networks/{id}/action", &["disassociate", "associate_host", "disassociate_host", "disassociate_project"]),
    ("/servers/{id}/action", &["resetNetwork"]),
];

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    let calls = GONE.iter().flat_map(|(path, methods)| methods.iter().map(|m| Route::new(m.clone(), path, gone)));
    let actions =
        GONE_ACTIONS.iter().flat_map(|(path, actions)| actions.iter().map(|action| Route::action(path, action, gone)));
    calls.chain(actions).collect()
}

async fn gone(_: ComputeApi, _: Call) -> Result<Reply, Fault> {
    Err(Fault::new(StatusCode::GONE, "This resource is no longer available.  No forwarding address is given."))
}
