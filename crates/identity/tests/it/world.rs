//! A cloud's identity for a test: fresh database and keys, cheap hashes, a clock that stands still until told.

use base::time::ManualClock;
use base::{Secret, Timestamp};
use http_body_util::BodyExt;
use identity::{CatalogEntry, Identity, IdentityConfig, Scheme, SecurityCompliance};
use platform_db::Db;
use platform_db::testing::on_each_engine;
use platform_http::{Body, HeaderMap, Peer, Service};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const PASSWORD: &str = "correct horse";
/// 2026-01-02T03:04:05Z
pub(crate) const NOW: Timestamp = Timestamp(1_767_323_045_000_000);

pub(crate) struct World {
    pub(crate) identity: Identity,
    pub(crate) service: Arc<Service<Identity>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) db: Db,
    pub(crate) config: IdentityConfig,
    _keys: tempfile::TempDir,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Runs a test in a world of its own on each engine.
pub(crate) async fn on_each<F, Fut>(test: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    with_security(SecurityCompliance::default(), test).await;
}

pub(crate) async fn with_security<F, Fut>(security: SecurityCompliance, test: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    with_config(|config| config.security = security.clone(), test).await;
}

/// `change`: what is different from the defaults of a test.
pub(crate) async fn with_config<C, F, Fut>(change: C, test: F)
where
    C: Fn(&mut IdentityConfig),
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    on_each_engine(|db| {
        let (test, change) = (&test, &change);
        async move { test(World::start(db, change).await).await }
    })
    .await;
}

impl World {
    async fn start(db: Db, change: impl Fn(&mut IdentityConfig)) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let mut config = IdentityConfig::new(keys.path(), Secret::new(PASSWORD));
        config.scheme = Scheme::Scrypt { log_n: 4, r: 8, p: 1 };
        config.catalog = vec![
            CatalogEntry::everywhere("identity", "keystone", "http://cloud/identity"),
            CatalogEntry::everywhere("compute", "nova", "http://cloud/compute/v2.1/%(project_id)s"),
        ];
        change(&mut config);
        let clock = ManualClock::starting_at(NOW);
        let (identity, _) = Identity::open(db.clone(), config.clone(), clock.clone()).await.unwrap();
        let service = identity::service(&identity, "http://cloud/identity");
        Self { identity, service, clock, db, config, _keys: keys }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        self.call_from(None, method, path, headers, body).await
    }

    /// A call over a connection from that address.
    pub(crate) async fn call_from(
        &self,
        peer: Option<&str>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let mut request = ::http::Request::builder().method(method).uri(path).header("host", "cloud");
        if let Some(peer) = peer {
            request = request.extension(Peer(peer.parse().unwrap()));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        let response = self.service.clone().handle("", request.body(body).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// A call with a token that must have this status; the body comes back.
    pub(crate) async fn expect(&self, status: u16, method: &str, path: &str, token: &str, body: Value) -> Value {
        let reply = self.call(method, path, &[("x-auth-token", token)], &body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
        reply.body
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Value {
        self.expect(200, "GET", path, token, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Value {
        self.expect(201, "POST", path, token, body).await
    }

    pub(crate) async fn log_in(&self, identity: Value, scope: Value) -> Reply {
        let mut auth = json!({"identity": identity});
        if !scope.is_null() {
            auth["scope"] = scope;
        }
        self.call("POST", "/v3/auth/tokens", &[], &json!({"auth": auth})).await
    }

    /// The token of a login that must work.
    pub(crate) async fn token(&self, identity: Value, scope: Value) -> String {
        let reply = self.log_in(identity, scope).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.text("x-subject-token")
    }

    pub(crate) async fn admin(&self) -> String {
        self.token(password("admin", PASSWORD), admin_project()).await
    }

    /// Whether a token is good, as another service sees it.
    pub(crate) async fn is_good(&self, token: &str) -> bool {
        self.identity.authenticate(token).await.is_ok()
    }

    /// A new user with a password of the same name, and perhaps a role on a project.
    pub(crate) async fn user(&self, admin: &str, name: &str, on: Option<(&str, &str)>) -> String {
        let body = json!({"user": {"name": name, "password": name}});
        let id = self.post("/v3/users", admin, body).await["user"]["id"].as_str().unwrap().to_owned();
        if let Some((role, project)) = on {
            let role = self.role(admin, role).await;
            self.expect(204, "PUT", &format!("/v3/projects/{project}/users/{id}/roles/{role}"), admin, Value::Null)
                .await;
        }
        id
    }

    pub(crate) async fn project(&self, admin: &str, name: &str) -> String {
        let body = json!({"project": {"name": name}});
        self.post("/v3/projects", admin, body).await["project"]["id"].as_str().unwrap().to_owned()
    }

    /// Id of a role by name.
    pub(crate) async fn role(&self, admin: &str, name: &str) -> String {
        self.get(&format!("/v3/roles?name={name}"), admin).await["roles"][0]["id"].as_str().unwrap().to_owned()
    }
}

impl Reply {
    pub(crate) fn text(&self, header: &str) -> String {
        self.headers.get(header).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
    }
}

pub(crate) fn password(user: &str, password: &str) -> Value {
    json!({"methods": ["password"],
           "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}}})
}

pub(crate) fn by_token(token: &str) -> Value {
    json!({"methods": ["token"], "token": {"id": token}})
}

pub(crate) fn admin_project() -> Value {
    json!({"project": {"name": "admin", "domain": {"name": "Default"}}})
}

pub(crate) fn project(id: &str) -> Value {
    json!({"project": {"id": id}})
}

pub(crate) fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        list.as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}
