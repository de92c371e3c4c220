//! The service user's session at a Keystone: logged in when needed, again when its token is no longer taken.

use super::KeystoneSettings;
use super::answer::{Envelope, Said};
use base::Secret;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::Mutex;

/// One request, connecting included.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum KeystoneError {
    #[error("[identity] {0}")]
    Settings(String),
    #[error("{url} does not answer: {why}")]
    Away { url: String, why: String },
    #[error("Keystone refuses the service user {user:?}: {status}")]
    Login { user: String, status: StatusCode },
    #[error("{method} {path} was answered {status}: {said}")]
    Refused { method: Method, path: String, status: StatusCode, said: String },
    #[error("{path} was answered with something else than was asked for")]
    Answer { path: String },
}

/// A logged-in service user.
pub struct Session {
    http: Client,
    url: String,
    user: String,
    login: Secret,
    token: Mutex<Option<String>>,
}

impl Session {
    /// Logs in at the first request.
    pub fn new(s: &KeystoneSettings) -> Result<Self, KeystoneError> {
        let refuse = |why: String| KeystoneError::Settings(why);
        let url = s.url.trim_end_matches('/').to_owned();
        if !(url.starts_with("http://") || url.starts_with("https://")) || !url.ends_with("/v3") {
            return Err(refuse(format!("url = {:?}: a Keystone's URL ends with /v3", s.url)));
        }
        if s.username.is_empty() {
            return Err(refuse("url is set, so username and password of a service user are needed".into()));
        }
        let mut http = platform_http::client().timeout(PATIENCE);
        if !s.ca_file.is_empty() {
            let pem = std::fs::read(&s.ca_file).map_err(|e| refuse(format!("ca_file {}: {e}", s.ca_file)))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem);
            http = http.tls_certs_only(authorities.map_err(|e| refuse(format!("ca_file {}: {e}", s.ca_file)))?);
        }
        let http = http.build().map_err(|e| refuse(e.to_string()))?;
        let login = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": s.username, "domain": {"name": s.user_domain}, "password": s.password.expose()}}},
            "scope": {"project": {"name": s.project, "domain": {"name": s.project_domain}}}}});
        let login = Secret::new(login.to_string());
        Ok(Self { http, url, user: s.username.clone(), login, token: Mutex::new(None) })
    }

    /// `None`: Keystone does not know the token, or no longer.
    pub(super) async fn validate(&self, token: &str) -> Result<Option<Said>, KeystoneError> {
        const PATH: &str = "/auth/tokens?nocatalog";
        let answer = self
            .send(Method::GET, PATH, |r| {
                // without it Keystone does not show tokens that have access rules
                r.header("x-subject-token", token).header("openstack-identity-access-rules", "1.0")
            })
            .await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => {
                let answer: Envelope = answer.json().await.map_err(|_| KeystoneError::Answer { path: PATH.into() })?;
                answer.said().map(Some).ok_or_else(|| KeystoneError::Answer { path: PATH.into() })
            }
            _ => Err(refused(Method::GET, PATH, answer).await),
        }
    }

    /// Sends JSON, gives the JSON that is answered (`null` if nothing is).
    pub(super) async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, KeystoneError> {
        let answer = self
            .send(method.clone(), path, |r| match body {
                Some(body) => r.json(body),
                None => r,
            })
            .await?;
        if !answer.status().is_success() {
            return Err(refused(method, path, answer).await);
        }
        let text = answer.text().await.map_err(|e| self.away(&e))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|_| KeystoneError::Answer { path: path.into() })
    }

    /// As the service user. Should its token not be taken, once more with a new one.
    async fn send(
        &self,
        method: Method,
        path: &str,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, KeystoneError> {
        let url = format!("{}{path}", self.url);
        let mut refused = None;
        loop {
            let token = self.token(refused.as_deref()).await?;
            let request = with(self.http.request(method.clone(), &url)).header("x-auth-token", &token);
            let answer = request.send().await.map_err(|e| self.away(&e))?;
            if answer.status() != StatusCode::UNAUTHORIZED || refused.is_some() {
                return Ok(answer);
            }
            refused = Some(token);
        }
    }

    /// The session's token, but not the `refused` one. Who comes while another logs in waits for that login.
    async fn token(&self, refused: Option<&str>) -> Result<String, KeystoneError> {
        let mut token = self.token.lock().await;
        if let Some(known) = token.as_deref().filter(|t| Some(*t) != refused) {
            return Ok(known.to_owned());
        }
        let request = self.http.post(format!("{}/auth/tokens", self.url)).header("content-type", "application/json");
        let answer = request.body(self.login.expose().to_owned()).send().await.map_err(|e| self.away(&e))?;
        let new = answer.headers().get("x-subject-token").and_then(|t| t.to_str().ok());
        match new {
            Some(new) if answer.status().is_success() => Ok(token.insert(new.to_owned()).clone()),
            _ => Err(KeystoneError::Login { user: self.user.clone(), status: answer.status() }),
        }
    }

    fn away(&self, error: &reqwest::Error) -> KeystoneError {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(deeper) = source {
            why = deeper.to_string();
            source = deeper.source();
        }
        KeystoneError::Away { url: self.url.clone(), why }
    }
}

async fn refused(method: Method, path: &str, answer: Response) -> KeystoneError {
    let status = answer.status();
    let said = answer.text().await.unwrap_or_default();
    KeystoneError::Refused { method, path: path.into(), status, said: said.chars().take(300).collect() }
}
