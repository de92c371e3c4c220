//! One role of the cloud as a process on one host.

use super::net::Host;
use crate::SOON;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

#[derive(Debug)]
pub struct Process {
    pub(super) binary: PathBuf,
    pub role: String,
    pub(super) host: Host,
    pub(super) port: u16,
    /// What it is started with.
    pub(super) arguments: Vec<String>,
    pub(super) data: PathBuf,
    /// `SKYIRON_FAULTS` of the next start.
    pub faults: String,
    /// Variables of the next start.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) child: Option<Child>,
}

/// A process on its way to being ready.
pub(super) struct Starting {
    what: String,
    log: PathBuf,
    line: JoinHandle<std::io::Result<String>>,
}

impl Starting {
    /// Whether it is known how it went.
    pub(super) fn has_told(&self) -> bool {
        self.line.is_finished()
    }

    /// Whether it is ready; else it has ended.
    pub(super) async fn became_ready(self) -> Result<bool> {
        Ok(!self.line.await??.trim().is_empty())
    }

    pub(super) async fn wait(self) -> Result<()> {
        let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
        let Ok(line) = tokio::time::timeout(SOON, self.line).await else {
            bail!("{} did not become ready: {}", self.what, log());
        };
        if line??.trim().is_empty() {
            bail!("{} ended at once: {}", self.what, log());
        }
        Ok(())
    }
}

impl Process {
    fn log_file(&self) -> PathBuf {
        self.data.with_extension("log")
    }
    fn struck_file(&self) -> PathBuf {
        self.data.with_extension("struck")
    }
    /// Where its listener is.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.host.address, self.port)
    }
    pub fn pid(&self) -> Result<Pid> {
        let child = self.child.as_ref().with_context(|| format!("{} does not run", self.role))?;
        Ok(Pid::from_raw(child.id().cast_signed()))
    }
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }
    /// Whether it was started and has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(false),
        }
    }
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
    /// Names of the fault points that have struck in it so far.
    pub fn struck(&self) -> Vec<String> {
        std::fs::read_to_string(self.struck_file()).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    pub(super) fn spawn(&mut self) -> Result<Starting> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.host.space]).arg(&self.binary).args(&self.arguments);
        command.envs(&self.environment);
        if !self.faults.is_empty() {
            command.env("SKYIRON_FAULTS", &self.faults).env("SKYIRON_FAULTS_LOG", self.struck_file());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().context("ip netns exec")?;
        let out = child.stdout.take().context("a pipe")?;
        self.child = Some(child);
        // the first line comes when it is ready
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line)
        });
        Ok(Starting { what: format!("{}@{}", self.role, self.host.name), log: self.log_file(), line })
    }

    /// Returns when it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?.wait().await
    }

    /// The program that runs, as the kernel has it.
    pub(super) fn program(&self) -> Result<PathBuf> {
        let pid = self.pid()?;
        std::fs::read_link(format!("/proc/{pid}/exe")).with_context(|| format!("the program of {}", self.role))
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid()?, signal).with_context(|| format!("{signal} to {}", self.role))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.reap();
        Ok(())
    }

    /// SIGTERM, and how long it took to end.
    pub async fn terminate(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.signal(Signal::SIGTERM)?;
        self.until_ended().await?;
        Ok(started.elapsed())
    }

    /// Waits until it has ended by itself or by a signal.
    pub async fn until_ended(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        let wait = tokio::task::spawn_blocking(move || child.wait());
        tokio::time::timeout(SOON, wait).await.with_context(|| format!("{} lives on", self.role))???;
        Ok(())
    }

    /// SIGSTOP: it stands still, and knows nothing of it.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Waits for a process that was killed.
    pub(super) fn reap(&mut self) {
        if let Some(mut child) = self.child.take()
            && let Err(error) = child.kill().and_then(|()| child.wait())
        {
            eprintln!("{} cannot be ended: {error}", self.role);
        }
    }
}
