//! Hosts as network namespaces on one bridge.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// All names and addresses begin with a number of this network's own, so that several can be on one machine.
#[derive(Debug)]
pub struct Net {
    tag: String,
    /// `10.x.y`
    subnet: String,
    hosts: Vec<Host>,
}

#[derive(Clone, Debug)]
pub struct Host {
    /// `ctl1`
    pub name: String,
    /// The namespace's.
    pub space: String,
    pub address: String,
    /// The machine's end of its cable.
    cable: String,
}

fn ip(arguments: &[&str]) -> Result<Output> {
    let out = Command::new("ip").args(arguments).output().context("ip (apt-get install iproute2)")?;
    if !out.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(out)
}

impl Net {
    pub fn make() -> Result<Self> {
        for _ in 0..20 {
            let n = u16::from_be_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().context("two bytes")?);
            let (x, y) = (128 + n / 256 % 64, n % 256);
            let net = Self { tag: format!("sky{x:02x}{y:02x}"), subnet: format!("10.{x}.{y}"), hosts: Vec::new() };
            if ip(&["link", "add", &net.tag, "type", "bridge"]).is_err() {
                // somebody has that number
                std::mem::forget(net);
                continue;
            }
            ip(&["address", "add", &format!("{}/24", net.gateway()), "dev", &net.tag])?;
            ip(&["link", "set", &net.tag, "up"])?;
            return Ok(net);
        }
        bail!("no free network for a cluster")
    }

    /// The machine's own address.
    pub(super) fn gateway(&self) -> String {
        format!("{}.1", self.subnet)
    }

    /// A new host with an address of its own.
    pub fn host(&mut self, name: &str) -> Result<Host> {
        let n = self.hosts.len() + 2;
        let host = Host {
            name: name.to_owned(),
            space: format!("{}-{name}", self.tag),
            address: format!("{}.{n}", self.subnet),
            cable: format!("{}v{n}", self.tag),
        };
        ip(&["netns", "add", &host.space])?;
        self.hosts.push(host.clone());
        ip(&["link", "add", &host.cable, "type", "veth", "peer", "name", "eth0", "netns", &host.space])?;
        ip(&["link", "set", &host.cable, "master", &self.tag, "up"])?;
        ip(&["-n", &host.space, "address", "add", &format!("{}/24", host.address), "dev", "eth0"])?;
        ip(&["-n", &host.space, "link", "set", "eth0", "up"])?;
        ip(&["-n", &host.space, "link", "set", "lo", "up"])?;
        Ok(host)
    }

    /// From now on what is started on the hosts there are finds `host` by that name.
    pub(super) fn name(&self, name: &str, host: &Host) -> Result<()> {
        for other in &self.hosts {
            // `ip netns exec` puts what is there in the place of /etc/hosts
            let folder = names_of(other);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("hosts"), format!("127.0.0.1 localhost\n{} {name}\n", host.address))?;
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<&Host> {
        self.hosts.iter().find(|h| h.name == name).with_context(|| format!("no host {name}"))
    }

    /// Runs a program on a host to its end.
    pub fn run(&self, host: &str, program: &Path, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.find(host)?.space]).arg(program).args(arguments);
        command.output().with_context(|| program.display().to_string())
    }

    /// Pulls a host's cable, or puts it back.
    pub fn cable(&self, host: &str, plugged: bool) -> Result<()> {
        let state = if plugged { "up" } else { "down" };
        ip(&["link", "set", &self.find(host)?.cable, state]).map(drop)
    }

    /// From now on `host` cannot reach that port of anybody, and knows it at once.
    pub fn block(&self, host: &str, port: u16) -> Result<()> {
        let host = self.find(host)?;
        let rules = format!(
            "add table inet wall\nadd chain inet wall out {{ type filter hook output priority 0; }}\n\
             add rule inet wall out tcp dport {port} reject with tcp reset\n"
        );
        let mut child = Command::new("ip")
            .args(["netns", "exec", &host.space, "nft", "-f", "-"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .context("nft (apt-get install nftables)")?;
        std::io::Write::write_all(&mut child.stdin.take().context("a pipe")?, rules.as_bytes())?;
        if !child.wait()?.success() {
            bail!("{}: port {port} cannot be blocked", host.name);
        }
        Ok(())
    }

    /// Whether something on `from` gets a connection to that port of `to`.
    pub fn reaches(&self, from: &str, to: &str, port: u16) -> Result<bool> {
        let (from, to) = (self.find(from)?, self.find(to)?);
        let tried = Command::new("ip")
            .args(["netns", "exec", &from.space, "timeout", "3", "bash", "-c"])
            .arg(format!("exec 3<>/dev/tcp/{}/{port}", to.address))
            .stderr(std::process::Stdio::null())
            .status()?;
        Ok(tried.success())
    }

    /// SIGKILL to everything that runs in the namespaces, guests too; returns when it is gone.
    pub fn end_processes(&self) {
        self.end_processes_but("");
    }

    /// The same, but on one host.
    pub(super) fn end_processes_but(&self, spared: &str) {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            let pids: Vec<i32> = self.hosts.iter().filter(|h| h.name != spared).flat_map(pids).collect();
            if pids.is_empty() {
                return;
            }
            for pid in pids {
                // it may have ended meanwhile
                let _ended = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("processes are left in the namespaces of {}", self.tag);
    }
}

fn names_of(host: &Host) -> PathBuf {
    Path::new("/etc/netns").join(&host.space)
}

/// Processes on a host, but those that have ended and are only waited for.
fn pids(host: &Host) -> Vec<i32> {
    let out = ip(&["netns", "pids", &host.space]).map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let all = out.unwrap_or_default();
    let is_alive = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    all.lines().filter_map(|l| l.trim().parse().ok()).filter(is_alive).collect()
}

impl Drop for Net {
    fn drop(&mut self) {
        self.end_processes();
        for host in &self.hosts {
            if let Err(error) = ip(&["netns", "delete", &host.space]) {
                eprintln!("{error:#}");
            }
            let names = names_of(host);
            if names.exists()
                && let Err(error) = std::fs::remove_dir_all(&names)
            {
                eprintln!("{}: {error}", names.display());
            }
        }
        if let Err(error) = ip(&["link", "delete", &self.tag]) {
            eprintln!("{error:#}");
        }
    }
}
