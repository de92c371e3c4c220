//! Actions Nova has and this cloud has not yet. They are checked like the others (body, visibility, policy, state), so
//! that what Nova would refuse is refused in Nova's words; what is left is an honest refusal of ours.

use super::find;
use crate::ComputeApi;
use compute_model::actions;
use http::StatusCode;
use platform_http::{Call, Fault, Reply, Route};

/// One such action: its key in the body, its rule of policy, its schema (empty: none), and from when until when it is.
struct NotYet {
    action: &'static str,
    policy: &'static [&'static str],
    schema: &'static str,
    since: u16,
    until: Option<u16>,
}

const fn not_yet(action: &'static str, policy: &'static [&'static str], schema: &'static str) -> NotYet {
    NotYet { action, policy, schema, since: 1, until: None }
}

const ACTIONS: &[NotYet] = &[
    not_yet("confirmResize", &["os_compute_api:servers:confirm_resize"], "servers.confirmResize"),
    not_yet("createImage", &["os_compute_api:servers:create_image"], "servers.createImage"),
    not_yet("rebuild", &["os_compute_api:servers:rebuild"], "servers.rebuild"),
    not_yet("resize", &["os_compute_api:servers:resize"], "servers.resize"),
    not_yet("revertResize", &["os_compute_api:servers:revert_resize"], "servers.revertResize"),
    NotYet {
        since: 17,
        ..not_yet("trigger_crash_dump", &["os_compute_api:servers:trigger_crash_dump"], "servers.trigger_crash_dump")
    },
    not_yet(
        "injectNetworkInfo",
        &["os_compute_api:os-admin-actions:inject_network_info"],
        "admin_actions.injectNetworkInfo",
    ),
    not_yet("changePassword", &["os_compute_api:os-admin-password"], "admin_password.changePassword"),
    not_yet("createBackup", &["os_compute_api:os-create-backup"], "create_backup.createBackup"),
    not_yet("restore", &["os_compute_api:os-deferred-delete:restore"], "deferred_delete.restore"),
    not_yet("migrate", &["os_compute_api:os-migrate-server:migrate"], "migrate_server.migrate"),
    not_yet("os-migrateLive", &["os_compute_api:os-migrate-server:migrate_live"], "migrate_server.os-migrateLive"),
    not_yet("rescue", &["os_compute_api:os-rescue"], "rescue.rescue"),
    not_yet("unrescue", &["os_compute_api:os-unrescue"], "rescue.unrescue"),
    not_yet("addSecurityGroup", &["os_compute_api:os-security-groups:add"], "security_groups.addSecurityGroup"),
    not_yet(
        "removeSecurityGroup",
        &["os_compute_api:os-security-groups:remove"],
        "security_groups.removeSecurityGroup",
    ),
    not_yet("shelve", &["os_compute_api:os-shelve:shelve"], "shelve.shelve"),
    not_yet("shelveOffload", &["os_compute_api:os-shelve:shelve_offload"], "shelve.shelveOffload"),
    not_yet("unshelve", &["os_compute_api:os-shelve:unshelve"], "shelve.unshelve"),
    NotYet { until: Some(43), ..not_yet("addFixedIp", &["os_compute_api:os-multinic:add"], "multinic.addFixedIp") },
    NotYet {
        until: Some(43),
        ..not_yet("removeFixedIp", &["os_compute_api:os-multinic:remove"], "multinic.removeFixedIp")
    },
    NotYet {
        until: Some(43),
        ..not_yet("addFloatingIp", &["os_compute_api:os-floating-ips:add"], "floating_ips.addFloatingIp")
    },
    NotYet {
        until: Some(43),
        ..not_yet("removeFloatingIp", &["os_compute_api:os-floating-ips:remove"], "floating_ips.removeFloatingIp")
    },
];

/// Below 2.6 consoles were actions, one a kind.
const CONSOLES: &[(&str, &str)] = &[
    ("os-getVNCConsole", "remote_consoles.os-getVNCConsole"),
    ("os-getSPICEConsole", "remote_consoles.os-getSPICEConsole"),
    ("os-getSerialConsole", "remote_consoles.os-getSerialConsole"),
    ("os-getRDPConsole", ""),
];
const CONSOLE_POLICY: &str = "os_compute_api:os-remote-consoles";

// what else would need a service that is not there, or a host's answer nobody gives yet
const ATTACH_VOLUME: &str = "os_compute_api:os-volumes-attachments:create";
const ATTACH_INTERFACE: &str = "os_compute_api:os-attach-interfaces:create";
const ATTACH_SHARE: &str = "os_compute_api:os-server-shares:create";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    const PATH: &str = "/servers/{id}/action";
    let mut routes = Vec::new();
    for a in ACTIONS {
        let mut route = Route::action(PATH, a.action, |api, call| refuse(api, call, a.policy[0], a.action));
        route = route.policy(a.policy).schema(a.schema).since(2, a.since);
        routes.push(match a.until {
            Some(minor) => route.until(2, minor),
            None => route,
        });
        if let Some(minor) = a.until {
            routes.push(Route::action(PATH, a.action, over).policy(a.policy).since(2, minor + 1));
        }
    }
    for (action, schema) in CONSOLES {
        let route = Route::action(PATH, action, console).policy(&[CONSOLE_POLICY]).until(2, 5);
        routes.push(if schema.is_empty() { route } else { route.schema(schema) });
        routes.push(Route::action(PATH, action, over).policy(&[CONSOLE_POLICY]).since(2, 6));
    }
    routes.extend([
        Route::post("/servers/{id}/remote-consoles", console)
            .policy(&[CONSOLE_POLICY])
            .schema("remote_consoles.create")
            .since(2, 6),
        Route::post("/servers/{id}/os-volume_attachments", |a, c| refuse(a, c, ATTACH_VOLUME, "attach_volume"))
            .policy(&[ATTACH_VOLUME])
            .schema("volume_attachments.create"),
        Route::post("/servers/{id}/os-interface", |a, c| refuse(a, c, ATTACH_INTERFACE, "attach_interface"))
            .policy(&[ATTACH_INTERFACE])
            .schema("attach_interfaces.create"),
        Route::post("/servers/{id}/shares", |a, c| refuse(a, c, ATTACH_SHARE, "attach_share"))
            .policy(&[ATTACH_SHARE])
            .schema("server_shares.create")
            .since(2, 97),
    ]);
    routes
}

async fn refuse(api: ComputeApi, call: Call, policy: &'static str, action: &'static str) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, policy).await?;
    if let Some(rule) = actions::NOT_YET.iter().find(|r| r.name == action) {
        find::check(&call, rule, &instance)?;
    }
    let message = format!("The requested functionality is not supported: this cloud has no '{action}' yet.");
    Err(Fault::new(StatusCode::NOT_IMPLEMENTED, message))
}

/// An action that later microversions do not have any more.
async fn over(_api: ComputeApi, _call: Call) -> Result<Reply, Fault> {
    Err(Fault::not_found("The resource could not be found."))
}

/// No kind of graphical or serial console is served: Nova's answer where a kind is switched off.
async fn console(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    find::live(&api, &call, CONSOLE_POLICY).await?;
    let body = call.json();
    let asked = body.as_object().and_then(|o| o.values().next()).and_then(|v| v["type"].as_str());
    Err(Fault::bad_request(format!("Unavailable console type {}.", asked.unwrap_or("rdp-html5"))))
}
