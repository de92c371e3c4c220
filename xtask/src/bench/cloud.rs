//! A cloud under measurement.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Cloud {
    process: Child,
    pub address: String,
    pub token: String,
    pub data: PathBuf,
    pub http: reqwest::blocking::Client,
}

impl Cloud {
    /// `cpu`: run on this processor only.
    pub(crate) fn start(binary: &Path, data: &Path, arguments: &[&str], cpu: Option<u32>) -> Result<Self> {
        let mut command = match cpu {
            Some(n) => {
                let mut c = Command::new("taskset");
                c.args(["-c", &n.to_string()]).arg(binary);
                c
            }
            None => Command::new(binary),
        };
        command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(arguments);
        let log = std::fs::File::create(data.with_extension("log"))?;
        let mut process = command.env("RUST_LOG", "warn").stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().context("a pipe")?).read_line(&mut url)?;
        let Some(address) = url.trim().strip_prefix("http://") else { bail!("the cloud ended at once") };
        // installs what TLS is made of, for every kind of client
        let _as_a_blocking_one = platform_http::client();
        let http = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(600)).build()?;
        let mut cloud =
            Self { process, address: address.to_owned(), token: String::new(), data: data.to_owned(), http };
        cloud.token = cloud.log_in()?;
        Ok(cloud)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn log_in(&self) -> Result<String> {
        let password = std::fs::read_to_string(self.data.join("admin-password"))?;
        token(&self.http, &self.url("/identity/v3"), "admin", &password, "admin")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        Ok(self.http.get(self.url(path)).header("x-auth-token", &self.token).send()?.error_for_status()?.json()?)
    }

    pub(crate) fn text(&self, path: &str) -> Result<String> {
        Ok(self.http.get(self.url(path)).send()?.error_for_status()?.text()?)
    }

    /// Compute hosts that ask for work.
    pub(crate) fn hosts_up(&self) -> Result<usize> {
        let services = self.get("/compute/v2.1/os-services?binary=nova-compute")?;
        Ok(services["services"].as_array().into_iter().flatten().filter(|s| s["state"] == "up").count())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(self.url(path)).header("x-auth-token", &self.token).json(body);
        Ok(request.send()?.error_for_status()?.json()?)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<()> {
        self.http.put(self.url(path)).header("x-auth-token", &self.token).json(body).send()?.error_for_status()?;
        Ok(())
    }

    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        self.http.delete(self.url(path)).header("x-auth-token", &self.token).send()?.error_for_status()?;
        Ok(())
    }

    pub(crate) fn upload(&self, image: &str, body: impl Into<reqwest::blocking::Body>) -> Result<()> {
        let request = self.http.put(self.url(&format!("/image/v2/images/{image}/file")));
        let request = request.header("x-auth-token", &self.token).header("content-type", "application/octet-stream");
        request.body(body).send()?.error_for_status()?;
        Ok(())
    }

    /// An image of 64 KiB of zeros: simulated hosts do not look at it.
    pub(crate) fn blank_image(&self) -> Result<String> {
        let record = json!({"name": "blank", "disk_format": "raw", "container_format": "bare"});
        let id = self.post("/image/v2/images", &record)?["id"].as_str().context("an id")?.to_owned();
        self.upload(&id, vec![0; 65536])?;
        Ok(id)
    }

    pub(crate) fn flavor(&self, name: &str) -> Result<String> {
        let all = self.get("/compute/v2.1/flavors")?;
        let found = all["flavors"].as_array().into_iter().flatten().find(|f| f["name"] == name);
        Ok(found.and_then(|f| f["id"].as_str()).context("the flavor")?.to_owned())
    }

    /// No limits for the admin's project.
    pub(crate) fn unlimited(&self) -> Result<()> {
        let project = &self.get("/identity/v3/projects?name=admin")?["projects"][0]["id"];
        let path = format!("/compute/v2.1/os-quota-sets/{}", project.as_str().context("a project")?);
        self.put(&path, &json!({"quota_set": {"instances": -1, "cores": -1, "ram": -1}}))
    }

    /// Resident memory in MiB, now and at its highest.
    pub(crate) fn memory(&self) -> Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).map(|kib| kib / 1024.0)
        };
        Ok((mib("VmRSS:").context("VmRSS")?, mib("VmHWM:").context("VmHWM")?))
    }

    /// From now on the highest memory is that since now: hashing the login's password took 64 MiB for a moment.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5")?)
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        processor_seconds(self.pid())
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        end(&mut self.process)
    }
}

/// A token of the domain `default`, for a project of it. `identity` is a URL that ends in `/v3`.
pub(crate) fn token(
    http: &reqwest::blocking::Client,
    identity: &str,
    username: &str,
    password: &str,
    project: &str,
) -> Result<String> {
    let domain = json!({"id": "default"});
    let user = json!({"name": username, "domain": domain, "password": password});
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": project, "domain": domain}}}});
    let url = format!("{}/auth/tokens", identity.trim_end_matches('/'));
    let answer = http.post(url).json(&body).send()?.error_for_status()?;
    Ok(answer.headers().get("x-subject-token").context("a token")?.to_str()?.to_owned())
}

/// Seconds of processor time that a process has used.
pub(crate) fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Err(e) = end(&mut self.process) {
            eprintln!("the cloud cannot be ended: {e}");
        }
    }
}

fn end(process: &mut Child) -> Result<()> {
    if process.try_wait()?.is_none() {
        Command::new("kill").arg(process.id().to_string()).status()?;
        process.wait()?;
    }
    Ok(())
}

/// Asks until the answer is yes.
pub(crate) fn until(limit: Duration, what: &str, mut ask: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !ask()? {
        if started.elapsed() > limit {
            bail!("{what} did not happen within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
