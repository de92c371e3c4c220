//! Interoperable import: data that is staged, fetched or copied, by a task that outlives its request.
//!
//! ```text
//! PUT …/stage ─▶ uploading ─┐                         ┌─▶ active
//! POST …/import ────────────┴─▶ task ─▶ importing ────┤
//!                                                     └─▶ queued, with the reason in the task
//! ```
//!
//! A task is a row of the registry. Any image-api takes it up ([`work`]), holds it while it renews, and stores the data in
//! one pass to all the stores at once ([`run`]); if it dies, another takes it up from the beginning. Only what was staged
//! is in one node's folder: its tasks are for whoever has that folder.

mod convert;
mod inject;
mod remote;
mod run;
mod source;
mod stage;
mod staging;
mod start;
mod unpack;
mod work;

pub(crate) use source::Progress;
pub(crate) use stage::stage;
pub use staging::Staging;
pub(crate) use staging::sweep;
pub(crate) use start::{info, new_task, start};
pub(crate) use work::begin;
pub use work::work;

use crate::fetch::{FetchSettings, Fetcher};
use base::Secret;
use image_model::{DiskFormat, MethodName, TaskId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

/// What an operator says about imports.
pub struct ImportSettings {
    /// In the order in which they are shown. None: nothing can be imported.
    pub methods: Vec<MethodName>,
    /// Where data waits. Without one there is no `glance-direct` and no conversion.
    pub staging: Option<Staging>,
    /// How long staged data waits for its import.
    pub stage_keep: Duration,
    pub fetch: FetchSettings,
    /// Identity's v3 root, where the catalog of other regions is asked for.
    pub identity_url: String,
    /// What comes in an archive is stored without it, unless its container is `compressed`.
    pub unpack: bool,
    /// Beyond its first 64 MiB an archive may give so many bytes for each of its own. `None`: any number.
    pub unpack_max_ratio: Option<u64>,
    /// Disks are stored in this format, whichever they come in. `None`: as they come.
    pub convert_to: Option<DiskFormat>,
    /// Beginnings of the names of properties that `glance-download` takes along.
    pub remote_properties: Vec<String>,
    /// Put on what is imported, unless the caller has one of these roles.
    pub inject: BTreeMap<String, String>,
    pub inject_ignore_roles: Vec<String>,
    /// Longest time from the request to the end.
    pub timeout: Duration,
    /// A node that has been silent for so long is gone, and what was staged there.
    pub node_gone: Duration,
    /// Most imports that this process does at once; the others wait.
    pub at_once: usize,
}

impl Default for ImportSettings {
    fn default() -> Self {
        Self {
            methods: Vec::new(),
            staging: None,
            stage_keep: Duration::from_secs(24 * 3600),
            fetch: FetchSettings::default(),
            identity_url: String::new(),
            unpack: false,
            unpack_max_ratio: Some(200),
            convert_to: None,
            remote_properties: ["hw_", "trait:", "os_distro", "os_secure_boot", "os_type"].map(str::to_owned).into(),
            inject: BTreeMap::new(),
            inject_ignore_roles: vec!["admin".to_owned()],
            timeout: Duration::from_secs(6 * 3600),
            node_gone: Duration::from_secs(600),
            at_once: 4,
        }
    }
}

/// The imports of one process.
pub struct Imports {
    pub(crate) settings: ImportSettings,
    pub(crate) fetcher: Fetcher,
    /// What tasks that need this process, or its staging folder, name.
    pub(crate) node: String,
    wake: Notify,
    /// Of callers whose tasks go to other clouds as them. They are never stored: a task outlives its process without.
    tokens: Mutex<HashMap<TaskId, Secret>>,
}

impl Imports {
    pub fn new(mut settings: ImportSettings) -> Self {
        let fetcher = Fetcher::new(std::mem::take(&mut settings.fetch));
        let node = settings.staging.as_ref().map(|s| s.node().to_owned());
        let node = node.unwrap_or_else(|| base::entropy::uuid().to_string());
        Self { settings, fetcher, node, wake: Notify::new(), tokens: Mutex::default() }
    }

    fn keep_token(&self, task: &TaskId, token: Secret) {
        self.tokens().insert(task.clone(), token);
    }
    fn take_token(&self, task: &TaskId) -> Option<Secret> {
        self.tokens().remove(task)
    }
    fn tokens(&self) -> std::sync::MutexGuard<'_, HashMap<TaskId, Secret>> {
        // a map that somebody panicked over is a map all the same
        self.tokens.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for Imports {
    fn default() -> Self {
        Self::new(ImportSettings::default())
    }
}
