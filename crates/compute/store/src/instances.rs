//! `instances`: the servers.

use crate::Store;
use base::{HostName, InstanceId, ProjectId, Timestamp, UserId};
use compute_model::actions::Standing;
use compute_model::spec::{FlavorSpec, ImageSpec, InjectedFile, InstanceSpec, KeypairSpec};
use platform_db::{DbError, FromRow, SqlBuilder, Tx, Value, args};
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
    /// Root and ephemeral disks together.
    pub disk_gib: i64,
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

/// Where `system_metadata` keeps the guest's password.
pub(crate) const PASSWORD: &str = "password";

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

    pub fn tags(&self) -> Vec<String> {
        json("tags", &self.tags).unwrap_or_default()
    }
    /// The encrypted password that the guest has posted, if it has.
    pub fn password(&self) -> Option<String> {
        let mut noted: serde_json::Map<String, serde_json::Value> = json("system_metadata", &self.system_metadata)?;
        match noted.remove(PASSWORD) {
            Some(serde_json::Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// What decides whether something may be done to it.
    pub fn standing(&self) -> Standing<'_> {
        Standing {
            id: self.id(),
            vm_state: &self.vm_state,
            task_state: self.task_state.as_deref(),
            launched: self.launched_at.is_some(),
            has_host: self.host.is_some(),
            locked: self.locked_by.is_some(),
        }
    }

    /// The certificates that its images' signatures must go back to.
    pub fn trusted_certificates(&self) -> Vec<String> {
        let stored = self.trusted_certificates.as_deref();
        stored.and_then(|text| json("trusted_certificates", text)).unwrap_or_default()
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
            trusted_certificates: self.trusted_certificates(),
            created_at: Timestamp(self.created_at),
        })
    }
}

/// The server, deleted ones too.
pub async fn instance_get(tx: &mut Tx, id: InstanceId) -> Result<Option<Instance>, DbError> {
    tx.fetch_optional("SELECT * FROM instances WHERE uuid = $1", args![id]).await
}

/// A server with what is known of its host's service: what one server's view needs, in one row.
#[derive(Clone, Debug, FromRow)]
pub struct InstanceRow {
    #[sqlx(flatten)]
    pub instance: Instance,
    /// All three are null while it has no host.
    pub service_disabled: Option<bool>,
    pub service_forced_down: Option<bool>,
    pub service_last_seen: Option<i64>,
}

impl Store {
    /// A server that is not deleted, with its host's service. One statement.
    pub async fn instance_row(&self, id: InstanceId) -> Result<Option<InstanceRow>, DbError> {
        const SQL: &str = "SELECT i.*, s.disabled AS service_disabled, s.forced_down AS service_forced_down,
                    s.last_seen AS service_last_seen
             FROM instances i LEFT JOIN compute_services s ON s.host = i.host AND s.\"binary\" = 'nova-compute'
             WHERE i.uuid = $1 AND i.deleted_at IS NULL";
        self.db().fetch_optional(SQL, args![id]).await
    }

    /// The server, deleted ones too.
    pub async fn instance_fetch(&self, id: InstanceId) -> Result<Option<Instance>, DbError> {
        self.db().fetch_optional("SELECT * FROM instances WHERE uuid = $1", args![id]).await
    }
}

/// Where a server shall be.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    pub instance: InstanceId,
    pub host: &'a HostName,
    pub node: &'a str,
    pub zone: &'a str,
}

/// Gives servers to hosts, in the transaction that claims the hosts' resources. Returns how many: a server is left out that
/// was deleted meanwhile, or has a host already.
pub async fn instances_place(tx: &mut Tx, places: &[Place<'_>], now: Timestamp) -> Result<usize, DbError> {
    let rows = places.iter().map(|p| args![p.instance, p.host, p.node, p.zone]).collect();
    let mut q = SqlBuilder::new("WITH places (uuid, host, node, zone) AS (");
    q.bind_rows(tx.dialect(), rows);
    q.push(") UPDATE instances SET host = p.host, node = p.node, availability_zone = p.zone, updated_at = ").bind(now);
    // written so that PostgreSQL, which at first knows nothing of the table, cannot take the index of all that are
    // building for shorter than the key
    q.push(
        " FROM places p WHERE instances.uuid = p.uuid AND COALESCE(instances.host, '') = ''
          AND +deleted_at IS NULL AND COALESCE(vm_state, '') = 'building'",
    );
    let (sql, values) = q.finish();
    Ok(usize::try_from(tx.execute(sql, values).await?).unwrap_or(usize::MAX))
}

/// Every column, in the order of [`values`].
pub(crate) const COLUMNS: &str = "uuid, project_id, user_id, name, description, hostname, host, node, vm_state, task_state, power_state,
    progress, vcpus, ram_mib, disk_gib, flavor_id, flavor, image, image_id, key_name, keypair, user_data, metadata,
    system_metadata, tags, files, config_drive, admin_pass, availability_zone, pinned_availability_zone, requested_host,
    requested_node, scheduler_hints, server_group, launch_index, reservation_id, root_device_name, access_ip_v4,
    access_ip_v6, disk_config, trusted_certificates, locked_by, locked_reason, fault, created_at, updated_at, launched_at,
    terminated_at, deleted_at";

fn values(i: Instance) -> Vec<Value> {
    args![
        i.uuid,
        i.project_id,
        i.user_id,
        i.name,
        i.description,
        i.hostname,
        i.host,
        i.node,
        i.vm_state,
        i.task_state,
        i.power_state,
        i.progress,
        i.vcpus,
        i.ram_mib,
        i.disk_gib,
        i.flavor_id,
        i.flavor,
        i.image,
        i.image_id,
        i.key_name,
        i.keypair,
        i.user_data,
        i.metadata,
        i.system_metadata,
        i.tags,
        i.files,
        i.config_drive,
        i.admin_pass,
        i.availability_zone,
        i.pinned_availability_zone,
        i.requested_host,
        i.requested_node,
        i.scheduler_hints,
        i.server_group,
        i.launch_index,
        i.reservation_id,
        i.root_device_name,
        i.access_ip_v4,
        i.access_ip_v6,
        i.disk_config,
        i.trusted_certificates,
        i.locked_by,
        i.locked_reason,
        i.fault,
        i.created_at,
        i.updated_at,
        i.launched_at,
        i.terminated_at,
        i.deleted_at,
    ]
}

/// Adds servers, many in one statement.
pub async fn instances_insert(tx: &mut Tx, instances: Vec<Instance>) -> Result<(), DbError> {
    tx.insert_all(&format!("INSERT INTO instances ({COLUMNS})"), instances.into_iter().map(values).collect()).await
}
