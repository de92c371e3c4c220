//! Cases that other clouds have had, by the numbers of our list. S47 is in `derivation`, S48 in `signed`, S50 in
//! `throttle` and `login`.

use crate::coverage::{body, fill_in};
use crate::world::{World, admin_project, on_each, password, project};
use serde_json::{Value, json};
use std::time::Duration;

/// Everything a rule might ask about, saying whatever would let the caller in.
fn hostile(me: &str) -> Value {
    let own = json!({"id": me, "user_id": me, "domain_id": "default", "project_id": me, "trustor_user_id": me,
                     "trustee_user_id": me, "name": "admin", "roles": ["admin"]});
    json!({
        "target": {"user": own, "project": own, "domain": own, "credential": own, "trust": own, "token": own,
                   "group": own, "role": own, "limit": own, "endpoint": own, "domain_id": "default"},
        "target.user.id": me, "user_id": me, "project_id": me, "domain_id": "default",
        "role": "admin", "roles": ["admin"], "is_admin": true, "system_scope": "all", "context": own, "token": own
    })
}

async fn nobody(w: &World) -> (String, String, String) {
    let admin = w.admin().await;
    let id = w.user(&admin, "nobody", None).await;
    let token = w.token(password("nobody", "nobody"), Value::Null).await;
    (admin, id, token)
}

/// Each route with a rule: method, path and a body that its schema takes.
fn ruled(w: &World) -> Vec<(String, String, Value)> {
    let routes: Vec<_> = w.service.table().cloned().collect();
    let ruled = routes.iter().filter(|r| !r.policies.is_empty());
    ruled.map(|r| (r.method.to_string(), fill_in(r.path), body(r.schema))).collect()
}

#[tokio::test]
async fn s46_what_a_request_says_is_never_what_a_rule_asks() {
    on_each(|w| async move {
        let (admin, me, token) = nobody(&w).await;
        let hostile = hostile(&me);
        let query = format!("target.user.id={me}&user_id={me}&role=admin&is_admin=true&system_scope=all&enabled=true");
        let mut compared = 0;
        for (method, path, plain) in ruled(&w) {
            let headers = [("x-auth-token", &*token), ("x-subject-token", &*admin)];
            let before = w.call(&method, &path, &headers, &plain).await;
            let mut loaded = if plain.is_object() { plain } else { json!({}) };
            for (k, v) in hostile.as_object().unwrap() {
                loaded.as_object_mut().unwrap().entry(k.clone()).or_insert(v.clone());
            }
            let after = w.call(&method, &format!("{path}?{query}"), &headers, &loaded).await;
            // a filter in the query may name what is one's own: reading that is no escalation
            if method == "GET" && after.status == 200 {
                assert!(
                    before.status == 200 || !after.body.to_string().contains("\"admin\""),
                    "{path}: {}",
                    after.body
                );
                continue;
            }
            // the schema, which some routes ask first, may refuse what it does not know
            assert!(after.status == before.status || after.status == 400, "{method} {path}: {}", after.body);
            assert!(after.status >= 400 || before.status < 400, "{method} {path}: {}", after.body);
            compared += 1;
        }
        assert!(compared > 150, "{compared}");
    })
    .await;
}

#[tokio::test]
async fn s49_identity_headers_of_a_client_say_nothing() {
    on_each(|w| async move {
        let (admin, _, token) = nobody(&w).await;
        let id = w.identity.authenticate(&admin).await.unwrap().user_id.to_string();
        let forged = [
            ("x-roles", "admin,service"),
            ("x-role", "admin"),
            ("x-user-id", id.as_str()),
            ("x-user-name", "admin"),
            ("x-project-id", "p"),
            ("x-domain-id", "default"),
            ("x-identity-status", "Confirmed"),
            ("x-is-admin-project", "True"),
            ("x-service-roles", "admin"),
            ("openstack-system-scope", "all"),
            ("x-subject-token", admin.as_str()),
        ];
        let mut refused = 0;
        for (method, path, plain) in ruled(&w) {
            let bare = w.call(&method, &path, &forged, &plain).await;
            assert_eq!(bare.status, 401, "{method} {path} without a token");
            let own = [("x-auth-token", &*token), ("x-subject-token", &*admin)];
            let before = w.call(&method, &path, &own, &plain).await.status;
            let all: Vec<(&str, &str)> = own.iter().copied().chain(forged).collect();
            assert_eq!(w.call(&method, &path, &all, &plain).await.status, before, "{method} {path}");
            refused += usize::from(before == 403);
        }
        assert!(refused > 150, "{refused}");
    })
    .await;
}

#[tokio::test]
async fn s51_a_word_for_false_is_false_and_a_word_for_nothing_grants_nothing() {
    on_each(|w| async move {
        let admin = w.admin().await;
        for (n, word) in ["False", "false", "0", "off", "no"].into_iter().enumerate() {
            let body = json!({"user": {"name": format!("u{n}"), "password": "pw", "enabled": word}});
            let reply = w.call("POST", "/v3/users", &[("x-auth-token", &*admin)], &body).await;
            if reply.status == 400 {
                continue;
            }
            assert_eq!((reply.status, &reply.body["user"]["enabled"]), (201, &json!(false)), "{word}");
            assert_eq!(w.log_in(password(&format!("u{n}"), "pw"), Value::Null).await.status, 401, "{word}");
        }
        let p = w.project(&admin, "p").await;
        let ann = w.user(&admin, "ann", Some(("member", &p))).await;
        let token = w.token(password("ann", "ann"), project(&p)).await;
        let all = format!("/v3/users/{ann}/application_credentials");
        for word in ["False", "maybe", "", "null"] {
            let user = json!({"user": {"name": format!("odd{word}"), "enabled": word}});
            let made = w.call("POST", "/v3/users", &[("x-auth-token", &*admin)], &user).await;
            assert!(made.status == 400 || made.body["user"]["enabled"] == false, "{word}: {}", made.body);
            let ac = json!({"application_credential": {"name": format!("a{word}"), "unrestricted": word}});
            let made = w.call("POST", &all, &[("x-auth-token", &*token)], &ac).await;
            let unrestricted = &made.body["application_credential"]["unrestricted"];
            assert!(made.status == 400 || unrestricted == false, "{word}: {}", made.body);
            let trust = json!({"trust": {"trustor_user_id": ann, "trustee_user_id": ann, "project_id": p,
                                         "impersonation": word, "roles": [{"name": "member"}]}});
            let made = w.call("POST", "/v3/OS-TRUST/trusts", &[("x-auth-token", &*token)], &trust).await;
            assert!(made.status == 400 || made.body["trust"]["impersonation"] == false, "{word}: {}", made.body);
        }
    })
    .await;
}

#[tokio::test]
async fn s52_validation_under_load_holds_on_to_no_connection() {
    on_each(|w| async move {
        let admin = w.admin().await;
        for round in 0..20 {
            // a change makes every token be looked up again
            w.project(&admin, &format!("p{round}")).await;
            let role = w.post("/v3/roles", &admin, json!({"role": {"name": format!("r{round}")}})).await;
            let path = format!("/v3/roles/{}", role["role"]["id"].as_str().unwrap());
            w.expect(204, "DELETE", &path, &admin, Value::Null).await;
            let forged = format!("{}x", &admin[..admin.len() - 1]);
            let asks = (0..20).map(|n| {
                let ask = [("x-auth-token", &*admin), ("x-subject-token", if n % 2 == 0 { &*admin } else { &*forged })];
                let w = &w;
                async move {
                    let call = w.call("GET", "/v3/auth/tokens", &ask, &Value::Null);
                    // some clients go away before the answer
                    let patience = Duration::from_millis(if n % 5 == 0 { 1 } else { 10_000 });
                    drop(tokio::time::timeout(patience, call).await);
                }
            });
            futures_util::future::join_all(asks.map(Box::pin)).await;
        }
        no_connection_is_held(&w).await;
    })
    .await;
}

/// All connections that there may be are to be had at once.
async fn no_connection_is_held(w: &World) {
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let tx = tokio::time::timeout(Duration::from_secs(5), w.db.snapshot());
        held.push(tx.await.expect("a connection is free").unwrap());
    }
}

#[tokio::test]
async fn s52_over_a_day_of_logins_and_revocations_nothing_grows() {
    on_each(|w| async move {
        let rows = async || {
            let mut all = Vec::new();
            for table in ["identity_revocations", "identity_users", "identity_old_passwords"] {
                let sql = platform_db::built(format!("SELECT COUNT(*) FROM {table}"));
                let (n,): (i64,) = w.db.fetch_one(sql, Vec::new()).await.unwrap();
                all.push(n);
            }
            all
        };
        let mut most = [Vec::new(), Vec::new()];
        for quarter in 0..96 {
            let admin = w.admin().await;
            let name = format!("u{quarter}");
            let path = format!("/v3/users/{}", w.user(&admin, &name, None).await);
            let own = w.token(password(&name, &name), Value::Null).await;
            let forged = format!("{}x", &own[..own.len() - 1]);
            let asks = (0..20).map(|n| {
                let ask = [("x-auth-token", &*admin), ("x-subject-token", if n % 2 == 0 { &*own } else { &*forged })];
                let (w, want) = (&w, if n % 2 == 0 { 200 } else { 404 });
                async move { assert_eq!(w.call("GET", "/v3/auth/tokens", &ask, &Value::Null).await.status, want) }
            });
            futures_util::future::join_all(asks.map(Box::pin)).await;
            let ask = [("x-auth-token", &*admin), ("x-subject-token", &*own)];
            assert_eq!(w.call("DELETE", "/v3/auth/tokens", &ask, &Value::Null).await.status, 204);
            w.expect(200, "PATCH", &path, &admin, json!({"user": {"password": "another"}})).await;
            w.expect(200, "PATCH", &path, &admin, json!({"user": {"enabled": false}})).await;
            w.expect(204, "DELETE", &path, &admin, Value::Null).await;
            // a quarter of the day to fill, the rest to stay at that
            most[usize::from(quarter >= 24)].push(rows().await);
            w.clock.advance(Duration::from_secs(15 * 60));
        }
        let [filling, after] = most;
        assert_eq!(after.iter().max(), filling.iter().max());
        no_connection_is_held(&w).await;
    })
    .await;
}

/// Fewer than a test's pool has, and more than one that leaks at every second request would have left.
const CONNECTIONS: usize = 4;

#[tokio::test]
async fn s54_a_child_is_found_under_its_own_parent_only() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        let (ann, bob) =
            (w.user(&admin, "ann", Some(("member", &p))).await, w.user(&admin, "bob", Some(("member", &p))).await);
        let (a, b) =
            (w.token(password("ann", "ann"), project(&p)).await, w.token(password("bob", "bob"), project(&p)).await);
        let rules = json!([{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]);
        let ac = json!({"application_credential": {"name": "x", "access_rules": rules}});
        let ac =
            w.post(&format!("/v3/users/{ann}/application_credentials"), &a, ac).await["application_credential"].clone();
        let ec2 = w.post(&format!("/v3/users/{ann}/credentials/OS-EC2"), &a, json!({"tenant_id": p})).await;
        let cert = json!({"credential": {"type": "cert", "user_id": ann, "project_id": p, "blob": "x"}});
        let cert = w.post("/v3/credentials", &a, cert).await["credential"]["id"].clone();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let children = [
            ("application_credentials", text(&ac["id"])),
            ("access_rules", text(&ac["access_rules"][0]["id"])),
            ("credentials/OS-EC2", text(&ec2["credential"]["access"])),
        ];
        for (what, id) in &children {
            for method in ["GET", "DELETE"] {
                // Ann's child under Bob's path, by Bob and by an administrator; and under Ann's, by Bob
                for (token, parent, want) in [(&b, &bob, 404), (&b, &ann, 403)] {
                    let path = format!("/v3/users/{parent}/{what}/{id}");
                    w.expect(want, method, &path, token, Value::Null).await;
                }
            }
            let listed = w.get(&format!("/v3/users/{bob}/{what}"), &b).await;
            assert!(!listed.to_string().contains(id.as_str()), "{what}");
            w.get(&format!("/v3/users/{ann}/{what}/{id}"), &a).await;
        }
        // a filter is no right
        for filter in [format!("user_id={ann}"), "type=cert".to_owned(), format!("project_id={p}")] {
            let listed = w.get(&format!("/v3/credentials?{filter}"), &b).await;
            assert_eq!(listed["credentials"], json!([]), "{filter}");
        }
        w.expect(403, "GET", &format!("/v3/credentials/{}", text(&cert)), &b, Value::Null).await;
        let foreign = format!("/v3/role_assignments?user.id={ann}&scope.project.id={p}");
        w.expect(403, "GET", &foreign, &b, Value::Null).await;
        let limits = format!("/v3/limits?project_id={}", {
            let scoped = w.token(password("admin", crate::world::PASSWORD), admin_project()).await;
            w.identity.authenticate(&scoped).await.unwrap().project_id().unwrap().to_string()
        });
        assert_eq!(w.get(&limits, &b).await["limits"], json!([]));
    })
    .await;
}
