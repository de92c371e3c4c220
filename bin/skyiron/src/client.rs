//! A client of the cloud's own public API, for the operator's commands.

use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub(crate) struct Client {
    http: reqwest::Client,
    token: String,
    /// Public endpoint of each service type.
    endpoints: BTreeMap<String, String>,
}

impl Client {
    /// Logs in with what `clouds.yaml` beside the data says.
    pub(crate) async fn from_data(data: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(data.join("openrc"))
            .with_context(|| format!("{}: has a cloud been started on this folder?", data.display()))?;
        let var = |name: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='))
                .unwrap_or_default()
        };
        Self::log_in(var("OS_AUTH_URL"), var("OS_PASSWORD")).await
    }

    async fn log_in(auth_url: &str, password: &str) -> Result<Self> {
        let http = platform_http::client().timeout(Duration::from_secs(60)).build()?;
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user":
                {"name": "admin", "domain": {"id": "default"}, "password": password}}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}});
        let answer = http.post(format!("{auth_url}/auth/tokens")).json(&body).send().await;
        let answer = answer.with_context(|| format!("{auth_url} does not answer"))?;
        if !answer.status().is_success() {
            bail!("login at {auth_url} was refused: {}", answer.status());
        }
        let token =
            answer.headers().get("x-subject-token").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let facts: Value = answer.json().await?;
        let mut endpoints = BTreeMap::new();
        for service in facts["token"]["catalog"].as_array().into_iter().flatten() {
            let public = service["endpoints"].as_array().into_iter().flatten().find(|e| e["interface"] == "public");
            if let (Some(kind), Some(url)) = (service["type"].as_str(), public.and_then(|e| e["url"].as_str())) {
                endpoints.insert(kind.to_owned(), url.trim_end_matches('/').to_owned());
            }
        }
        Ok(Self { http, token, endpoints })
    }

    pub(crate) fn request(&self, method: Method, service: &str, path: &str) -> Result<RequestBuilder> {
        let base = self.endpoints.get(service).with_context(|| format!("the catalog has no {service} service"))?;
        Ok(self
            .http
            .request(method, format!("{base}{path}"))
            .header("x-auth-token", &self.token)
            .header("openstack-api-version", format!("{service} latest")))
    }

    /// Sends it and reads the JSON answer; anything but success is an error with the service's words.
    pub(crate) async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let answer = request.send().await?;
        let (status, url) = (answer.status(), answer.url().clone());
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{url}: {status}: {}", text.trim());
        }
        if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).with_context(|| url.to_string()) }
    }

    pub(crate) async fn get(&self, service: &str, path: &str) -> Result<Value> {
        self.json(self.request(Method::GET, service, path)?).await
    }

    pub(crate) async fn post(&self, service: &str, path: &str, body: &Value) -> Result<Value> {
        self.json(self.request(Method::POST, service, path)?.json(body)).await
    }
}
