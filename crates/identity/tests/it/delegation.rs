//! Application credentials and trusts: less than the user, never more.

use crate::world::{World, names, on_each, password, project};
use platform_http::{Asked, Authenticate, Method};
use serde_json::{Value, json};
use std::time::Duration;

fn by_app_cred(id: &Value, secret: &Value) -> Value {
    json!({"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}})
}

async fn ann(w: &World) -> (String, String, String, String) {
    let admin = w.admin().await;
    let p = w.project(&admin, "p").await;
    let ann = w.user(&admin, "ann", Some(("manager", &p))).await;
    let token = w.token(password("ann", "ann"), project(&p)).await;
    (admin, p, ann, token)
}

#[tokio::test]
async fn what_an_application_credential_makes_does_not_outlive_it() {
    on_each(|w| async move {
        let (_, _, ann, token) = ann(&w).await;
        let all = format!("/v3/users/{ann}/application_credentials");
        let body = json!({"application_credential": {"name": "first", "unrestricted": true,
                                                     "expires_at": "2026-01-02T03:34:05"}});
        let made = w.post(&all, &token, body).await["application_credential"].clone();
        let first = w.log_in(by_app_cred(&made["id"], &made["secret"]), Value::Null).await.text("x-subject-token");
        let named = |name: &str, end: Value| json!({"application_credential": {"name": name, "expires_at": end}});
        w.expect(403, "POST", &all, &first, named("later", json!("2026-01-02T03:34:06"))).await;
        let sooner = w.post(&all, &first, named("sooner", json!("2026-01-02T03:20:00"))).await;
        assert_eq!(sooner["application_credential"]["expires_at"], "2026-01-02T03:20:00.000000");
        let silent = w.post(&all, &first, json!({"application_credential": {"name": "silent"}})).await;
        assert_eq!(silent["application_credential"]["expires_at"], "2026-01-02T03:34:05.000000");
    })
    .await;
}

#[tokio::test]
async fn an_application_credential_logs_in_with_the_roles_it_was_given() {
    on_each(|w| async move {
        let (admin, p, ann, token) = ann(&w).await;
        let all = format!("/v3/users/{ann}/application_credentials");
        let body = json!({"application_credential": {"name": "ci", "roles": [{"name": "member"}],
            "expires_at": "2026-01-02T03:34:05",
            "access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}});
        let made = w.post(&all, &token, body.clone()).await["application_credential"].clone();
        assert_eq!(made["project_id"], p.as_str());
        assert_eq!(made["expires_at"], "2026-01-02T03:34:05.000000");
        assert_eq!(names(&made["roles"]), ["member", "reader"]);
        assert_eq!(made["unrestricted"], false);
        assert_eq!(made["access_rules"][0]["path"], "/v2.1/servers");
        w.expect(409, "POST", &all, &token, body).await;
        let one = format!("{all}/{}", made["id"].as_str().unwrap());
        assert_eq!(w.get(&one, &token).await["application_credential"].get("secret"), None);

        // a token with access rules is no good where nobody looks at them
        let limited = w.log_in(by_app_cred(&made["id"], &made["secret"]), Value::Null).await;
        assert_eq!(limited.status, 201, "{}", limited.body);
        let limited = limited.text("x-subject-token");
        assert!(!w.is_good(&limited).await);
        let ask = async |method: Method, path: &str| {
            w.identity.authenticate_for(&limited, Asked { service: "compute-api", method: &method, path }).await.is_ok()
        };
        assert!(ask(Method::GET, "/v2.1/servers").await, "and good for what its rules say");
        assert!(!ask(Method::POST, "/v2.1/servers").await);
        assert!(!ask(Method::GET, "/v2.1/flavors").await);
        w.expect(401, "GET", "/v3/auth/projects", &limited, Value::Null).await;

        let body = json!({"application_credential": {"name": "plain", "roles": [{"name": "member"}],
                                                     "expires_at": "2026-01-02T03:34:05Z"}});
        let made = w.post(&all, &token, body).await["application_credential"].clone();
        let reply = w.log_in(by_app_cred(&made["id"], &made["secret"]), Value::Null).await;
        let t = &reply.body["token"];
        assert_eq!(t["methods"], json!(["application_credential"]));
        assert_eq!(t["project"]["id"], p.as_str());
        assert_eq!(names(&t["roles"]), ["member", "reader"]);
        assert_eq!(t["expires_at"], "2026-01-02T03:34:05.000000Z", "not longer than the credential");
        assert_eq!(t["application_credential"]["restricted"], true);
        let made_with = reply.text("x-subject-token");
        assert!(w.is_good(&made_with).await);
        // it cannot outgrow itself
        let other = w.project(&admin, "other").await;
        let scope = json!({"project": {"id": other}});
        assert_eq!(w.log_in(by_app_cred(&made["id"], &made["secret"]), scope).await.status, 401);
        w.expect(403, "POST", &all, &made_with, json!({"application_credential": {"name": "more"}})).await;
        let by_name = json!({"methods": ["application_credential"], "application_credential": {"name": "plain",
            "user": {"name": "ann", "domain": {"id": "default"}}, "secret": made["secret"]}});
        assert_eq!(w.log_in(by_name, Value::Null).await.status, 201);
        assert_eq!(w.log_in(by_app_cred(&made["id"], &json!("wrong")), Value::Null).await.status, 401);
        let rescoped = w.log_in(crate::world::by_token(&made_with), Value::Null).await;
        assert_eq!(rescoped.status, 403, "its token makes no other: {}", rescoped.body);

        let stranger = w.user(&admin, "bob", Some(("member", &p))).await;
        let bob = w.token(password("bob", "bob"), project(&p)).await;
        w.expect(403, "GET", &all, &bob, Value::Null).await;
        w.expect(403, "POST", &all, &bob, json!({"application_credential": {"name": "x"}})).await;
        let bobs = format!("/v3/users/{stranger}/application_credentials");
        w.expect(404, "GET", &format!("{bobs}/{}", made["id"].as_str().unwrap()), &bob, Value::Null).await;
        let too_much = json!({"application_credential": {"name": "x", "roles": [{"name": "admin"}]}});
        w.expect(400, "POST", &bobs, &bob, too_much).await;

        w.expect(204, "DELETE", &format!("{all}/{}", made["id"].as_str().unwrap()), &token, Value::Null).await;
        assert!(!w.is_good(&made_with).await);
        let rules = w.get(&format!("/v3/users/{ann}/access_rules"), &token).await;
        let rule = rules["access_rules"][0]["id"].as_str().unwrap().to_owned();
        w.expect(403, "DELETE", &format!("/v3/users/{ann}/access_rules/{rule}"), &token, Value::Null).await;
        w.expect(204, "DELETE", &one, &token, Value::Null).await;
        w.expect(204, "DELETE", &format!("/v3/users/{ann}/access_rules/{rule}"), &token, Value::Null).await;
        w.expect(204, "DELETE", &format!("/v3/users/{ann}"), &admin, Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn a_trust_hands_on_roles_until_it_ends() {
    on_each(|w| async move {
        let (admin, p, ann, token) = ann(&w).await;
        let bob = w.user(&admin, "bob", None).await;
        let body = |extra: Value| {
            let mut trust = json!({"trustor_user_id": ann, "trustee_user_id": bob, "project_id": p,
                                   "impersonation": true, "roles": [{"name": "member"}]});
            trust.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            json!({"trust": trust})
        };
        w.expect(403, "POST", "/v3/OS-TRUST/trusts", &admin, body(json!({}))).await;
        w.expect(403, "POST", "/v3/OS-TRUST/trusts", &token, body(json!({"roles": []}))).await;
        w.expect(404, "POST", "/v3/OS-TRUST/trusts", &token, body(json!({"roles": [{"name": "admin"}]}))).await;
        w.expect(400, "POST", "/v3/OS-TRUST/trusts", &token, body(json!({"expires_at": "2020-01-01T00:00:00Z"}))).await;
        let made = w.post("/v3/OS-TRUST/trusts", &token, body(json!({"remaining_uses": 2}))).await["trust"].clone();
        let path = format!("/v3/OS-TRUST/trusts/{}", made["id"].as_str().unwrap());
        assert_eq!(names(&made["roles"]), ["member"]);
        let scope = json!({"OS-TRUST:trust": {"id": made["id"]}});
        assert_eq!(w.log_in(password("ann", "ann"), scope.clone()).await.status, 403, "not the trustee");
        let reply = w.log_in(password("bob", "bob"), scope.clone()).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let t = &reply.body["token"];
        assert_eq!((&t["user"]["name"], &t["project"]["id"]), (&json!("ann"), &json!(p)));
        assert_eq!(names(&t["roles"]), ["member", "reader"]);
        assert_eq!(t["OS-TRUST:trust"]["trustee_user"]["id"], bob.as_str());
        let trusted = reply.text("x-subject-token");
        assert_eq!(w.identity.authenticate(&trusted).await.unwrap().user_name, "ann");
        let more = json!({"application_credential": {"name": "x"}});
        w.expect(403, "POST", &format!("/v3/users/{ann}/application_credentials"), &trusted, more).await;
        assert_eq!(w.log_in(crate::world::by_token(&trusted), Value::Null).await.status, 403);
        assert_eq!(w.get(&path, &token).await["trust"]["remaining_uses"], 1);
        assert_eq!(w.log_in(password("bob", "bob"), scope.clone()).await.status, 201);
        w.expect(404, "GET", &path, &token, Value::Null).await;
        assert_eq!(w.log_in(password("bob", "bob"), scope).await.status, 403, "used up");

        let long = w.post("/v3/OS-TRUST/trusts", &token, body(json!({"impersonation": false}))).await["trust"].clone();
        let scope = json!({"OS-TRUST:trust": {"id": long["id"]}});
        let as_bob = w.log_in(password("bob", "bob"), scope).await;
        assert_eq!(as_bob.body["token"]["user"]["name"], "bob");
        let as_bob = as_bob.text("x-subject-token");
        assert!(w.is_good(&as_bob).await);
        let list = w.get(&format!("/v3/OS-TRUST/trusts?trustor_user_id={ann}"), &token).await;
        assert_eq!(list["trusts"].as_array().unwrap().len(), 2);
        w.expect(403, "GET", "/v3/OS-TRUST/trusts", &token, Value::Null).await;
        let manager = w.role(&admin, "manager").await;
        w.expect(204, "DELETE", &format!("/v3/projects/{p}/users/{ann}/roles/{manager}"), &admin, Value::Null).await;
        assert!(!w.is_good(&as_bob).await, "the trustor has lost the role");
    })
    .await;
}

#[tokio::test]
async fn what_an_application_credential_makes_keeps_its_access_rules() {
    on_each(|w| async move {
        let (_, _, ann, token) = ann(&w).await;
        let all = format!("/v3/users/{ann}/application_credentials");
        let make = "/v3/users/*/application_credentials".to_owned();
        let rule =
            |service: &str, method: &str, path: &str| json!({"service": service, "method": method, "path": path});
        let rules = json!([rule("identity", "POST", &make), rule("compute", "GET", "/v2.1/servers/*")]);
        let body = json!({"application_credential": {"name": "first", "unrestricted": true, "access_rules": rules}});
        let made = w.post(&all, &token, body).await["application_credential"].clone();
        let first = w.log_in(by_app_cred(&made["id"], &made["secret"]), Value::Null).await.text("x-subject-token");
        let named = |name: &str, rules: Value| json!({"application_credential": {"name": name, "access_rules": rules}});
        for (n, wider) in [
            rule("compute", "POST", "/v2.1/servers/*"),
            rule("compute", "GET", "/v2.1/**"),
            rule("image", "GET", "/v2.1/servers/*"),
        ]
        .into_iter()
        .enumerate()
        {
            w.expect(403, "POST", &all, &first, named(&format!("wider{n}"), json!([wider]))).await;
        }
        let shown = async |name: &str, rules: Value| {
            let made = w.post(&all, &first, named(name, rules)).await;
            let rules = made["application_credential"]["access_rules"].as_array().unwrap().clone();
            rules.iter().map(|r| r["path"].as_str().unwrap().to_owned()).collect::<std::collections::BTreeSet<_>>()
        };
        let narrow = shown("narrow", json!([rule("compute", "GET", "/v2.1/servers/1")])).await;
        assert_eq!(narrow.into_iter().collect::<Vec<_>>(), ["/v2.1/servers/1"]);
        let silent = shown("silent", json!([])).await;
        assert_eq!(silent.into_iter().collect::<Vec<_>>(), ["/v2.1/servers/*", make.as_str()]);
    })
    .await;
}

#[tokio::test]
async fn of_several_proofs_the_one_that_ends_first_ends_the_token() {
    on_each(|w| async move {
        let (_, p, ann, token) = ann(&w).await;
        let all = format!("/v3/users/{ann}/application_credentials");
        let body = json!({"application_credential": {"name": "short", "expires_at": "2026-01-02T03:34:05"}});
        let short = w.post(&all, &token, body).await["application_credential"].clone();
        let made = w.post(&all, &token, json!({"application_credential": {"name": "long"}})).await;
        let long = made["application_credential"].clone();
        let both = |methods: [&str; 2], token: &str, credential: &Value| {
            json!({"methods": methods, "token": {"id": token},
                   "application_credential": {"id": credential["id"], "secret": credential["secret"]}})
        };
        for methods in [["application_credential", "token"], ["token", "application_credential"]] {
            let reply = w.log_in(both(methods, &token, &short), Value::Null).await;
            let t = &reply.body["token"];
            assert_eq!(t["expires_at"], "2026-01-02T03:34:05.000000Z", "{methods:?}");
            assert_eq!(t["application_credential"]["id"], short["id"], "{methods:?}");
            // a token of one credential beside another one
            let of_short = reply.text("x-subject-token");
            assert_eq!(w.log_in(both(methods, &of_short, &long), Value::Null).await.status, 403, "{methods:?}");
        }
        w.clock.advance(Duration::from_secs(600));
        let mut identity = password("ann", "ann");
        for methods in [["password", "token"], ["token", "password"]] {
            identity["methods"] = json!(methods);
            identity["token"] = json!({"id": token});
            let reply = w.log_in(identity.clone(), project(&p)).await;
            assert_eq!(reply.body["token"]["expires_at"], "2026-01-02T04:04:05.000000Z", "{methods:?}");
        }
    })
    .await;
}

/// A trust of Ann's to Bob on her project, and its id.
async fn trust(w: &World, token: &str, ann: &str, bob: &str, p: &str, extra: Value) -> Value {
    let mut trust = json!({"trustor_user_id": ann, "trustee_user_id": bob, "project_id": p,
                           "impersonation": true, "roles": [{"name": "member"}]});
    trust.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let made = w.post("/v3/OS-TRUST/trusts", token, json!({"trust": trust})).await;
    made["trust"]["id"].clone()
}

#[tokio::test]
async fn a_trust_s_token_ends_with_its_trust() {
    on_each(|w| async move {
        let (admin, p, ann, token) = ann(&w).await;
        let bob = w.user(&admin, "bob", None).await;
        let ends = json!({"expires_at": "2026-01-02T03:14:05.500000Z"});
        let id = trust(&w, &token, &ann, &bob, &p, ends).await;
        let by_trust = async |id: &Value| w.log_in(password("bob", "bob"), json!({"OS-TRUST:trust": {"id": id}})).await;
        let reply = by_trust(&id).await;
        assert_eq!(reply.body["token"]["expires_at"], "2026-01-02T03:14:05.000000Z", "ten minutes, not an hour");
        let trusted = reply.text("x-subject-token");
        let facts = w.identity.authenticate(&trusted).await.unwrap();
        assert_eq!(facts.expires_at.micros_z(), "2026-01-02T03:14:05.000000Z", "what others may remember it for");
        w.clock.advance(Duration::from_secs(600));
        assert!(!w.is_good(&trusted).await, "although nothing was written since");

        let id = trust(&w, &token, &ann, &bob, &p, json!({})).await;
        let trusted = by_trust(&id).await.text("x-subject-token");
        assert!(w.is_good(&trusted).await);
        w.expect(204, "DELETE", &format!("/v3/OS-TRUST/trusts/{}", id.as_str().unwrap()), &token, Value::Null).await;
        assert!(!w.is_good(&trusted).await, "at once");
    })
    .await;
}

#[tokio::test]
async fn a_trust_s_token_ends_with_its_trustor_s_and_its_trustee_s_and_does_not_come_back() {
    on_each(|w| async move {
        let (admin, p, ann, _) = ann(&w).await;
        let bob = w.user(&admin, "bob", None).await;
        for who in [&ann, &bob] {
            let token = w.token(password("ann", "ann"), project(&p)).await;
            let id = trust(&w, &token, &ann, &bob, &p, json!({"impersonation": false})).await;
            let scope = json!({"OS-TRUST:trust": {"id": id}});
            let trusted = w.token(password("bob", "bob"), scope.clone()).await;
            assert!(w.is_good(&trusted).await);
            let path = format!("/v3/users/{who}");
            w.expect(200, "PATCH", &path, &admin, json!({"user": {"enabled": false}})).await;
            assert!(!w.is_good(&trusted).await, "{who} off");
            assert_eq!(w.log_in(password("bob", "bob"), scope.clone()).await.status, 401);
            w.expect(200, "PATCH", &path, &admin, json!({"user": {"enabled": true}})).await;
            assert!(!w.is_good(&trusted).await, "{who} on again");
            let again = w.token(password("bob", "bob"), scope).await;
            assert!(w.is_good(&again).await, "a new one is good in the same second");
            w.clock.advance(Duration::from_secs(1));
        }
    })
    .await;
}

#[tokio::test]
async fn a_redelegated_trust_ends_with_whoever_s_roles_it_hands_on() {
    on_each(|w| async move {
        let (admin, p, ann, token) = ann(&w).await;
        let bob = w.user(&admin, "bob", None).await;
        let cid = w.user(&admin, "cid", None).await;
        let may = json!({"impersonation": false, "allow_redelegation": true});
        let first = trust(&w, &token, &ann, &bob, &p, may).await;
        let bobs = w.token(password("bob", "bob"), json!({"OS-TRUST:trust": {"id": first}})).await;
        let second = trust(&w, &bobs, &bob, &cid, &p, json!({"impersonation": false})).await;
        let cids = w.token(password("cid", "cid"), json!({"OS-TRUST:trust": {"id": second}})).await;
        assert!(w.is_good(&cids).await);
        w.expect(200, "PATCH", &format!("/v3/users/{ann}"), &admin, json!({"user": {"enabled": false}})).await;
        assert!(!w.is_good(&cids).await, "the roles are those of the first trustor");
    })
    .await;
}

#[tokio::test]
async fn an_expired_application_credential_is_none() {
    on_each(|w| async move {
        let (_, _, ann, token) = ann(&w).await;
        let all = format!("/v3/users/{ann}/application_credentials");
        let body =
            json!({"application_credential": {"name": "ci", "expires_at": "2026-01-02T03:10:00", "secret": "s"}});
        let made = w.post(&all, &token, body).await["application_credential"].clone();
        assert_eq!(made["secret"], "s");
        let past = json!({"application_credential": {"name": "x", "expires_at": "2025-01-02T03:10:00"}});
        w.expect(400, "POST", &all, &token, past).await;
        w.clock.advance(Duration::from_secs(3600));
        assert_eq!(w.log_in(by_app_cred(&made["id"], &made["secret"]), Value::Null).await.status, 401);
    })
    .await;
}
