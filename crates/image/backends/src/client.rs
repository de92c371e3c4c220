//! HTTP clients of stores' servers. They follow no redirects: what is asked for is where the operator said.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A server that does not take a connection for so long is away, whatever else it may take its time for.
const CONNECT: Duration = Duration::from_secs(5);

/// How a store's servers are asked.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// How long an answer may be silent.
    pub timeout: Duration,
    /// PEM file of authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// Two clients of the same servers.
#[derive(Clone, Debug)]
pub struct Clients {
    /// For requests that are short: it gives up when nothing comes for a while.
    pub asking: reqwest::Client,
    /// For requests that take as long as their size says. Each has a time of its own.
    pub sending: reqwest::Client,
}

impl Clients {
    pub fn open(settings: &ClientSettings) -> io::Result<Self> {
        Ok(Self { asking: client(settings)?, sending: build(settings, None)? })
    }
}

/// One that gives up when nothing comes for a while.
pub fn client(settings: &ClientSettings) -> io::Result<reqwest::Client> {
    build(settings, Some(settings.timeout))
}

fn build(settings: &ClientSettings, read_timeout: Option<Duration>) -> io::Result<reqwest::Client> {
    let mut client = platform_http::client()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT.min(settings.timeout));
    if let Some(timeout) = read_timeout {
        client = client.read_timeout(timeout);
    }
    for authority in authorities(settings)? {
        client = client.add_root_certificate(authority);
    }
    client.build().map_err(io::Error::other)
}

fn authorities(settings: &ClientSettings) -> io::Result<Vec<reqwest::Certificate>> {
    let Some(file) = &settings.ca_file else { return Ok(Vec::new()) };
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| invalid(e.to_string()))?;
    if found.is_empty() { Err(invalid("there is no certificate in it".to_owned())) } else { Ok(found) }
}
