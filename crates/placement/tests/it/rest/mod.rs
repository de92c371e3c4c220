//! The REST API, from request to answer.

mod allocations;
mod candidates;
mod contract;
mod inventories;
mod names;
mod providers;

use async_trait::async_trait;
use base::{Scope, Timestamp, TokenFacts};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use placement::api::{Api, default_policy};
use placement::{Placement, service};
use platform_db::Db;
use platform_http::{AuthError, Authenticate, Body, Service};
use serde_json::{Value, json};
use std::sync::Arc;

/// Tokens that say what they are: `ROLE` or `ROLE@PROJECT`; `system` is an admin of the system.
struct Tokens;

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError> {
        let (role, project) = token.split_once('@').unwrap_or((token, "p1"));
        let scope = match role {
            "bad" => return Err(AuthError::Invalid),
            "system" => Scope::System,
            _ => Scope::Project {
                id: project.into(),
                name: project.into(),
                domain_id: "default".into(),
                domain_name: "Default".into(),
            },
        };
        let role = if role == "system" { "admin" } else { role };
        Ok(Arc::new(TokenFacts {
            user_id: "u1".into(),
            user_name: "u1".into(),
            user_domain_id: "default".into(),
            user_domain_name: "Default".into(),
            scope,
            roles: vec![role.into()],
            issued_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            audit_ids: Vec::new(),
        }))
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    /// Fails unless the status is this.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}", self.json);
        self
    }
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
    pub(crate) fn error(&self) -> &Value {
        &self.json["errors"][0]
    }
    pub(crate) fn code(&self) -> &str {
        self.error()["code"].as_str().unwrap_or_default()
    }
    pub(crate) fn detail(&self) -> &str {
        self.error()["detail"].as_str().unwrap_or_default()
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    service: Arc<Service<Api>>,
    version: String,
    token: String,
}

impl Client {
    pub(crate) fn new(db: &Db) -> Self {
        let policy = default_policy().unwrap();
        let service = service(Placement::new(db.clone()), policy, Arc::new(Tokens), "http://h/identity/v3".into());
        Self { service, version: "1.39".into(), token: "admin".into() }
    }
    pub(crate) fn at(&self, version: &str) -> Self {
        Self { version: version.into(), ..self.clone() }
    }
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.into(), ..self.clone() }
    }
    pub(crate) fn service(&self) -> &Service<Api> {
        &self.service
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/placement{path}")).header("host", "h:8700");
        if !self.version.is_empty() {
            request = request.header("openstack-api-version", format!("placement {}", self.version));
        }
        if !self.token.is_empty() {
            request = request.header("x-auth-token", &self.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.service.clone().handle("/placement", request.body(body).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, json }
    }
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[("accept", "application/json")], Body::empty()).await
    }
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Body::empty()).await
    }
    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::PUT, path, body).await
    }
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::POST, path, body).await
    }
    async fn send_json(&self, method: Method, path: &str, body: Value) -> Answer {
        let text = body.to_string();
        let length = text.len().to_string();
        let headers = [("content-type", "application/json"), ("content-length", length.as_str())];
        self.send(method, path, &headers, Body::from(text)).await
    }

    /// A provider with these inventories; its uuid.
    pub(crate) async fn provider(&self, name: &str, parent: Option<&str>, inventories: &[(&str, u64)]) -> String {
        let body = json!({"name": name, "parent_provider_uuid": parent});
        let made = self.at("1.39").post("/resource_providers", body).await.expect(200);
        let uuid = made.json["uuid"].as_str().unwrap().to_owned();
        let records: serde_json::Map<String, Value> =
            inventories.iter().map(|(class, total)| ((*class).to_owned(), json!({"total": total}))).collect();
        let body = json!({"resource_provider_generation": 0, "inventories": records});
        self.put(&format!("/resource_providers/{uuid}/inventories"), body).await.expect(200);
        uuid
    }
    pub(crate) async fn generation(&self, uuid: &str) -> i64 {
        let shown = self.get(&format!("/resource_providers/{uuid}")).await.expect(200);
        shown.json["generation"].as_i64().unwrap()
    }
    pub(crate) async fn set_traits(&self, uuid: &str, traits: &[&str]) {
        for custom in traits.iter().filter(|t| t.starts_with("CUSTOM_")) {
            self.put(&format!("/traits/{custom}"), Value::Null).await;
        }
        let body = json!({"traits": traits, "resource_provider_generation": self.generation(uuid).await});
        self.put(&format!("/resource_providers/{uuid}/traits"), body).await.expect(200);
    }
    pub(crate) async fn set_aggregates(&self, uuid: &str, aggregates: &[&str]) {
        let body = json!({"aggregates": aggregates, "resource_provider_generation": self.generation(uuid).await});
        self.put(&format!("/resource_providers/{uuid}/aggregates"), body).await.expect(200);
    }
    /// Allocates for a new consumer; its uuid.
    pub(crate) async fn allocate(&self, provider: &str, class: &str, amount: u64) -> String {
        let consumer = uuid::Uuid::new_v4().to_string();
        let body = json!({
            "allocations": {provider: {"resources": {class: amount}}},
            "project_id": "p1", "user_id": "u1", "consumer_generation": null, "consumer_type": "INSTANCE",
        });
        self.at("1.39").put(&format!("/allocations/{consumer}"), body).await.expect(204);
        consumer
    }
}
