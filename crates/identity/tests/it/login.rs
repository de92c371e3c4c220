//! Logging in, scopes, the token's body, and the end of tokens.

use crate::world::{NOW, PASSWORD, admin_project, by_token, names, on_each, password};
use base::{Scope, Secret};
use identity::Identity;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_first_login_and_what_its_token_says() {
    on_each(|w| async move {
        let reply = w.log_in(password("admin", PASSWORD), admin_project()).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert_eq!(reply.text("vary"), "X-Auth-Token");
        let text = reply.text("x-subject-token");
        assert!(text.starts_with("gAAAAA") && !text.ends_with('='), "{text}");
        let t = &reply.body["token"];
        assert_eq!(t["methods"], json!(["password"]));
        assert_eq!(t["issued_at"], "2026-01-02T03:04:05.000000Z");
        assert_eq!(t["expires_at"], "2026-01-02T04:04:05.000000Z");
        assert_eq!(t["user"]["name"], "admin");
        assert_eq!(t["user"]["domain"], json!({"id": "default", "name": "Default"}));
        assert_eq!(t["user"]["password_expires_at"], Value::Null);
        assert_eq!(t["project"]["name"], "admin");
        assert_eq!(t["is_domain"], false);
        assert_eq!(names(&t["roles"]), ["admin", "manager", "member", "reader"]);
        assert_eq!(t["audit_ids"].as_array().unwrap().len(), 1);
        let compute = t["catalog"].as_array().unwrap().iter().find(|s| s["type"] == "compute").unwrap();
        assert_eq!(compute["name"], "nova");
        let interfaces: Vec<&str> =
            compute["endpoints"].as_array().unwrap().iter().map(|e| e["interface"].as_str().unwrap()).collect();
        assert_eq!(interfaces.len(), 3);
        let url = format!("http://cloud/compute/v2.1/{}", t["project"]["id"].as_str().unwrap());
        assert_eq!(compute["endpoints"][0]["url"], url.as_str());
        assert_eq!(compute["endpoints"][0]["region_id"], "RegionOne");

        let facts = w.identity.authenticate(&text).await.unwrap();
        assert_eq!(facts.user_name, "admin");
        assert!(matches!(&facts.scope, Scope::Project { name, .. } if name == "admin"));
        assert!(facts.has_role("reader"));
    })
    .await;
}

#[tokio::test]
async fn every_scope_and_none() {
    on_each(|w| async move {
        let admin = || password("admin", PASSWORD);
        let unscoped = w.log_in(admin(), Value::Null).await;
        for key in ["roles", "catalog", "project", "domain", "system", "is_domain"] {
            assert_eq!(unscoped.body["token"].get(key), None, "{key}");
        }
        let explicit = w.log_in(admin(), json!("unscoped")).await;
        assert_eq!((explicit.status, explicit.body["token"].get("roles")), (201, None));

        let system = w.log_in(admin(), json!({"system": {"all": true}})).await;
        assert_eq!(system.body["token"]["system"], json!({"all": true}));
        assert_eq!(names(&system.body["token"]["roles"])[0], "admin");
        let compute = system.body["token"]["catalog"].as_array().unwrap().iter().find(|s| s["type"] == "compute");
        assert_eq!(compute.unwrap()["endpoints"], json!([]), "a URL that needs a project is left out");

        let domain = json!({"domain": {"id": "default"}});
        assert_eq!(w.log_in(admin(), domain.clone()).await.status, 401, "no role there yet");
        let token = w.admin().await;
        let user = w.get("/v3/users?name=admin", &token).await["users"][0]["id"].as_str().unwrap().to_owned();
        let role = w.role(&token, "member").await;
        let grant = format!("/v3/domains/default/users/{user}/roles/{role}");
        w.expect(204, "PUT", &grant, &token, Value::Null).await;
        let scoped = w.log_in(admin(), domain).await;
        assert_eq!(scoped.body["token"]["domain"], json!({"id": "default", "name": "Default"}));
        assert_eq!(names(&scoped.body["token"]["roles"]), ["member", "reader"]);
        assert_eq!(scoped.body["token"].get("project"), None);
    })
    .await;
}

#[tokio::test]
async fn all_that_is_wrong_with_a_login_looks_the_same() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let id = w.user(&admin, "off", None).await;
        w.expect(200, "PATCH", &format!("/v3/users/{id}"), &admin, json!({"user": {"enabled": false}})).await;
        let nowhere = json!({"methods": ["password"],
            "password": {"user": {"name": "admin", "domain": {"id": "nowhere"}, "password": PASSWORD}}});
        let mut answers = Vec::new();
        for identity in [password("admin", "wrong"), password("nobody", PASSWORD), password("off", "off"), nowhere] {
            let reply = w.log_in(identity, Value::Null).await;
            assert_eq!(reply.text("www-authenticate"), "Keystone uri=\"http://cloud/identity\"");
            answers.push((reply.status, reply.body.to_string()));
        }
        let scope = json!({"project": {"id": "0123456789abcdef0123456789abcdef"}});
        let reply = w.log_in(password("admin", PASSWORD), scope).await;
        answers.push((reply.status, reply.body.to_string()));
        assert_eq!(answers[0].0, 401);
        assert!(answers[0].1.contains("The request you have made requires authentication."), "{}", answers[0].1);
        assert!(answers.iter().all(|a| *a == answers[0]), "{answers:?}");
    })
    .await;
}

#[tokio::test]
async fn a_token_for_a_token_ends_with_it_and_remembers_the_chain() {
    on_each(|w| async move {
        let first = w.log_in(password("admin", PASSWORD), Value::Null).await;
        w.clock.advance(Duration::from_secs(600));
        let second = w.log_in(by_token(&first.text("x-subject-token")), admin_project()).await;
        assert_eq!(second.status, 201, "{}", second.body);
        let (a, b) = (&first.body["token"], &second.body["token"]);
        assert_eq!(b["methods"], json!(["password", "token"]));
        assert_eq!(a["expires_at"], b["expires_at"]);
        assert_ne!(a["issued_at"], b["issued_at"]);
        assert_eq!(b["audit_ids"][1], a["audit_ids"][0]);
        w.clock.advance(Duration::from_secs(2990));
        assert!(w.is_good(&second.text("x-subject-token")).await);
        w.clock.advance(Duration::from_secs(10));
        assert!(!w.is_good(&second.text("x-subject-token")).await, "expired to the second");
        assert!(!w.is_good("gAAAAABnot-a-token").await);
    })
    .await;
}

#[tokio::test]
async fn validating_and_revoking() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let other = w.log_in(password("admin", PASSWORD), admin_project()).await;
        let text = other.text("x-subject-token");
        let ask = [("x-auth-token", &*admin), ("x-subject-token", &*text)];
        let shown = w.call("GET", "/v3/auth/tokens", &ask, &Value::Null).await;
        assert_eq!((shown.status, &shown.body), (200, &other.body));
        assert_eq!(shown.text("x-subject-token"), text);
        let short = w.call("GET", "/v3/auth/tokens?nocatalog", &ask, &Value::Null).await;
        assert_eq!(short.body["token"].get("catalog"), None);
        assert_eq!(w.call("HEAD", "/v3/auth/tokens", &ask, &Value::Null).await.status, 200);
        assert_eq!(w.call("DELETE", "/v3/auth/tokens", &ask, &Value::Null).await.status, 204);
        assert_eq!(w.call("GET", "/v3/auth/tokens", &ask, &Value::Null).await.status, 404);
        assert!(!w.is_good(&text).await);
        assert!(w.is_good(&admin).await, "only that one");
        let bogus = [("x-auth-token", &*admin), ("x-subject-token", "nonsense")];
        assert_eq!(w.call("GET", "/v3/auth/tokens", &bogus, &Value::Null).await.status, 404);
        assert_eq!(w.call("GET", "/v3/auth/tokens", &[("x-auth-token", &*text)], &Value::Null).await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn another_start_changes_nothing_and_takes_new_urls() {
    on_each(|w| async move {
        let before = w.log_in(password("admin", PASSWORD), admin_project()).await;
        let mut config = w.config.clone();
        config.admin_password = Secret::new("another");
        config.catalog[0].public = "http://elsewhere/identity".into();
        let (again, made_admin) = Identity::open(w.db.clone(), config, w.clock.clone()).await.unwrap();
        assert!(!made_admin);
        assert!(again.authenticate(&before.text("x-subject-token")).await.is_ok(), "the keys are the same");
        let after = w.log_in(password("admin", PASSWORD), admin_project()).await;
        assert_eq!(after.status, 201, "the password is not reset");
        // this process hears of the other's change within a second
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let body = w.log_in(password("admin", PASSWORD), admin_project()).await.body;
            let services = body["token"]["catalog"].as_array().unwrap().clone();
            assert_eq!(services.len(), 2);
            let identity = services.iter().find(|s| s["type"] == "identity").unwrap();
            let urls: Vec<&str> =
                identity["endpoints"].as_array().unwrap().iter().map(|e| e["url"].as_str().unwrap()).collect();
            if urls.contains(&"http://elsewhere/identity") {
                assert_eq!(urls.len(), 3);
                break;
            }
            assert!(std::time::Instant::now() < deadline, "the change was never noticed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(before.body["token"]["issued_at"], NOW.micros_z().as_str());
    })
    .await;
}

#[tokio::test]
async fn processes_that_start_together_agree_on_who_is_first() {
    platform_db::testing::on_each_engine(|db| async move {
        let dir = tempfile::tempdir().unwrap();
        let mut config = identity::IdentityConfig::new(dir.path(), Secret::new("p"));
        config.scheme = identity::Scheme::Scrypt { log_n: 4, r: 8, p: 1 };
        config.catalog = vec![identity::CatalogEntry::everywhere("image", "glance", "http://cloud/image")];
        let clock = std::sync::Arc::new(base::SystemClock);
        let starts = (0..4).map(|_| Identity::open(db.clone(), config.clone(), clock.clone()));
        let started = futures_util::future::join_all(starts).await;
        let first = started.into_iter().filter(|s| s.as_ref().unwrap().1).count();
        assert_eq!(first, 1, "one of them made the admin");
        for (table, rows) in [("users", 1), ("projects", 2), ("roles", 5), ("services", 1), ("endpoints", 3)] {
            let sql = platform_db::built(format!("SELECT COUNT(*) FROM identity_{table}"));
            let (n,): (i64,) = db.fetch_one(sql, Vec::new()).await.unwrap();
            assert_eq!(n, rows, "{table}");
        }
    })
    .await;
}
