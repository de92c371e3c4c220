//! The whole binary under test: started on a folder of its own and a free port, spoken to as any client would, killed
//! and started again at will. [`cluster`] is the same by roles: many processes on hosts of their own.

mod client;
pub mod cluster;

pub use client::{Answer, Client, unless_cut};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that does not boot a guest.
pub const SOON: Duration = Duration::from_secs(30);
/// Longest wait for a guest under emulation.
pub const BOOT: Duration = Duration::from_secs(180);

/// How the cloud is started.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Simulated hosts; 0: the real one.
    pub fake_hosts: u32,
    /// `SKYIRON_FAULTS`.
    pub faults: String,
    /// Further configuration, TOML.
    pub config: String,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Files of the data folder before the first start: name and text.
    pub files: Vec<(String, String)>,
}

pub struct World {
    /// Kept after a failed test if `SKYIRON_TEST_KEEP` is set.
    folder: tempfile::TempDir,
    setup: Setup,
    process: Option<Child>,
    client: Client,
}

impl std::ops::Deref for World {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The binary beside the tests: `./test` builds it first.
pub fn binary() -> PathBuf {
    let mut path = std::env::current_exe().expect("the test's own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("skyiron")
}

impl World {
    pub async fn start(setup: Setup) -> Result<Self> {
        Self::start_on(setup, |_| Ok(())).await
    }

    /// `prepare` is given the empty data folder.
    pub async fn start_on(setup: Setup, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("skyiron-test-").tempdir()?;
        // guests run as another user and must reach their files
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
        let mut world = Self { folder, setup, process: None, client: Client::of(String::new())? };
        std::fs::create_dir_all(world.data())?;
        for (name, text) in &world.setup.files {
            std::fs::write(world.data().join(name), text)?;
        }
        prepare(&world.data())?;
        world.launch().await?;
        Ok(world)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
    fn struck_log(&self) -> PathBuf {
        self.folder.path().join("struck")
    }

    /// Names of the fault points that have struck so far.
    pub fn struck(&self) -> Vec<String> {
        std::fs::read_to_string(self.struck_log()).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    async fn launch(&mut self) -> Result<()> {
        let config = self.folder.path().join("skyiron.toml");
        std::fs::write(&config, &self.setup.config)?;
        let log = std::fs::File::create(self.folder.path().join(format!("log.{}", std::process::id())))?;
        let listen = match self.url.strip_prefix("http://") {
            Some(address) => address.to_owned(),
            None => "127.0.0.1:0".to_owned(),
        };
        let mut command = Command::new(binary());
        command.arg("up").arg("--data").arg(self.data()).arg("--listen").arg(listen).arg("--config").arg(config);
        if self.setup.fake_hosts > 0 {
            command.arg("--fake-hosts").arg(self.setup.fake_hosts.to_string());
        }
        command.envs(self.setup.environment.iter().cloned());
        if !self.setup.faults.is_empty() {
            command.env("SKYIRON_FAULTS", &self.setup.faults).env("SKYIRON_FAULTS_LOG", self.struck_log());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().with_context(|| binary().display().to_string())?;
        let out = child.stdout.take().context("a pipe")?;
        // the first line says where it serves, and comes when it is ready
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(SOON, line).await.context("the cloud did not become ready")???;
        self.process = Some(child);
        self.client.url = line.trim().to_owned();
        if self.url.is_empty() {
            bail!("the cloud ended at once: {}", self.log());
        }
        let password = std::fs::read_to_string(self.data().join("admin-password"))?;
        self.client.become_admin(&password).await
    }

    /// What the process has logged.
    pub fn log(&self) -> String {
        let path = self.folder.path().join(format!("log.{}", std::process::id()));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// SIGKILL, as a power cut of the process.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.process.take() {
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL)?;
            child.wait()?;
        }
        Ok(())
    }

    /// Waits until the process has died by itself (a fault point).
    pub async fn until_dead(&mut self) -> Result<()> {
        let mut child = self.process.take().context("it does not run")?;
        let wait = tokio::task::spawn_blocking(move || child.wait());
        tokio::time::timeout(SOON, wait).await.context("the process lives on")???;
        Ok(())
    }

    /// Starts again on the same folder and port, with other faults.
    pub async fn restart(&mut self, faults: &str) -> Result<()> {
        self.kill()?;
        self.setup.faults = faults.to_owned();
        self.launch().await
    }

    /// From the next start on there are so many simulated hosts: those left out are silent.
    pub fn set_fake_hosts(&mut self, hosts: u32) {
        self.setup.fake_hosts = hosts;
    }

    /// SIGTERM, and how long the process took to end.
    pub async fn terminate(&mut self) -> Result<Duration> {
        let child = self.process.as_ref().context("it does not run")?;
        let started = Instant::now();
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?;
        self.until_dead().await?;
        Ok(started.elapsed())
    }

    /// Pids of the QEMU processes that run this server.
    pub fn qemus(&self, server: &str) -> Vec<i32> {
        qemus_of(server)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the cloud's log:\n{}", self.log());
        }
        if let Err(e) = self.kill() {
            eprintln!("the cloud cannot be ended: {e}");
        }
        // guests outlive the cloud on purpose, but not their test
        for entry in std::fs::read_dir(self.data().join("instances")).into_iter().flatten().flatten() {
            for pid in qemus_of(&entry.file_name().to_string_lossy()) {
                if let Err(e) = kill(Pid::from_raw(pid), Signal::SIGKILL) {
                    eprintln!("guest {pid} cannot be ended: {e}");
                }
            }
        }
        if std::thread::panicking() && std::env::var_os("SKYIRON_TEST_KEEP").is_some() {
            let kept =
                std::mem::replace(&mut self.folder, tempfile::TempDir::new().expect("a temporary folder")).keep();
            eprintln!("kept: {}", kept.display());
        }
    }
}

/// QEMU processes with this uuid in their command line.
fn qemus_of(uuid: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let Ok(line) = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line);
        if line.split('\0').next().is_some_and(|p| p.contains("qemu-system")) && line.contains(uuid) {
            found.push(pid);
        }
    }
    found
}

/// Asks again and again until the answer is yes. An error ends the wait.
pub async fn until(limit: Duration, mut ask: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !ask().await? {
        if started.elapsed() > limit {
            bail!("it did not happen within {limit:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
