//! `instances`: the servers.

use crate::Store;
use base::{HostName, InstanceId, ProjectId, Timestamp, UserId};
use compute_model::spec::{FlavorSpec, ImageSpec, InjectedFile, InstanceSpec, KeypairSpec};
use platform_db::{DbError, FromRow, Tx, args};
use serde::de::DeserializeOwned;

/// One server as it is stored. JSON columns are decoded by the methods.
#[derive(Clone, Debug, FromRow)]
pub struct Instance {
    pub uuid: String,
    pub project_id: String,
    pub user_id: String,
    pub name: String,
    pub description: Option<String>,
    pub hostname: String,
    pub host: Option<String>,
    pub node: Option<String>,
    pub vm_state: String,
    pub task_state: Option<String>,
    pub power_state: i64,
    pub progress: i64,
    pub vcpus: i64,
    pub ram_mib: i64,
    pub flavor_id: String,
    pub flavor: String,
    pub image: Option<String>,
    pub image_id: Option<String>,
    pub key_name: Option<String>,
    pub keypair: Option<String>,
    pub user_data: Option<String>,
    pub metadata: String,
    pub system_metadata: String,
    pub tags: String,
    pub files: String,
    pub config_drive: bool,
    pub admin_pass: Option<String>,
    pub availability_zone: Option<String>,
    pub pinned_availability_zone: Option<String>,
    pub requested_host: Option<String>,
    pub requested_node: Option<String>,
    pub scheduler_hints: String,
    pub server_group: Option<String>,
    pub launch_index: i64,
    pub reservation_id: String,
    pub root_device_name: Option<String>,
    pub access_ip_v4: Option<String>,
    pub access_ip_v6: Option<String>,
    pub disk_config: String,
    pub trusted_certificates: Option<String>,
    pub locked_by: Option<String>,
    pub locked_reason: Option<String>,
    pub fault: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    pub launched_at: Option<i64>,
    pub terminated_at: Option<i64>,
    pub deleted_at: Option<i64>,
}

/// Reads a JSON column. What cannot be read was not written by us: it is logged and taken as empty.
pub(crate) fn json<T: DeserializeOwned>(column: &'static str, text: &str) -> Option<T> {
    serde_json::from_str(text)
        .inspect_err(|error| tracing::error!(column, %error, "a stored JSON column cannot be read"))
        .ok()
}

impl Instance {
    pub fn id(&self) -> InstanceId {
        self.uuid.parse().unwrap_or(InstanceId(Default::default()))
    }
    pub fn flavor(&self) -> Option<FlavorSpec> {
        json("flavor", &self.flavor)
    }
    pub fn image(&self) -> Option<ImageSpec> {
        self.image.as_deref().and_then(|t| json("image", t))
    }
    pub fn keypair(&self) -> Option<KeypairSpec> {
        self.keypair.as_deref().and_then(|t| json("keypair", t))
    }
    pub fn metadata(&self) -> std::collections::BTreeMap<String, String> {
        json("metadata", &self.metadata).unwrap_or_default()
    }

    /// All that a host needs to build it. `None` only if the row was damaged.
    pub fn spec(&self) -> Option<InstanceSpec> {
        Some(InstanceSpec {
            id: self.id(),
            project_id: ProjectId(self.project_id.clone()),
            user_id: UserId(self.user_id.clone()),
            name: self.name.clone(),
            hostname: self.hostname.clone(),
            flavor: self.flavor()?,
            image: self.image(),
            keypair: self.keypair(),
            user_data: self.user_data.clone(),
            metadata: self.metadata(),
            files: json::<Vec<InjectedFile>>("files", &self.files).unwrap_or_default(),
            config_drive: self.config_drive,
            admin_pass: self.admin_pass.clone().map(base::Secret::new),
            availability_zone: self.availability_zone.clone(),
            launch_index: u32::try_from(self.launch_index).unwrap_or(0),
            reservation_id: self.reservation_id.clone(),
            created_at: Timestamp(self.created_at),
        })
    }
}

/// The server, deleted ones too.
pub async fn instance_get(tx: &mut Tx, id: InstanceId) -> Result<Option<Instance>, DbError> {
    tx.fetch_optional("SELECT * FROM instances WHERE uuid = $1", args![id]).await
}

impl Store {
    /// The server, deleted ones too.
    pub async fn instance_fetch(&self, id: InstanceId) -> Result<Option<Instance>, DbError> {
        self.db().fetch_optional("SELECT * FROM instances WHERE uuid = $1", args![id]).await
    }
}

/// Gives the server to a host, in the transaction that claims the host's resources. `false`: it was deleted meanwhile,
/// or has a host already.
pub async fn instance_place(
    tx: &mut Tx,
    id: InstanceId,
    host: &HostName,
    node: &str,
    zone: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "UPDATE instances SET host = $2, node = $3, availability_zone = $4, updated_at = $5
             WHERE uuid = $1 AND host IS NULL AND deleted_at IS NULL AND vm_state = 'building'",
            args![id, host, node, zone, now],
        )
        .await?;
    Ok(n == 1)
}
