//! `POST /servers`: checks everything that can be checked at once, writes what is wanted in one transaction, and answers
//! 202. The conductor does the building.

mod block_devices;
mod body;
mod destination;
mod password;
mod quota;
mod rows;
mod sources;
mod write;

pub(super) use body::shortest;
pub(super) use password::generate as generate_password;

use crate::ComputeApi;
use crate::links::Links;
use platform_http::{Call, Fault, Reply};
use serde_json::json;

const POLICY: &str = "os_compute_api:servers:create";
const TRUSTED_CERTS: &str = "os_compute_api:servers:create:trusted_certs";
const ZERO_DISK: &str = "os_compute_api:servers:create:zero_disk_flavor";
const FORCED_HOST: &str = "os_compute_api:servers:create:forced_host";
const REQUESTED_DESTINATION: &str = "compute:servers:create:requested_destination";
pub(super) const POLICIES: &[&str] = &[POLICY, TRUSTED_CERTS, ZERO_DISK, FORCED_HOST, REQUESTED_DESTINATION];

pub(super) async fn create(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, POLICY)?;
    let mut wanted = body::read(&call, api.config.max_limit)?;
    if wanted.trusted_certificates.is_some() {
        api.allow_own(&call.cx, TRUSTED_CERTS)?;
    } else if !api.config.default_trusted_certificates.is_empty() {
        wanted.trusted_certificates = Some(api.config.default_trusted_certificates.clone());
    }
    let sources = sources::find(&api, &call, &wanted).await?;
    let destination = destination::find(&api, &call, &wanted).await?;
    let mut template = rows::template(&call, &wanted, &sources, &destination, api.now());
    let password = wanted.admin_pass.clone().unwrap_or_else(password::generate);
    template.admin_pass = Some(password.clone());
    let new = write::New { template, group: sources.group.as_ref(), force: destination.forced };
    let created = write::write(&api, &call, &wanted, new).await?;
    if wanted.return_reservation_id {
        return Ok(Reply::json(202, &json!({"reservation_id": created.reservation_id})));
    }
    let links = Links::of(&call);
    let body = json!({"server": {
        "id": created.uuid,
        "links": links.of_item("servers", &created.uuid),
        "OS-DCF:diskConfig": created.disk_config,
        "security_groups": wanted.security_groups.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "adminPass": password,
    }});
    Ok(Reply::json(202, &body).location(&links.url("servers", &created.uuid)))
}
