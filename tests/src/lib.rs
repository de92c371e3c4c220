//! The whole binary under test: started on a folder of its own and a free port, spoken to as any client would, killed
//! and started again at will.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
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
}

pub struct World {
    /// Kept after a failed test if `SKYIRON_TEST_KEEP` is set.
    folder: tempfile::TempDir,
    setup: Setup,
    process: Option<Child>,
    pub url: String,
    http: reqwest::Client,
    token: String,
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

pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl World {
    pub async fn start(setup: Setup) -> Result<Self> {
        Self::start_on(setup, |_| Ok(())).await
    }

    /// `prepare` is given the name of the data folder before there is one.
    pub async fn start_on(setup: Setup, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("skyiron-test-").tempdir()?;
        // guests run as another user and must reach their files
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build()?;
        let mut world = Self { folder, setup, process: None, url: String::new(), http, token: String::new() };
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

    /// The admin's token of the last start.
    pub fn token(&self) -> &str {
        &self.token
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
        self.url = line.trim().to_owned();
        if self.url.is_empty() {
            bail!("the cloud ended at once: {}", self.log());
        }
        self.log_in().await
    }

    /// What the process has logged.
    pub fn log(&self) -> String {
        let path = self.folder.path().join(format!("log.{}", std::process::id()));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    async fn log_in(&mut self) -> Result<()> {
        let password = std::fs::read_to_string(self.data().join("admin-password"))?;
        self.token = self.login("admin", &password, "admin").await?;
        Ok(())
    }

    /// A project-scoped token.
    pub async fn login(&self, user: &str, password: &str, project: &str) -> Result<String> {
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user":
                {"name": user, "domain": {"id": "default"}, "password": password}}},
            "scope": {"project": {"name": project, "domain": {"id": "default"}}}}});
        let answer = self.http.post(format!("{}/identity/v3/auth/tokens", self.url)).json(&body).send().await?;
        if answer.status() != StatusCode::CREATED {
            bail!("login: {}", answer.status());
        }
        let token = answer.headers().get("x-subject-token").context("a token")?;
        Ok(token.to_str()?.to_owned())
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

    /// SIGTERM, and how long the process took to end.
    pub async fn terminate(&mut self) -> Result<Duration> {
        let child = self.process.as_ref().context("it does not run")?;
        let started = Instant::now();
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?;
        self.until_dead().await?;
        Ok(started.elapsed())
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.call_as(&self.token, method, path, body, &[]).await
    }

    pub async fn call_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).header("x-auth-token", token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    /// GET that must succeed.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let a = self.call(Method::GET, path, None).await?;
        if !a.status.is_success() {
            bail!("GET {path}: {}: {}", a.status, a.body);
        }
        Ok(a.body)
    }

    /// POST that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let a = self.call(Method::POST, path, Some(&body)).await?;
        if !a.status.is_success() {
            bail!("POST {path}: {}: {}", a.status, a.body);
        }
        Ok(a.body)
    }

    pub async fn upload(&self, image: &str, bytes: Vec<u8>) -> Result<StatusCode> {
        let answer = self
            .http
            .put(format!("{}/image/v2/images/{image}/file", self.url))
            .header("x-auth-token", &self.token)
            .header("content-type", "application/octet-stream")
            .body(bytes)
            .send()
            .await?;
        Ok(answer.status())
    }

    /// An active image with these bytes.
    pub async fn image(&self, name: &str, disk: &str, container: &str, bytes: Vec<u8>) -> Result<String> {
        let record = json!({"name": name, "disk_format": disk, "container_format": container});
        let made = self.post("/image/v2/images", record).await?;
        let id = made["id"].as_str().context("an id")?.to_owned();
        match self.upload(&id, bytes).await? {
            StatusCode::NO_CONTENT => Ok(id),
            other => bail!("upload: {other}"),
        }
    }

    /// The tiny guest, as an image of the cloud.
    pub async fn guest_image(&self) -> Result<String> {
        let made = tokio::task::spawn_blocking(|| guest::build(&guest::Options::default(), &mut |_| {})).await??;
        self.image("skyiron-guest", "qcow2", "bare", tokio::fs::read(made.qcow2).await?).await
    }

    /// The id of a flavor by its name.
    pub async fn flavor(&self, name: &str) -> Result<String> {
        let all = self.get("/compute/v2.1/flavors").await?;
        let found = all["flavors"].as_array().into_iter().flatten().find(|f| f["name"] == name);
        Ok(found.and_then(|f| f["id"].as_str()).context("the flavor")?.to_owned())
    }

    /// Asks for a server; `more` is merged into it.
    pub async fn server(&self, name: &str, image: &str, more: Value) -> Result<String> {
        let flavor = self.flavor("m1.tiny").await?;
        let mut server = json!({"name": name, "imageRef": image, "flavorRef": flavor});
        for (k, v) in more.as_object().into_iter().flatten() {
            server[k] = v.clone();
        }
        let made = self.post("/compute/v2.1/servers", json!({"server": server})).await?;
        Ok(made["server"]["id"].as_str().context("an id")?.to_owned())
    }

    pub async fn show(&self, server: &str) -> Result<Value> {
        Ok(self.get(&format!("/compute/v2.1/servers/{server}")).await?["server"].clone())
    }

    pub async fn action(&self, server: &str, body: Value) -> Result<Answer> {
        self.call(Method::POST, &format!("/compute/v2.1/servers/{server}/action"), Some(&body)).await
    }

    /// Waits until the server has this status and no task; ERROR where it is not wanted ends the wait.
    pub async fn until_status(&self, server: &str, status: &str) -> Result<Value> {
        let mut last = Value::Null;
        let found = until(SOON, async || {
            last = self.show(server).await?;
            if last["status"] == "ERROR" && status != "ERROR" {
                bail!("server is in ERROR: {}", last["fault"]);
            }
            Ok(last["status"] == status && last["OS-EXT-STS:task_state"].is_null())
        })
        .await;
        found.with_context(|| format!("waiting for {status}; last seen: {last}"))?;
        Ok(last)
    }

    /// Waits until the server is gone.
    pub async fn until_gone(&self, server: &str) -> Result<()> {
        let path = format!("/compute/v2.1/servers/{server}");
        until(SOON, async || {
            let a = self.call(Method::GET, &path, None).await?;
            let server = &a.body["server"];
            if server["status"] == "ERROR" && server["OS-EXT-STS:task_state"].is_null() {
                bail!("deletion ended in ERROR: {}", a.body["server"]["fault"]);
            }
            Ok(a.status == StatusCode::NOT_FOUND)
        })
        .await
    }

    pub async fn console(&self, server: &str) -> Result<String> {
        let a = self.action(server, json!({"os-getConsoleOutput": {}})).await?;
        if !a.status.is_success() {
            bail!("console: {}: {}", a.status, a.body);
        }
        Ok(a.body["output"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the guest has told this on its console.
    pub async fn until_console(&self, server: &str, text: &str) -> Result<String> {
        let mut output = String::new();
        let found = until(BOOT, async || {
            output = self.console(server).await?;
            Ok(output.contains(text))
        })
        .await;
        found.with_context(|| format!("waiting for {text:?} on the console; so far: {output}"))?;
        Ok(output)
    }

    /// Pids of the QEMU processes that run this server.
    pub fn qemus(&self, server: &str) -> Vec<i32> {
        qemus_of(server)
    }

    /// What placement says is allocated on all hosts, by resource class.
    pub async fn allocated(&self) -> Result<Vec<(String, u64)>> {
        let providers = self.get("/placement/resource_providers").await?;
        let mut sums = std::collections::BTreeMap::<String, u64>::new();
        for p in providers["resource_providers"].as_array().into_iter().flatten() {
            let id = p["uuid"].as_str().context("a uuid")?;
            let usages = self.get(&format!("/placement/resource_providers/{id}/usages")).await?;
            for (class, n) in usages["usages"].as_object().into_iter().flatten() {
                *sums.entry(class.clone()).or_default() += n.as_u64().unwrap_or(0);
            }
        }
        Ok(sums.into_iter().collect())
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
