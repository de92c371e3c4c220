//! What else may hang on a server: ports, volumes, shares, security groups, migrations. There are none of them before
//! the services they come from exist, so lists are empty and each single one is not found.

use super::find;
use crate::ComputeApi;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};

const INTERFACES: &str = "os_compute_api:os-attach-interfaces:list";
const INTERFACE: &str = "os_compute_api:os-attach-interfaces:show";
const DETACH_INTERFACE: &str = "os_compute_api:os-attach-interfaces:delete";
const VOLUMES: &str = "os_compute_api:os-volumes-attachments:index";
const VOLUME: &str = "os_compute_api:os-volumes-attachments:show";
const CHANGE_VOLUME: &str = "os_compute_api:os-volumes-attachments:update";
const DETACH_VOLUME: &str = "os_compute_api:os-volumes-attachments:delete";
const SECURITY_GROUPS: &str = "os_compute_api:os-security-groups:list";
const SHARES: &str = "os_compute_api:os-server-shares:index";
const SHARE: &str = "os_compute_api:os-server-shares:show";
const DETACH_SHARE: &str = "os_compute_api:os-server-shares:delete";
const MIGRATIONS: &str = "os_compute_api:servers:migrations:index";
const MIGRATION: &str = "os_compute_api:servers:migrations:show";
const ABORT_MIGRATION: &str = "os_compute_api:servers:migrations:delete";
const FORCE_MIGRATION: &str = "os_compute_api:servers:migrations:force_complete";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    const VOLUME_PATH: &str = "/servers/{id}/os-volume_attachments/{item}";
    const MIGRATION_PATH: &str = "/servers/{id}/migrations/{item}";
    vec![
        Route::get("/servers/{id}/os-interface", |a, c| none(a, c, INTERFACES, "interfaceAttachments"))
            .policy(&[INTERFACES])
            .schema("attach_interfaces.index"),
        Route::get("/servers/{id}/os-interface/{item}", |a, c| missing(a, c, INTERFACE, no_port))
            .policy(&[INTERFACE])
            .schema("attach_interfaces.show"),
        Route::delete("/servers/{id}/os-interface/{item}", |a, c| missing(a, c, DETACH_INTERFACE, no_port))
            .policy(&[DETACH_INTERFACE]),
        Route::get("/servers/{id}/os-volume_attachments", |a, c| none(a, c, VOLUMES, "volumeAttachments"))
            .policy(&[VOLUMES])
            .schema("volume_attachments.index"),
        Route::get(VOLUME_PATH, |a, c| missing(a, c, VOLUME, no_volume))
            .policy(&[VOLUME])
            .schema("volume_attachments.show"),
        Route::put(VOLUME_PATH, |a, c| missing(a, c, CHANGE_VOLUME, no_volume))
            .policy(&[CHANGE_VOLUME])
            .schema("volume_attachments.update"),
        Route::delete(VOLUME_PATH, |a, c| missing(a, c, DETACH_VOLUME, no_volume)).policy(&[DETACH_VOLUME]),
        Route::get("/servers/{id}/os-security-groups", |a, c| none(a, c, SECURITY_GROUPS, "security_groups"))
            .policy(&[SECURITY_GROUPS])
            .schema("server_security_groups.index"),
        Route::get("/servers/{id}/shares", |a, c| none(a, c, SHARES, "shares"))
            .policy(&[SHARES])
            .schema("server_shares.index")
            .since(2, 97),
        Route::get("/servers/{id}/shares/{item}", |a, c| missing(a, c, SHARE, no_share))
            .policy(&[SHARE])
            .schema("server_shares.show")
            .since(2, 97),
        Route::delete("/servers/{id}/shares/{item}", |a, c| missing(a, c, DETACH_SHARE, no_share))
            .policy(&[DETACH_SHARE])
            .since(2, 97),
        Route::get("/servers/{id}/migrations", |a, c| none(a, c, MIGRATIONS, "migrations"))
            .policy(&[MIGRATIONS])
            .schema("server_migrations.index")
            .since(2, 23),
        Route::get(MIGRATION_PATH, |a, c| missing(a, c, MIGRATION, no_migration))
            .policy(&[MIGRATION])
            .schema("server_migrations.show")
            .since(2, 23),
        Route::delete(MIGRATION_PATH, |a, c| missing(a, c, ABORT_MIGRATION, no_migration))
            .policy(&[ABORT_MIGRATION])
            .since(2, 24),
        Route::action("/servers/{id}/migrations/{item}/action", "force_complete", |a, c| {
            missing(a, c, FORCE_MIGRATION, no_migration)
        })
        .policy(&[FORCE_MIGRATION])
        .schema("server_migrations.force_complete")
        .since(2, 22),
    ]
}

async fn none(api: ComputeApi, call: Call, rule: &'static str, key: &'static str) -> Result<Reply, Fault> {
    find::live(&api, &call, rule).await?;
    Ok(Reply::json(200, &Value::Object([(key.to_owned(), json!([]))].into_iter().collect())))
}

async fn missing(
    api: ComputeApi,
    call: Call,
    rule: &'static str,
    say: fn(&str, &str) -> String,
) -> Result<Reply, Fault> {
    find::live(&api, &call, rule).await?;
    Err(Fault::not_found(say(call.param("id"), call.param("item"))))
}

fn no_port(server: &str, port: &str) -> String {
    format!("Instance {server} does not have a port with id {port}")
}
fn no_volume(server: &str, volume: &str) -> String {
    format!("Instance {server} is not attached to volume {volume}")
}
fn no_share(server: &str, share: &str) -> String {
    format!("Share {share} is not attached to instance {server}")
}
fn no_migration(server: &str, migration: &str) -> String {
    format!("In-progress live migration {migration} is not found for server {server}.")
}
