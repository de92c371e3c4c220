//! A private NATS server on one host.

use super::documented::Documented;
use super::net::Host;
use super::passage::Passage;
use anyhow::{Context, Result, bail};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Broker {
    /// What `bus.url` is.
    pub url: String,
    address: SocketAddr,
    space: String,
    log: PathBuf,
    /// Its configuration, where that is the documentation's.
    file: Option<PathBuf>,
    child: Option<Child>,
}

const PORT: u16 = 4222;
/// Where it tells who is connected.
const MONITOR: u16 = 8222;

impl Broker {
    /// With one user and no TLS; or as the documentation has it.
    pub(super) fn start(host: &Host, folder: &Path, documented: Option<&Documented>) -> Result<Self> {
        let file = documented.map(|d| d.nats(folder)).transpose()?;
        let address: SocketAddr = format!("{}:{PORT}", host.address).parse()?;
        let mut me = Self {
            url: format!("nats://skyiron:secret@{address}"),
            address,
            space: host.space.clone(),
            log: folder.join("nats.log"),
            file,
            child: None,
        };
        me.start_again()?;
        Ok(me)
    }

    pub fn start_again(&mut self) -> Result<()> {
        let log = || std::fs::File::options().create(true).append(true).open(&self.log);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space, "nats-server"]);
        match &self.file {
            Some(file) => command.arg("--config").arg(file).args(["--http_port", &MONITOR.to_string()]),
            None => command.args(["--user", "skyiron", "--pass", "secret"]).args([
                "--addr",
                &self.address.ip().to_string(),
                "--port",
                &PORT.to_string(),
            ]),
        };
        let child = command.stdin(Stdio::null()).stdout(log()?).stderr(log()?).spawn().context("ip netns exec")?;
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err() {
            if started.elapsed() > Duration::from_secs(20) {
                bail!("nats-server: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Who is started from now on reaches it through what this gives, which is at that address.
    pub(super) fn behind_a_passage(&mut self, at: &str) -> Result<Passage> {
        let passage = Passage::open(at, self.address)?;
        self.url = self.url.replace(&self.address.to_string(), &passage.address.to_string());
        Ok(passage)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it tells who is connected, if it is the documentation's.
    pub fn monitor(&self) -> String {
        format!("http://{}:{MONITOR}", self.address.ip())
    }

    /// SIGKILL: all messages are lost until it is started again.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("NATS does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Waits for what was killed by others.
    pub(super) fn reap(&mut self) {
        if self.child.is_some()
            && let Err(error) = self.kill()
        {
            eprintln!("NATS of the cluster: {error:#}");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.reap();
    }
}
