//! The cloud's public API, spoken to as any client would.

use crate::{BOOT, SOON, until};
use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// An answer, unless the process died on the way to it: what was asked for may have been done all the same.
pub fn unless_cut<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.downcast_ref::<reqwest::Error>().is_some_and(|e| e.status().is_none()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Its admin, logged in.
pub struct Client {
    pub url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Client {
    /// Speaks to the cloud at `url`; not logged in yet.
    pub fn of(url: String) -> Result<Self> {
        let http = platform_http::client().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { url, http, token: String::new() })
    }

    /// Becomes the admin.
    pub async fn become_admin(&mut self, password: &str) -> Result<()> {
        self.token = self.login("admin", password, "admin").await?;
        Ok(())
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// Another one that is logged in as this one is.
    pub fn another_client(&self) -> Result<Self> {
        Ok(Self { token: self.token.clone(), ..Self::of(self.url.clone())? })
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
        let retry_after = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let text = answer.text().await?;
        Ok(Answer { status, retry_after, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
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
        self.put_bytes(&format!("image/v2/images/{image}/file"), bytes).await
    }

    /// Bytes as they are.
    pub async fn put_bytes(&self, path: &str, bytes: Vec<u8>) -> Result<StatusCode> {
        let answer = self
            .http
            .put(format!("{}/{path}", self.url))
            .header("x-auth-token", &self.token)
            .header("content-type", "application/octet-stream")
            .body(bytes)
            .send()
            .await?;
        Ok(answer.status())
    }

    /// Changes an image's record by a JSON patch.
    pub async fn patch_image(&self, image: &str, patch: &Value) -> Result<StatusCode> {
        let answer = self
            .http
            .patch(format!("{}/image/v2/images/{image}", self.url))
            .header("x-auth-token", &self.token)
            .header("content-type", "application/openstack-images-v2.1-json-patch")
            .body(patch.to_string())
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

    /// As [`Self::call`], at a microversion of compute: 2.`minor`.
    pub async fn call_at(&self, minor: u16, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let version = format!("compute 2.{minor}");
        self.call_as(&self.token, method, path, body, &[("openstack-api-version", &version)]).await
    }

    pub async fn action_at(&self, server: &str, minor: u16, body: Value) -> Result<Answer> {
        self.call_at(minor, Method::POST, &format!("/compute/v2.1/servers/{server}/action"), Some(&body)).await
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
