//! An image service at a URL, ours or any other, and a client of it that costs as little as it can.

use super::cloud::{Cloud, processor_seconds};
use super::upload::PIECE;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

pub(crate) struct ImageService {
    /// Host and port.
    address: String,
    /// What its paths begin with: empty, or `/image`.
    prefix: String,
    token: String,
    /// Its processes; their children count, too.
    pids: Vec<u32>,
    http: reqwest::blocking::Client,
}

impl ImageService {
    pub(crate) fn of(cloud: &Cloud) -> Self {
        Self {
            address: cloud.address.clone(),
            prefix: "/image".into(),
            token: cloud.token.clone(),
            pids: vec![cloud.pid()],
            http: cloud.http.clone(),
        }
    }

    /// `url` as catalogs have it, without a version.
    pub(crate) fn at(url: &str, token: String, pids: Vec<u32>, http: reqwest::blocking::Client) -> Result<Self> {
        let rest = url.strip_prefix("http://").context("only http:// is measured")?.trim_end_matches('/');
        let (address, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Ok(Self { address: address.into(), prefix: prefix.into(), token, pids, http })
    }

    fn path(&self, image: &str) -> String {
        format!("{}/v2/images/{image}", self.prefix)
    }

    /// A record that takes raw data; returns its id.
    pub(crate) fn create(&self) -> Result<String> {
        let body = json!({"name": "big", "disk_format": "raw", "container_format": "bare", "os_distro": "debian",
                          "os_version": "13", "hw_disk_bus": "virtio"});
        let request = self.http.post(format!("http://{}{}/v2/images", self.address, self.prefix)).json(&body);
        let made: Value = request.header("x-auth-token", &self.token).send()?.error_for_status()?.json()?;
        Ok(made["id"].as_str().context("an id")?.to_owned())
    }

    pub(crate) fn delete(&self, image: &str) -> Result<()> {
        let request = self.http.delete(format!("http://{}{}", self.address, self.path(image)));
        request.header("x-auth-token", &self.token).send()?.error_for_status()?;
        Ok(())
    }

    fn ask(&self, method: &str, image: &str, headers: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "{method} {}/file HTTP/1.1\r\nhost: {}\r\nx-auth-token: {}\r\n{headers}connection: close\r\n\r\n",
            self.path(image),
            self.address,
            self.token
        )?;
        Ok(stream)
    }

    /// PUT of the piece again and again, straight from memory.
    pub(crate) fn upload(&self, image: &str, piece: &[u8], size: u64) -> Result<()> {
        let headers = format!("content-type: application/octet-stream\r\ncontent-length: {size}\r\n");
        let mut stream = self.ask("PUT", image, &headers)?;
        for _ in 0..size / PIECE as u64 {
            stream.write_all(piece)?;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if !answer.starts_with("HTTP/1.1 204") {
            bail!("the upload was answered: {answer}");
        }
        Ok(())
    }

    pub(crate) fn download(&self, image: &str, size: u64) -> Result<()> {
        let came = drained(self.ask("GET", image, "")?)?;
        if !(size..size + 4096).contains(&came) {
            bail!("{came} bytes came");
        }
        Ok(())
    }

    /// `None`: its processes are not known.
    pub(crate) fn processor_seconds(&self) -> Result<Option<f64>> {
        let mut all = self.pids.clone();
        for entry in std::fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse() else { continue };
            if !all.contains(&pid) && parent(pid).is_some_and(|p| self.pids.contains(&p)) {
                all.push(pid);
            }
        }
        if all.is_empty() {
            return Ok(None);
        }
        all.iter().map(|pid| processor_seconds(*pid)).sum::<Result<f64>>().map(Some)
    }
}

/// `None`: it has ended.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// How many bytes come until the end.
pub(crate) fn drained(mut stream: TcpStream) -> Result<u64> {
    let (mut buffer, mut came) = (vec![0; PIECE], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(came),
            some => came += some as u64,
        }
    }
}
