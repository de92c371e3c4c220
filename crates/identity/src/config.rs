//! What the binary decides about identity.

use crate::auth::LoginLimits;
use crate::password::Scheme;
use base::Secret;
use platform_http::Network;
use regex::Regex;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// Folder of the key repositories `fernet-keys` and `credential-keys`; made if missing.
    pub key_dir: PathBuf,
    /// File with the keys of stored secrets, one a line, the one to encrypt with first, in place of `credential-keys`.
    pub credential_key_file: Option<PathBuf>,
    /// How long a token lasts. 1 h: Keystone's `[token] expiration`.
    pub token_ttl: Duration,
    /// How new passwords are stored. Old ones are checked by whatever scheme they say.
    pub scheme: Scheme,
    /// Threads that hash passwords; half of the processors by default. Each scrypt of the default cost takes 64 MiB
    /// while it runs.
    pub hash_threads: usize,
    pub security: SecurityCompliance,
    pub login: LoginLimits,
    /// Networks of proxies in front of this process, which are believed about the addresses of clients.
    pub trusted_proxies: Vec<Network>,
    /// File that events for the audit are appended to. They are in the log in any case.
    pub audit_file: Option<PathBuf>,
    /// Region of the catalog's endpoints.
    pub region: String,
    /// Services of this cloud, brought up to date in the catalog at each start.
    pub catalog: Vec<CatalogEntry>,
    /// Password of the user `admin`, used only when the user is made: a later start does not reset it.
    pub admin_password: Secret,
    /// An operator's `policy.yaml`, laid over the defaults.
    pub policy: Option<String>,
}

/// A service with its endpoints. `%(project_id)s` in a URL stands for the token's project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogEntry {
    /// `compute`, `image` …
    pub service_type: String,
    /// `nova`, `glance` …
    pub name: String,
    pub public: String,
    pub internal: String,
    pub admin: String,
}

/// Keystone's `[security_compliance]`, with its defaults: everything off.
#[derive(Clone, Debug, Default)]
pub struct SecurityCompliance {
    /// Wrong passwords in a row that lock an account.
    pub lockout_failure_attempts: Option<u32>,
    /// How long it stays locked; `None`: until an operator enables it again.
    pub lockout_duration: Option<Duration>,
    /// How long a password lasts.
    pub password_expires: Option<Duration>,
    /// How many of the last passwords may not be used again, the present one included.
    pub unique_last_password_count: u32,
    /// How long a user must keep a new password.
    pub minimum_password_age: Duration,
    /// A password set by somebody else must be changed before it can be used.
    pub change_password_upon_first_use: bool,
    /// What new passwords must look like.
    pub password_pattern: Option<PasswordPattern>,
}

/// A regular expression that new passwords match from the start.
#[derive(Clone, Debug)]
pub struct PasswordPattern {
    regex: Regex,
    /// What it means, for the person who is refused.
    pub(crate) description: String,
}

#[derive(Debug, thiserror::Error)]
#[error("not a regular expression: {0}")]
pub struct BadPattern(#[from] regex::Error);

impl PasswordPattern {
    pub fn new(pattern: &str, description: impl Into<String>) -> Result<Self, BadPattern> {
        let regex = Regex::new(&format!("^(?:{pattern})"))?;
        Ok(Self { regex, description: description.into() })
    }

    pub(crate) fn is_met_by(&self, password: &Secret) -> bool {
        self.regex.is_match(password.expose())
    }
}

impl IdentityConfig {
    /// Keystone's defaults, with keys in `key_dir`.
    pub fn new(key_dir: impl Into<PathBuf>, admin_password: Secret) -> Self {
        Self {
            key_dir: key_dir.into(),
            credential_key_file: None,
            token_ttl: Duration::from_secs(3600),
            scheme: Scheme::default(),
            hash_threads: std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).max(1)),
            security: SecurityCompliance::default(),
            login: LoginLimits::default(),
            trusted_proxies: Vec::new(),
            audit_file: None,
            region: "RegionOne".into(),
            catalog: Vec::new(),
            admin_password,
            policy: None,
        }
    }
}

impl CatalogEntry {
    /// The same URL for all three interfaces.
    pub fn everywhere(service_type: &str, name: &str, url: &str) -> Self {
        Self {
            service_type: service_type.into(),
            name: name.into(),
            public: url.into(),
            internal: url.into(),
            admin: url.into(),
        }
    }

    pub(crate) fn endpoints(&self) -> [(&'static str, &str); 3] {
        [("public", &self.public), ("internal", &self.internal), ("admin", &self.admin)]
    }
}
