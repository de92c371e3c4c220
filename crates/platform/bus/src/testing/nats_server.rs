//! A NATS server of its own for a test, on a free port of the loopback interface.

use crate::Settings;
use base::Secret;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Debian puts the server where a user's PATH does not reach.
const PROGRAMS: &[&str] = &["nats-server", "/usr/sbin/nats-server"];
const START_PATIENCE: Duration = Duration::from_secs(20);

/// Ends with its drop.
pub struct NatsServer {
    program: &'static str,
    process: Option<Child>,
    folder: TempDir,
    port: u16,
}

impl NatsServer {
    /// `None`, with a line that says so, if the machine has no `nats-server`.
    pub fn start() -> Option<Self> {
        Self::configured("")
    }

    /// With lines of the server's own configuration.
    pub fn configured(lines: &str) -> Option<Self> {
        let there = |program: &&&str| Command::new(program).arg("--version").output().is_ok();
        let Some(program) = PROGRAMS.iter().find(there) else {
            eprintln!("skipped: no nats-server on this machine (apt-get install nats-server)");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("nats.conf"), lines).expect("the configuration is written");
        let mut server = Self { program, process: None, folder, port: 0 };
        server.run();
        Some(server)
    }

    fn run(&mut self) {
        let path = |name: &str| self.folder.path().join(name);
        let log = || File::options().create(true).append(true).open(path("log")).expect("a log file");
        // -1: a free port, which the server then writes down
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let process = Command::new(self.program)
            .arg("--config")
            .arg(path("nats.conf"))
            .args(["--addr", "127.0.0.1", "--port", &port, "--ports_file_dir"])
            .arg(self.folder.path())
            .stdout(log())
            .stderr(log())
            .stdin(Stdio::null())
            .spawn()
            .expect("nats-server starts");
        let ports = path(&format!("nats-server_{}.ports", process.id()));
        self.process = Some(process);
        let started = Instant::now();
        self.port = loop {
            if let Some(port) = port_in(&ports) {
                break port;
            }
            let ended = self.process.as_mut().is_some_and(|p| p.try_wait().is_ok_and(|status| status.is_some()));
            if ended || started.elapsed() > START_PATIENCE {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                panic!("nats-server does not serve:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn settings(&self) -> Settings {
        Settings { url: Secret::new(self.url()), ..Settings::default() }
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let ended = process.kill().and_then(|()| process.wait());
            ended.expect("the server ends");
        }
    }

    /// On the same port.
    pub fn start_again(&mut self) {
        self.kill();
        self.run();
    }
}

/// The file holds `{"nats": ["nats://127.0.0.1:PORT"], …}`, with `tls://` where that is required.
fn port_in(file: &Path) -> Option<u16> {
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    told.get("nats")?.get(0)?.as_str()?.rsplit(':').next()?.parse().ok()
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
