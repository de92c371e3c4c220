//! A private NATS server on one host.

use super::net::Host;
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
    child: Option<Child>,
}

const PORT: u16 = 4222;

impl Broker {
    pub(super) fn start(host: &Host, folder: &Path) -> Result<Self> {
        let address: SocketAddr = format!("{}:{PORT}", host.address).parse()?;
        let mut me = Self {
            url: format!("nats://skyiron:secret@{address}"),
            address,
            space: host.space.clone(),
            log: folder.join("nats.log"),
            child: None,
        };
        me.start_again()?;
        Ok(me)
    }

    pub fn start_again(&mut self) -> Result<()> {
        let log = || std::fs::File::options().create(true).append(true).open(&self.log);
        let child = Command::new("ip")
            .args(["netns", "exec", &self.space, "nats-server", "--user", "skyiron", "--pass", "secret"])
            .args(["--addr", &self.address.ip().to_string(), "--port", &PORT.to_string()])
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .spawn()
            .context("ip netns exec")?;
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err() {
            if started.elapsed() > Duration::from_secs(20) {
                bail!("nats-server: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// SIGKILL: all messages are lost until it is started again.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("NATS does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.child.is_some()
            && let Err(error) = self.kill()
        {
            eprintln!("NATS of the cluster: {error:#}");
        }
    }
}
