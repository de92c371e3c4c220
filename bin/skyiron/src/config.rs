//! The configuration file: TOML, typed, every key documented. An unknown key is an error that names the nearest one.

mod compute;
mod identity;
mod imports;
mod scheduler;
mod stores;

use ::identity::LoginLimits;
use anyhow::{Context, Result, bail};
use base::Secret;
use platform_telemetry::LogFormat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use compute::{QuotaDriver, Strategy};
pub(crate) use imports::ImageImport;
pub(crate) use stores::{ImageStore, StoreType};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub cloud: Cloud,
    pub endpoints: Endpoints,
    pub database: Database,
    pub bus: Bus,
    pub identity: Identity,
    pub image: Image,
    pub image_import: ImageImport,
    pub compute: Compute,
    pub scheduler: compute_scheduler::Config,
    pub doctor: Doctor,
    pub log: Log,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cloud {
    pub listen: String,
    pub public_url: String,
    pub internal_url: String,
    pub leave_ms: u64,
    pub project_requests_at_once: u32,
    pub project_requests_per_second: u32,
    pub region: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Endpoints {
    pub identity: String,
    pub compute: String,
    pub image: String,
    pub placement: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Bus {
    pub url: Secret,
    pub prefix: String,
    pub token: Secret,
    pub credentials_file: String,
    pub nkey_file: String,
    pub ssl_root_cert: String,
    pub ssl_cert: String,
    pub ssl_key: String,
}

impl Bus {
    /// `name` is what the servers' monitoring calls this process.
    pub(crate) fn settings(&self, name: &str) -> platform_bus::Settings {
        let c = self.clone();
        platform_bus::Settings {
            url: c.url,
            prefix: c.prefix,
            name: name.to_owned(),
            token: c.token,
            credentials_file: c.credentials_file,
            nkey_file: c.nkey_file,
            ssl_root_cert: c.ssl_root_cert,
            ssl_cert: c.ssl_cert,
            ssl_key: c.ssl_key,
        }
    }
    /// Whether it reaches other processes.
    pub(crate) fn is_shared(&self) -> bool {
        !self.url.expose().is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    pub url: String,
    pub max_connections: u32,
    pub statement_timeout_secs: u64,
    pub ssl_root_cert: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Identity {
    pub keys_dir: String,
    pub credential_key_file: String,
    pub token_ttl_secs: u64,
    pub lockout_failure_attempts: u32,
    pub lockout_duration_secs: u64,
    pub password_expires_days: u32,
    pub minimum_password_age_days: u32,
    pub unique_last_password_count: u32,
    pub change_password_upon_first_use: bool,
    pub password_regex: String,
    pub password_regex_description: String,
    pub login_failures_per_user: u32,
    pub login_failures_per_address: u32,
    pub trusted_proxies: Vec<String>,
    pub audit_file: String,
    pub policy_file: String,
    pub url: String,
    pub username: String,
    pub password: Secret,
    pub user_domain: String,
    pub project: String,
    pub project_domain: String,
    pub ca_file: String,
    pub cache_secs: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Image {
    pub store_dir: String,
    pub default_store: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stores: BTreeMap<String, ImageStore>,
    pub do_secure_hash: bool,
    pub cache_dir: String,
    pub cache_max_bytes: u64,
    pub cache_prefetch_after_secs: u64,
    pub size_cap_bytes: u64,
    pub certificates_dir: String,
    pub use_keystone_limits: bool,
    pub policy_file: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Compute {
    pub host: String,
    pub fake_hosts: u32,
    pub fake_host_prefix: String,
    pub fake_agents: bool,
    pub fake_delay_ms: u64,
    pub accelerator: Accelerator,
    pub guest_user: String,
    pub service_down_secs: u64,
    pub build_timeout_secs: u64,
    pub action_timeout_secs: u64,
    pub max_attempts: u32,
    pub lease_secs: u64,
    pub cpu_allocation_ratio: f64,
    pub ram_allocation_ratio: f64,
    pub disk_allocation_ratio: f64,
    pub reserved_host_memory_mib: u64,
    pub default_availability_zone: String,
    pub resume_guests_on_boot: bool,
    pub deleted_servers_kept_days: u32,
    pub recover_after_secs: u64,
    pub fence_command: Vec<String>,
    pub fence_timeout_secs: u64,
    pub recover_most_hosts: u32,
    pub metadata_proxy_shared_secret: Secret,
    pub quota_driver: QuotaDriver,
    pub unified_limits_resource_strategy: Strategy,
    pub unified_limits_resource_list: Vec<String>,
    pub verify_image_signatures: bool,
    pub enable_certificate_validation: bool,
    pub default_trusted_certificate_ids: Vec<String>,
    pub policy_file: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Accelerator {
    #[default]
    Auto,
    Kvm,
    Tcg,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Doctor {
    pub interval_secs: u64,
    pub repair: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub filter: String,
    pub format: LogFormat,
}

impl Default for Cloud {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8700".into(),
            public_url: String::new(),
            internal_url: String::new(),
            leave_ms: 0,
            project_requests_at_once: 256,
            project_requests_per_second: 0,
            region: "RegionOne".into(),
        }
    }
}
impl Default for Bus {
    fn default() -> Self {
        let s = platform_bus::Settings::default();
        Self {
            url: s.url,
            prefix: s.prefix,
            token: s.token,
            credentials_file: s.credentials_file,
            nkey_file: s.nkey_file,
            ssl_root_cert: s.ssl_root_cert,
            ssl_cert: s.ssl_cert,
            ssl_key: s.ssl_key,
        }
    }
}
impl Default for Database {
    fn default() -> Self {
        Self { url: String::new(), max_connections: 16, statement_timeout_secs: 30, ssl_root_cert: String::new() }
    }
}
impl Default for Identity {
    fn default() -> Self {
        Self {
            keys_dir: String::new(),
            credential_key_file: String::new(),
            token_ttl_secs: 3600,
            lockout_failure_attempts: 0,
            lockout_duration_secs: 1800,
            password_expires_days: 0,
            minimum_password_age_days: 0,
            unique_last_password_count: 0,
            change_password_upon_first_use: false,
            password_regex: String::new(),
            password_regex_description: String::new(),
            login_failures_per_user: LoginLimits::default().failures_per_user,
            login_failures_per_address: LoginLimits::default().failures_per_address,
            trusted_proxies: Vec::new(),
            audit_file: String::new(),
            policy_file: String::new(),
            url: String::new(),
            username: String::new(),
            password: Secret::default(),
            user_domain: "Default".into(),
            project: "service".into(),
            project_domain: "Default".into(),
            ca_file: String::new(),
            cache_secs: 10,
        }
    }
}
impl Default for Image {
    fn default() -> Self {
        Self {
            store_dir: String::new(),
            default_store: String::new(),
            stores: BTreeMap::new(),
            do_secure_hash: true,
            cache_dir: String::new(),
            cache_max_bytes: 10 << 30,
            cache_prefetch_after_secs: 0,
            size_cap_bytes: 1 << 40,
            certificates_dir: String::new(),
            use_keystone_limits: false,
            policy_file: String::new(),
        }
    }
}
impl Default for Compute {
    fn default() -> Self {
        Self {
            host: String::new(),
            fake_hosts: 0,
            fake_host_prefix: "fake-".into(),
            fake_agents: false,
            fake_delay_ms: 0,
            accelerator: Accelerator::Auto,
            guest_user: String::new(),
            service_down_secs: 60,
            build_timeout_secs: 600,
            action_timeout_secs: 180,
            max_attempts: 3,
            lease_secs: 30,
            cpu_allocation_ratio: 4.0,
            ram_allocation_ratio: 1.0,
            disk_allocation_ratio: 1.0,
            reserved_host_memory_mib: 512,
            default_availability_zone: "nova".into(),
            resume_guests_on_boot: false,
            deleted_servers_kept_days: 90,
            recover_after_secs: 0,
            fence_command: Vec::new(),
            fence_timeout_secs: 60,
            recover_most_hosts: 1,
            metadata_proxy_shared_secret: Secret::default(),
            quota_driver: QuotaDriver::default(),
            unified_limits_resource_strategy: Strategy::default(),
            unified_limits_resource_list: vec![compute_model::unified::SERVERS.to_owned()],
            verify_image_signatures: false,
            enable_certificate_validation: false,
            default_trusted_certificate_ids: Vec::new(),
            policy_file: String::new(),
        }
    }
}
impl Default for Doctor {
    fn default() -> Self {
        Self { interval_secs: 300, repair: false }
    }
}
impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl Database {
    /// How the database of that data folder is reached.
    pub(crate) fn settings(&self, data: &Path) -> platform_db::Settings {
        let mut settings = platform_db::Settings::new(&match self.url.as_str() {
            "" => format!("sqlite:{}", data.join("skyiron.db").display()),
            url => url.to_owned(),
        });
        settings.max_connections = self.max_connections;
        settings.statement_timeout = Some(Duration::from_secs(self.statement_timeout_secs)).filter(|t| !t.is_zero());
        settings.ssl_root_cert = Some(PathBuf::from(&self.ssl_root_cert)).filter(|p| !p.as_os_str().is_empty());
        settings
    }
}

impl Image {
    /// Names of all stores.
    pub(crate) fn store_names(&self) -> Vec<&str> {
        let unnamed = (self.stores.is_empty() || !self.store_dir.is_empty()).then_some(image_model::ONLY_STORE);
        unnamed.into_iter().chain(self.stores.keys().map(String::as_str)).collect()
    }

    /// The name of the store that takes what names none.
    pub(crate) fn default_name(&self) -> Result<&str> {
        let names = self.store_names();
        match (self.default_store.as_str(), names.as_slice()) {
            ("", [only]) => Ok(only),
            ("", _) => bail!("image.default_store: one of {}", names.join(", ")),
            (name, _) if names.contains(&name) => Ok(name),
            (name, _) => bail!("image.default_store: there is no store {name}; there are {}", names.join(", ")),
        }
    }

    fn check(&self) -> Result<()> {
        if !self.store_dir.is_empty() && self.stores.contains_key(image_model::ONLY_STORE) {
            bail!("image.store_dir is the folder of the store `file`, which has a section of its own");
        }
        let dirs = || self.stores.iter().filter(|(_, s)| !s.dir.is_empty()).map(|(n, s)| (n.as_str(), s.dir.as_str()));
        for (name, dir) in dirs() {
            if dir == self.cache_dir {
                bail!("image.cache_dir: the store {name} has the same folder");
            }
            if dir == self.store_dir || dirs().any(|(other, d)| other != name && d == dir) {
                bail!("image.stores.{name}.dir: another store has the same folder");
            }
        }
        if !self.cache_dir.is_empty() && (self.cache_dir == self.store_dir || self.cache_max_bytes == 0) {
            bail!("image.cache_dir: a folder of its own, and image.cache_max_bytes says how much may be in it");
        }
        for (name, store) in &self.stores {
            store.check(name)?;
        }
        self.default_name().map(drop)
    }
}

/// What every key means, in the order of the file. A test holds this list to the types above.
const KEYS: &[(&str, &str)] = &[
    ("cloud.listen", "Address and port of the listener that serves everything."),
    ("cloud.public_url", "How clients reach it, for the catalog: http://cloud.example:8700. Empty: from `listen`."),
    (
        "cloud.internal_url",
        "How other processes of the cloud reach this one's listener: http://10.0.0.5:8700. Empty: from `listen`.",
    ),
    (
        "cloud.leave_ms",
        "How long a process that is told to stop serves on while /healthz says 503: as long as a balancer needs to see it.",
    ),
    (
        "cloud.project_requests_at_once",
        "Requests of one project under way in this process at once; more are answered 429. 0: any number.",
    ),
    (
        "cloud.project_requests_per_second",
        "Requests a second of one project to this process; twice as many at once after a quiet while. 0: any number.",
    ),
    ("cloud.region", "The region's name in the catalog."),
    (
        "endpoints.identity",
        "Where clients reach the service, for the catalog: http://cloud.example:5000. Empty: `public_url`/identity.",
    ),
    ("endpoints.compute", "The same for compute. Empty: `public_url`/compute."),
    ("endpoints.image", "The same for images. Empty: `public_url`/image."),
    ("endpoints.placement", "The same for placement. Empty: `public_url`/placement."),
    ("database.url", "sqlite:PATH or postgresql://USER:PASSWORD@HOST/NAME. Empty: skyiron.db in the data folder."),
    ("database.max_connections", "Most connections of this process to PostgreSQL."),
    (
        "database.statement_timeout_secs",
        "PostgreSQL ends a statement, or a transaction in which nothing happens, after so long. 0: never.",
    ),
    ("database.ssl_root_cert", "File of certificates (PEM) to trust for PostgreSQL beside the system's. Empty: none."),
    (
        "bus.url",
        "nats://USER:PASSWORD@HOST:4222 or tls://…, several separated by commas. Empty: all roles are in one process.",
    ),
    ("bus.prefix", "First word of every subject: clouds that share NATS servers differ in it."),
    ("bus.token", "Logs in by a token."),
    ("bus.credentials_file", "Logs in by a .creds file. Empty: none."),
    ("bus.nkey_file", "Logs in by an nkey: a file with its seed. Empty: none."),
    ("bus.ssl_root_cert", "PEM file of who vouches for the servers; TLS always. Empty: the system's authorities."),
    ("bus.ssl_cert", "This process's certificate, a PEM file, with `ssl_key`. Empty: none."),
    ("bus.ssl_key", "Its key."),
    (
        "identity.keys_dir",
        "Token and credential keys; every identity of a cloud needs the same ones. Empty: keys/ in the data folder.",
    ),
    (
        "identity.credential_key_file",
        "Keys of stored secrets, one a line, the one to encrypt with first, instead of credential-keys/ in keys_dir. \
         $CREDENTIALS_DIRECTORY/NAME: systemd's credential NAME. Empty: none.",
    ),
    ("identity.token_ttl_secs", "How long a token lives, in seconds."),
    ("identity.lockout_failure_attempts", "Wrong passwords in a row that lock an account. 0: none do."),
    ("identity.lockout_duration_secs", "How long it stays locked."),
    ("identity.password_expires_days", "How long a password lasts. 0: for ever."),
    ("identity.minimum_password_age_days", "How long users must keep a password they have set. 0: no time."),
    ("identity.unique_last_password_count", "How many of the last passwords may not be used again. 0: any may."),
    (
        "identity.change_password_upon_first_use",
        "A password that somebody else has set must be changed before it is good for a login.",
    ),
    ("identity.password_regex", "What new passwords must match, from the start. Empty: anything."),
    ("identity.password_regex_description", "What that means, for those who are refused."),
    (
        "identity.login_failures_per_user",
        "Failed logins a minute as one user, known or not; beyond them 429, right password or not. 0: any number.",
    ),
    ("identity.login_failures_per_address", "The same from one address (IPv6: one /64). 0: any number."),
    (
        "identity.trusted_proxies",
        "Networks of balancers whose X-Forwarded-For says who the client is, as 10.0.0.5 or 10.1.0.0/16.",
    ),
    (
        "identity.audit_file",
        "File that logins and changes are appended to, an event of CADF's shape a line. Empty: only the log has them.",
    ),
    ("identity.policy_file", "policy.yaml with rules that differ from Keystone's defaults. Empty: none."),
    (
        "identity.url",
        "Another Keystone instead of ours: its URL, with /v3. Empty: the role identity is the cloud's Keystone.",
    ),
    ("identity.username", "The service user that asks it what tokens mean."),
    ("identity.password", "Its password."),
    ("identity.user_domain", "Its domain's name."),
    ("identity.project", "The project it logs in to, where it has the role service or admin."),
    ("identity.project_domain", "That project's domain's name."),
    ("identity.ca_file", "PEM file of who vouches for that Keystone. Empty: the system's authorities."),
    (
        "identity.cache_secs",
        "How long its answer about a token is believed: a token revoked there works here for so long.",
    ),
    (
        "image.store_dir",
        "Folder of the store `file`. Empty: images/ in the data folder, and no such store if others are named below.",
    ),
    ("image.default_store", "The store that takes images which are to go to none in particular. Empty: the only one."),
    (
        "image.do_secure_hash",
        "Data registered by its location is read, hashed and inspected before its image is active.",
    ),
    (
        "image.cache_dir",
        "Folder of this process alone for copies of what is fetched from remote stores, or queued. Empty: no cache.",
    ),
    ("image.cache_max_bytes", "Most that the copies may take; what was used least recently makes room."),
    (
        "image.cache_prefetch_after_secs",
        "What admins queue for the cache is fetched so long after; until then it can be taken back.",
    ),
    ("image.size_cap_bytes", "Largest image that may be uploaded."),
    (
        "image.certificates_dir",
        "Folder of the certificates that images are signed with, for image-apis and compute hosts, each called UUID.pem. Empty: signed images are refused.",
    ),
    (
        "image.use_keystone_limits",
        "Projects may have what identity's limits of the service image say, and nothing of what has none registered.",
    ),
    ("image.policy_file", "policy.yaml with rules that differ from Glance's defaults. Empty: none."),
    (
        "image_import.methods",
        "glance-direct, web-download, copy-image, glance-download. None: nothing can be imported.",
    ),
    (
        "image_import.staging_dir",
        "Where data waits for its import, on this node or shared by several. Empty: staging/ in the data folder.",
    ),
    ("image_import.staging_max_bytes", "Most that may wait there. 0: as much as the disk has room for."),
    (
        "image_import.stage_keep_secs",
        "Staged data that is not imported for so long is deleted; its image is queued again.",
    ),
    ("image_import.timeout_secs", "Longest time from an import's request to its end."),
    (
        "image_import.node_gone_secs",
        "A node that has been silent for so long is gone, and so is what was staged there.",
    ),
    ("image_import.at_once", "Imports that this process does at once; the others wait."),
    ("image_import.allowed_schemes", "Of web-download's URLs; http and https are all there are. Not empty: it wins."),
    ("image_import.disallowed_schemes", "Looked at where `allowed_schemes` is empty."),
    ("image_import.allowed_hosts", "Names or addresses as they stand in the URL. Not empty: only these."),
    ("image_import.disallowed_hosts", "Looked at where `allowed_hosts` is empty."),
    ("image_import.allowed_ports", "A URL without a port has that of its scheme. Not empty: only these."),
    ("image_import.disallowed_ports", "Looked at where `allowed_ports` is empty."),
    (
        "image_import.allowed_networks",
        "Private and other special networks that may be fetched from all the same, as 10.1.0.0/16.",
    ),
    ("image_import.min_bytes_per_minute", "A transfer that brings less is given up."),
    ("image_import.unpack", "What comes as gzip or ZIP is stored unpacked, unless its container format is compressed."),
    (
        "image_import.unpack_max_ratio",
        "Beyond its first 64 MiB an archive may give so many bytes for each of its own, else it is refused. 0: any number.",
    ),
    ("image_import.convert_to", "Disks are stored as raw, qcow2 or vmdk whatever they come as. Empty: as they come."),
    ("image_import.remote_properties", "Beginnings of the names of properties that glance-download takes along."),
    ("image_import.inject_ignore_roles", "Callers with one of these roles get nothing of `inject`."),
    ("image_import.inject", "Properties that are put on what is imported: {name = \"value\"}."),
    ("compute.host", "This host's name in the cloud. Empty: what the system is called."),
    (
        "compute.fake_hosts",
        "Simulated hosts beside, or with QEMU missing instead of, the real one. For tests and scale.",
    ),
    ("compute.fake_host_prefix", "What the names of simulated hosts begin with; a number follows."),
    (
        "compute.fake_agents",
        "Each simulated host asks for work by itself, as a real one does. Readiness does not wait for them.",
    ),
    ("compute.fake_delay_ms", "How long each action of a simulated host takes."),
    ("compute.accelerator", "auto: KVM where the processor and /dev/kvm offer it, else tcg. Or: kvm, tcg."),
    ("compute.guest_user", "Unprivileged user that QEMU runs as. Empty: `skyiron` if there is one, else `nobody`."),
    ("compute.service_down_secs", "A host that has not asked for work for so long is down."),
    ("compute.build_timeout_secs", "How long one host may take to build a server."),
    ("compute.action_timeout_secs", "How long a host may take for a power action or a removal."),
    ("compute.max_attempts", "Hosts tried for one server."),
    ("compute.lease_secs", "A conductor that has been silent for so long loses its work to another one. At least 2."),
    ("compute.cpu_allocation_ratio", "How many virtual processors a host gives out for each real one."),
    ("compute.ram_allocation_ratio", "The same for memory."),
    ("compute.disk_allocation_ratio", "The same for disk."),
    ("compute.reserved_host_memory_mib", "Memory kept for the host itself, in MiB."),
    ("compute.default_availability_zone", "The zone of hosts that no aggregate puts into one."),
    (
        "compute.resume_guests_on_boot",
        "Guests that are to run and are off when their host's agent starts, as after a power cut, are started again.",
    ),
    (
        "compute.deleted_servers_kept_days",
        "Deleted servers can be looked up for so long, with their actions and history. 0: for ever.",
    ),
    (
        "compute.recover_after_secs",
        "A host that has been silent for so long is fenced and its servers are evacuated. 0: never.",
    ),
    (
        "compute.fence_command",
        "Program and arguments that switch a host off: {host} in an argument is its name. Exit 0: it is surely off.",
    ),
    ("compute.fence_timeout_secs", "How long that command may take."),
    ("compute.recover_most_hosts", "Hosts recovered at once. None is, if more than half of them are silent."),
    (
        "compute.metadata_proxy_shared_secret",
        "What the network's metadata proxies sign with, for the role compute-metadata. Empty: it refuses every request.",
    ),
    (
        "compute.quota_driver",
        "DbQuotaDriver: limits are those set by os-quota-sets. UnifiedLimitsDriver: identity's limits of the service compute.",
    ),
    (
        "compute.unified_limits_resource_strategy",
        "require: nothing of what is listed below may be had where it has no registered limit. ignore: only of that anything may.",
    ),
    (
        "compute.unified_limits_resource_list",
        "servers, class:VCPU, class:MEMORY_MB, class:DISK_GB, server_key_pairs, …",
    ),
    (
        "compute.verify_image_signatures",
        "Hosts boot only images whose signature they have verified, by the certificates in `image.certificates_dir`.",
    ),
    (
        "compute.enable_certificate_validation",
        "And whose certificate is trusted: by the server's own list, or else the one below. For servers with a list always.",
    ),
    (
        "compute.default_trusted_certificate_ids",
        "UUIDs of all certificates of the chains that are trusted, up to the roots.",
    ),
    ("compute.policy_file", "policy.yaml with rules that differ from Nova's defaults. Empty: none."),
    ("doctor.interval_secs", "From one of the doctor's checks to the next, about. 0: it does not look by itself."),
    ("doctor.repair", "Mend what it finds, where that is safe. Otherwise it only tells, by log and metric."),
    ("log.filter", "info, debug, or by role: info,compute_agent=debug. RUST_LOG wins over it."),
    ("log.format", "text or json."),
];

/// The same with those that stand beside their section's type.
fn known_keys() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let doctor = KEYS.iter().position(|(key, _)| key.starts_with("doctor.")).unwrap_or(KEYS.len());
    let (before, after) = KEYS.split_at(doctor);
    before.iter().chain(scheduler::KEYS).chain(after)
}

/// The whole file with every default, each key under its meaning.
pub(crate) fn reference() -> Result<String> {
    let defaults = toml::Table::try_from(Config::default()).context("the defaults")?;
    let mut text = String::from("# Every key of skyiron's configuration, with its default.\n");
    let mut section = "";
    for (path, meaning) in known_keys() {
        let (of, key) = path.split_once('.').context("a key has a section")?;
        if of != section {
            text.push_str(&format!("\n[{of}]\n"));
            section = of;
        }
        let value = defaults.get(of).and_then(|s| s.get(key)).context("every key has a default")?;
        text.push_str(&format!("# {meaning}\n{key} = {value}\n"));
    }
    text.push_str(&stores::reference());
    Ok(text)
}

/// Reads and checks a file.
pub(crate) fn load(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("configuration {}", path.display()))?;
    parse(&text).with_context(|| format!("configuration {}", path.display()))
}

fn parse(text: &str) -> Result<Config> {
    let table: toml::Table = text.parse().context("not TOML")?;
    for (section, content) in &table {
        let Some(keys) = content.as_table() else {
            bail!("unknown key {section:?}; {}", nearest(section));
        };
        if !known_keys().any(|(k, _)| k.split_once('.').is_some_and(|(s, _)| s == section)) {
            bail!("unknown section [{section}]; {}", nearest(section));
        }
        for key in keys.keys() {
            let path = format!("{section}.{key}");
            if path == "image.stores" {
                check_stores(&keys[key])?;
                continue;
            }
            if !known_keys().any(|(k, _)| *k == path) {
                bail!("unknown key {path:?}; {}", nearest(&path));
            }
        }
    }
    let config: Config = table.try_into().context("a value has the wrong type")?;
    check(&config)?;
    Ok(config)
}

fn check_stores(sections: &toml::Value) -> Result<()> {
    let sections = sections.as_table().context("image.stores: one section [image.stores.NAME] a store")?;
    for (name, section) in sections {
        let section = section.as_table().with_context(|| format!("image.stores.{name} is a section"))?;
        stores::check(name, section)?;
    }
    Ok(())
}

fn check(c: &Config) -> Result<()> {
    c.image.check()?;
    if c.cloud.listen.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        bail!("cloud.listen: {:?} is not ADDRESS:PORT", c.cloud.listen);
    }
    let url = &c.database.url;
    if !(url.is_empty() || ["sqlite:", "postgresql://", "postgres://"].iter().any(|p| url.starts_with(p))) {
        bail!("database.url begins with sqlite: or postgresql://");
    }
    if c.database.max_connections == 0 {
        bail!("database.max_connections: at least 1");
    }
    c.bus.settings("").check().context("[bus]")?;
    c.identity.check()?;
    c.image_import.check()?;
    c.scheduler.check()?;
    c.compute.check(&c.image)
}

fn nearest(wrong: &str) -> String {
    let best = known_keys().map(|(k, _)| *k).min_by_key(|k| distance(wrong, k));
    format!("the nearest is {:?} (see `skyiron config reference`)", best.unwrap_or_default())
}

/// Levenshtein's distance: insertions, deletions and changes between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_meaning_and_every_meaning_a_key() {
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        let mut paths: Vec<String> = defaults
            .iter()
            .flat_map(|(s, keys)| keys.as_table().unwrap().keys().map(move |k| format!("{s}.{k}")))
            .collect();
        let mut known: Vec<String> = known_keys().map(|(k, _)| (*k).to_owned()).collect();
        paths.sort();
        known.sort();
        assert_eq!(paths, known);
    }

    #[test]
    fn the_reference_reads_back_as_the_defaults() {
        assert_eq!(parse(&reference().unwrap()).unwrap(), Config::default());
    }

    #[test]
    fn a_wrong_key_is_told_its_neighbour() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert!(error("[compute]\nfake_host = 3").contains("\"compute.fake_hosts\""));
        assert!(error("[cloud]\nlisten = 8700").contains("wrong type"));
        assert!(error("[cloud]\nlisten = \"nowhere\"").contains("ADDRESS:PORT"));
        assert!(error("[image]\ncache_dir = \"/c\"\ncache_max_bytes = 0").contains("image.cache_max_bytes"));
        let shared = "[image.stores.a]\ntype=\"file\"\ndir=\"/c\"\n[image]\ncache_dir = \"/c\"";
        assert!(error(shared).contains("the store a has the same folder"));
        assert!(error("[nova]\nhost = \"x\"").contains("unknown section [nova]"));
        assert!(error("[bus]\nurl = \"amqp://a:secret@h\"").contains("nats:// or tls://"));
        assert!(!error("[bus]\nurl = \"amqp://a:secret@h\"").contains("secret"));
        assert!(error("[identity]\npassword_regex = \"(\"").contains("identity.password_regex"));
        let ages = "[identity]\npassword_expires_days = 2\nminimum_password_age_days = ";
        assert!(error(&format!("{ages}2")).contains("minimum_password_age_days"));
        assert!(parse(&format!("{ages}1")).is_ok());
        assert!(error("[compute]\ncpu_allocation_ratio = -1.0").contains("positive"));
        assert!(error("[compute]\nrecover_after_secs = 30").contains("service_down_secs, 60"));
        assert!(error("[compute]\nrecover_most_hosts = 0").contains("at least 1"));
        assert!(error("[compute]\nfence_command = \"fence\"").contains("wrong type"));
        assert!(
            error("[scheduler]\nenabled_filters = [\"RamFilter\"]")
                .contains("there are AllHostsFilter, ComputeFilter,")
        );
        assert!(error("[scheduler]\nhost_subset_size = 0").contains("at least 1"));
        assert!(error("[scheduler]\nram_weight_multiplier = nan").contains("scheduler.ram_weight_multiplier"));
        assert!(error("[scheduler]\nsoft_affinity_weight_multiplier = -1.0").contains("soft_affinity"));
        assert!(error("[scheduler]\nisolated_images = [\"x\"]").contains("UUID"));
        assert!(error("[scheduler]\nram_weight_multiplyer = 1.0").contains("\"scheduler.ram_weight_multiplier\""));
        assert!(parse("[scheduler]\nenabled_filters = [\"SameHostFilter\"]\nram_weight_multiplier = -1.0").is_ok());
        let (signed, validated) = ("verify_image_signatures = true", "enable_certificate_validation = true");
        assert!(error("[compute]\nquota_driver = \"NoSuchDriver\"").contains("UnifiedLimitsDriver"));
        assert!(error("[compute]\nunified_limits_resource_list = [\"instances\"]").contains("class:DISK_GB"));
        assert!(error(&format!("[compute]\n{signed}")).contains("image.certificates_dir"));
        assert!(error(&format!("[compute]\n{validated}")).contains("nothing is verified"));
        assert!(error("[compute]\ndefault_trusted_certificate_ids = [\"a\"]").contains("is off"));
        let all = format!("[image]\ncertificates_dir = \"/c\"\n[compute]\n{signed}\n{validated}");
        assert!(parse(&all).is_ok());
        assert!(error(&format!("{all}\ndefault_trusted_certificate_ids = [\"a\"]")).contains("\"a\" is not a UUID"));
    }
}
