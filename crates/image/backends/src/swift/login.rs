//! Logging in at identity: a token and the account's URL, kept until the token ends or is refused.

use super::SwiftSettings;
use crate::failure::{of_status, unanswered};
use base::Secret;
use image_model::BackendError;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What a login gives.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) token: Secret,
    /// The account's URL, without a slash at its end.
    pub(super) account: String,
}

#[derive(Debug)]
pub(super) struct Session {
    login: String,
    body: Secret,
    region: String,
    interface: String,
    endpoint: String,
    http: Client,
    /// One login at a time: whoever waits finds its result.
    grant: Mutex<Option<Arc<Grant>>>,
}

impl Session {
    pub(super) fn new(s: &SwiftSettings, http: Client) -> Self {
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": s.username, "password": s.password.expose(), "domain": {"name": s.user_domain_name},
            }}},
            "scope": {"project": {"name": s.project_name, "domain": {"name": s.project_domain_name}}},
        }});
        Self {
            login: format!("{}/auth/tokens", s.auth_url.as_str().trim_end_matches('/')),
            body: Secret::new(body.to_string()),
            region: s.region.clone(),
            interface: s.interface.clone(),
            endpoint: s.endpoint.clone(),
            http,
            grant: Mutex::new(None),
        }
    }

    /// The grant there is; a new one if there is none, or if it is the one that was `refused`.
    pub(super) async fn grant(&self, refused: Option<&Arc<Grant>>) -> Result<Arc<Grant>, BackendError> {
        let mut kept = self.grant.lock().await;
        if let Some(grant) = &*kept
            && refused.is_none_or(|r| !Arc::ptr_eq(r, grant))
        {
            return Ok(grant.clone());
        }
        let grant = Arc::new(self.log_in().await?);
        *kept = Some(grant.clone());
        Ok(grant)
    }

    async fn log_in(&self) -> Result<Grant, BackendError> {
        let what = format!("log in at {}", self.login);
        let request = self.http.post(&self.login).header("content-type", "application/json");
        let answer = request.body(self.body.expose().to_owned()).send().await.map_err(|e| unanswered(&what, e))?;
        let status = answer.status();
        if status != StatusCode::CREATED {
            let text = answer.text().await.unwrap_or_default();
            return Err(match of_status(&what, &self.login, status, &text) {
                BackendError::NotFound(_) => BackendError::Unavailable(format!("{what}: {status}")),
                other => other,
            });
        }
        let token = answer.headers().get("x-subject-token").and_then(|t| t.to_str().ok()).map(Secret::new);
        let body: Value = answer.json().await.map_err(|e| unanswered(&what, e))?;
        let account = if self.endpoint.is_empty() { self.of_catalog(&body) } else { Some(self.endpoint.as_str()) };
        match (token, account) {
            (Some(token), Some(account)) => Ok(Grant { token, account: account.trim_end_matches('/').to_owned() }),
            (None, _) => Err(wrong(&what, "the answer has no token")),
            (_, None) => {
                let Self { interface, region, .. } = self;
                Err(wrong(&what, &format!("the catalog has no {interface} object-store in region {region:?}")))
            }
        }
    }

    fn of_catalog<'b>(&self, body: &'b Value) -> Option<&'b str> {
        let services = body["token"]["catalog"].as_array()?;
        let endpoints =
            services.iter().filter(|s| s["type"] == "object-store").filter_map(|s| s["endpoints"].as_array());
        let mut wanted = endpoints.flatten().filter(|e| {
            e["interface"] == self.interface.as_str()
                && (self.region.is_empty()
                    || e["region"] == self.region.as_str()
                    || e["region_id"] == self.region.as_str())
        });
        wanted.next()?["url"].as_str()
    }
}

fn wrong(what: &str, why: &str) -> BackendError {
    BackendError::Io { operation: what.to_owned(), source: io::Error::other(why.to_owned()) }
}
