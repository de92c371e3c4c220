//! The driver's door: who is who, and the trait.

use crate::config::{QemuConfig, RunAs};
use crate::guest::Guest;
use crate::host::{self, HostAbilities, User};
use crate::layout::{GuestFiles, io_error};
use crate::running::Changes;
use crate::{console, facts};
use async_trait::async_trait;
use base::InstanceId;
use compute_model::driver::{Abilities, Diagnostics, Driver, DriverError, GuestSpec, GuestState, HostFacts};
use compute_model::states::PowerState;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

/// How many monitors are asked at once when all guests are looked at.
const AT_ONCE: usize = 16;
/// Between looks at the sizes of console logs.
const CONSOLE_LOOK: Duration = Duration::from_secs(5);

/// Drives the QEMU processes under one directory. There must be only one at a time for it.
#[derive(Debug)]
pub struct Qemu {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: QemuConfig,
    /// `None`: as ourselves.
    pub(crate) user: Option<User>,
    pub(crate) changes: Arc<Changes>,
    host: OnceCell<HostAbilities>,
    guests: Mutex<HashMap<InstanceId, Arc<Guest>>>,
}

impl Drop for Qemu {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Qemu {
    /// Makes the directory if need be, and starts looking for guests that still run from before (in the background: asking
    /// about one waits for it). Must be called within a tokio runtime.
    pub fn new(config: QemuConfig) -> Result<Self, DriverError> {
        let user = whom_to_run_as(&config.run_as)?;
        let dir = &config.instances_dir;
        fs::DirBuilder::new().recursive(true).mode(0o711).create(dir).map_err(io_error("create", dir))?;
        // paths must mean the same to QEMU, which runs in `/`, and in stored definitions
        let instances_dir = dir.canonicalize().map_err(io_error("find", dir))?;
        let inner = Arc::new(Inner {
            config: QemuConfig { instances_dir, ..config },
            user,
            changes: Arc::default(),
            host: OnceCell::new(),
            guests: Mutex::default(),
        });
        let tasks = vec![tokio::spawn(adopt(inner.clone())), tokio::spawn(keep_consoles_short(Arc::downgrade(&inner)))];
        Ok(Self { inner, tasks })
    }

    fn guest(&self, id: InstanceId) -> Arc<Guest> {
        self.inner.guest(id)
    }
}

async fn adopt(inner: Arc<Inner>) {
    match inner.all_power().await {
        Ok(guests) => tracing::info!(guests = guests.len(), "{} guests are defined on this host", guests.len()),
        Err(e) => tracing::warn!("looking for guests: {e}"),
    }
}

async fn keep_consoles_short(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(CONSOLE_LOOK).await;
        let Some(inner) = inner.upgrade() else { return };
        let guests: Vec<Arc<Guest>> = inner.guests_now().values().cloned().collect();
        let keep = inner.config.console_keep_bytes;
        let look = move || {
            for guest in guests.iter().filter(|g| g.known().is_some()) {
                if let Err(e) = console::cut(&guest.files, keep) {
                    tracing::warn!(instance = %guest.id, "guest {}: shortening its console log: {e}", guest.id);
                }
            }
        };
        // only a panic or the end of the runtime
        let _ = tokio::task::spawn_blocking(look).await;
    }
}

fn whom_to_run_as(run_as: &RunAs) -> Result<Option<User>, DriverError> {
    let root = rustix::process::geteuid().is_root();
    let refused = |message: String| DriverError::Hypervisor { operation: "choosing QEMU's user".to_owned(), message };
    let look_up = |name: &str| match nix::unistd::User::from_name(name) {
        Ok(found) => Ok(found.map(|u| User { uid: u.uid.as_raw(), gid: u.gid.as_raw(), name: u.name })),
        Err(e) => Err(refused(format!("looking up {name}: {e}"))),
    };
    match run_as {
        RunAs::Ourselves => Ok(None),
        RunAs::Auto if !root => Ok(None),
        RunAs::Auto => {
            let user = look_up("skyiron")?.map_or_else(|| look_up("nobody"), |u| Ok(Some(u)))?;
            user.map(Some).ok_or_else(|| refused("there is neither a user skyiron nor nobody".to_owned()))
        }
        RunAs::User(name) => {
            let user = look_up(name)?.ok_or_else(|| refused(format!("there is no user {name}")))?;
            match rustix::process::geteuid().as_raw() {
                uid if uid == user.uid => Ok(None),
                0 => Ok(Some(user)),
                _ => Err(refused(format!("only root can run guests as {name}"))),
            }
        }
    }
}

impl Inner {
    pub(crate) fn binary(&self) -> Result<PathBuf, DriverError> {
        host::find_binary(self.config.binary.as_deref(), std::env::var_os("PATH"))
    }

    /// Asked once; an upgrade of QEMU is noticed at the next start of this program.
    pub(crate) async fn host(&self) -> Result<&HostAbilities, DriverError> {
        let ask = || async { host::probe(&self.config, &self.binary()?, self.user.as_ref()).await };
        self.host.get_or_try_init(ask).await
    }

    fn guests_now(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, Arc<Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guest(&self, id: InstanceId) -> Arc<Guest> {
        let make = || Arc::new(Guest::new(id, GuestFiles::new(&self.config.instances_dir, id)));
        self.guests_now().entry(id).or_insert_with(make).clone()
    }

    /// After destroy, unless somebody else is at it: there must never be two `op` locks for one guest.
    pub(crate) fn forget(&self, guest: &Arc<Guest>) {
        let mut guests = self.guests_now();
        // the map's and our caller's
        if Arc::strong_count(guest) <= 2 {
            guests.remove(&guest.id);
        }
    }

    /// Guests with a definition.
    fn defined(&self) -> Result<Vec<InstanceId>, DriverError> {
        let dir = &self.config.instances_dir;
        let entries = fs::read_dir(dir).map_err(io_error("list", dir))?;
        let named = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(named.filter(|id| GuestFiles::new(dir, *id).definition().exists()).collect())
    }

    async fn all_power(&self) -> Result<Vec<GuestState>, DriverError> {
        let ask = |id| async move {
            let power = self.power_of(&self.guest(id)).await.unwrap_or_else(|e| {
                tracing::warn!(instance = %id, "guest {id}: {e}");
                // there is a process, or we would know better
                PowerState::Running
            });
            GuestState { id, power }
        };
        let all: Vec<GuestState> =
            futures_util::stream::iter(self.defined()?).map(ask).buffer_unordered(AT_ONCE).collect().await;
        Ok(all.into_iter().filter(|g| g.power != PowerState::NoState).collect())
    }
}

#[async_trait]
impl Driver for Qemu {
    fn abilities(&self) -> Abilities {
        Abilities { disks: true }
    }
    async fn facts(&self) -> Result<HostFacts, DriverError> {
        facts::facts(&self.inner.config, self.inner.host().await?)
    }
    /// A guest whose process does not answer counts as running here; [`Driver::power`] says what is wrong with it.
    async fn guests(&self) -> Result<Vec<GuestState>, DriverError> {
        self.inner.all_power().await
    }
    async fn power(&self, id: InstanceId) -> Result<PowerState, DriverError> {
        let guest = self.guest(id);
        let power = self.inner.power_of(&guest).await;
        if matches!(power, Ok(PowerState::NoState)) {
            self.inner.forget(&guest);
        }
        power
    }
    async fn spawn(&self, guest: &GuestSpec) -> Result<(), DriverError> {
        self.inner.spawn(&self.guest(guest.id), guest).await
    }
    async fn start(&self, id: InstanceId) -> Result<(), DriverError> {
        self.inner.start(&self.guest(id)).await
    }
    async fn stop(&self, id: InstanceId, grace: Duration) -> Result<(), DriverError> {
        self.inner.stop(&self.guest(id), grace).await
    }
    async fn reboot(&self, id: InstanceId, hard: bool, grace: Duration) -> Result<(), DriverError> {
        self.inner.reboot(&self.guest(id), hard, grace).await
    }
    async fn pause(&self, id: InstanceId) -> Result<(), DriverError> {
        self.inner.pause(&self.guest(id)).await
    }
    async fn unpause(&self, id: InstanceId) -> Result<(), DriverError> {
        self.inner.unpause(&self.guest(id)).await
    }
    async fn suspend(&self, id: InstanceId) -> Result<(), DriverError> {
        self.inner.suspend(&self.guest(id)).await
    }
    async fn resume(&self, id: InstanceId) -> Result<(), DriverError> {
        self.inner.resume(&self.guest(id)).await
    }
    async fn destroy(&self, id: InstanceId) -> Result<(), DriverError> {
        self.inner.destroy(&self.guest(id)).await
    }
    async fn console(&self, id: InstanceId, limit_bytes: u64) -> Result<Option<Vec<u8>>, DriverError> {
        let guest = self.guest(id);
        let read = move || console::read(&guest, limit_bytes);
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|e| {
            Err(DriverError::Hypervisor { operation: "reading the console".to_owned(), message: e.to_string() })
        })
    }
    async fn diagnostics(&self, id: InstanceId) -> Result<Diagnostics, DriverError> {
        self.inner.diagnostics(&self.guest(id)).await
    }
    async fn changed(&self) -> InstanceId {
        self.inner.changes.next().await
    }
}
