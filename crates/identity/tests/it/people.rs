//! Users, groups, and the rules for passwords.

use crate::world::{PASSWORD, names, on_each, password, with_security};
use identity::{PasswordPattern, SecurityCompliance};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_user_from_making_to_removing() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let body = json!({"user": {"name": " ann ", "password": "one", "email": "ann@example.org", "enabled": true,
                                   "options": {"ignore_password_expiry": true}}});
        let made = w.post("/v3/users", &admin, body).await["user"].clone();
        let path = format!("/v3/users/{}", made["id"].as_str().unwrap());
        assert_eq!((&made["email"], &made["domain_id"]), (&json!("ann@example.org"), &json!("default")));
        assert_eq!(made["options"], json!({"ignore_password_expiry": true}));
        assert_eq!(made.get("password"), None);
        assert_eq!(w.get(&path, &admin).await["user"], made);
        w.expect(409, "POST", "/v3/users", &admin, json!({"user": {"name": "ann"}})).await;
        w.expect(404, "POST", "/v3/users", &admin, json!({"user": {"name": "x", "domain_id": "nope"}})).await;
        let bad = json!({"user": {"name": "x", "default_project_id": "default"}});
        w.expect(400, "POST", "/v3/users", &admin, bad).await;
        let change = json!({"user": {"name": "anna", "email": "new", "options": {"ignore_password_expiry": null}}});
        let changed = w.expect(200, "PATCH", &path, &admin, change).await["user"].clone();
        assert_eq!((&changed["name"], &changed["email"]), (&json!("anna"), &json!("new")));
        assert_eq!(changed["options"], json!({}));
        // the user may look at themselves, and at nobody else
        let ann = w.token(password("anna", "one"), Value::Null).await;
        assert_eq!(w.get(&path, &ann).await["user"]["name"], "anna");
        w.expect(403, "GET", "/v3/users", &ann, Value::Null).await;
        w.expect(403, "PATCH", &path, &ann, json!({"user": {"name": "boss"}})).await;
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        assert!(!w.is_good(&ann).await);
        w.expect(404, "GET", &path, &admin, Value::Null).await;
        assert_eq!(names(&w.get("/v3/users?name__contains=dmi", &admin).await["users"]), ["admin"]);
    })
    .await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    on_each(|w| async move {
        let admin = w.admin().await;
        for n in 0..4 {
            w.user(&admin, &format!("u{n}"), None).await;
        }
        let all = w.get("/v3/users", &admin).await;
        assert_eq!((&all["links"]["next"], all.get("truncated")), (&Value::Null, None));
        let mut seen = Vec::new();
        let mut path = "/v3/users?limit=2&enabled=true".to_owned();
        loop {
            let page = w.get(&path, &admin).await;
            let items = page["users"].as_array().unwrap();
            assert!(items.len() <= 2);
            seen.extend(items.iter().map(|u| u["id"].clone()));
            let Some(next) = page["links"]["next"].as_str() else { break };
            assert_eq!(page["truncated"], true);
            path = next.strip_prefix("http://cloud").unwrap().to_owned();
        }
        let ids: Vec<Value> = all["users"].as_array().unwrap().iter().map(|u| u["id"].clone()).collect();
        assert_eq!(seen, ids);
        w.expect(404, "GET", "/v3/users?limit=2&marker=nope", &admin, Value::Null).await;
        w.expect(400, "GET", "/v3/users?limit=-1", &admin, Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn groups_and_their_members() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let group = w.post("/v3/groups", &admin, json!({"group": {"name": "g", "description": "d"}})).await;
        let id = group["group"]["id"].as_str().unwrap().to_owned();
        let path = format!("/v3/groups/{id}");
        w.expect(409, "POST", "/v3/groups", &admin, json!({"group": {"name": "g"}})).await;
        let ann = w.user(&admin, "ann", None).await;
        let one = format!("{path}/users/{ann}");
        w.expect(404, "HEAD", &one, &admin, Value::Null).await;
        w.expect(204, "PUT", &one, &admin, Value::Null).await;
        w.expect(204, "PUT", &one, &admin, Value::Null).await;
        w.expect(204, "HEAD", &one, &admin, Value::Null).await;
        assert_eq!(names(&w.get(&format!("{path}/users"), &admin).await["users"]), ["ann"]);
        let token = w.token(password("ann", "ann"), Value::Null).await;
        assert_eq!(names(&w.get(&format!("/v3/users/{ann}/groups"), &token).await["groups"]), ["g"]);
        w.expect(403, "GET", &format!("{path}/users"), &token, Value::Null).await;
        w.expect(204, "DELETE", &one, &admin, Value::Null).await;
        w.expect(404, "DELETE", &one, &admin, Value::Null).await;
        w.expect(404, "PUT", &format!("{path}/users/nope"), &admin, Value::Null).await;
        let renamed = w.expect(200, "PATCH", &path, &admin, json!({"group": {"name": "h"}})).await;
        assert_eq!(renamed["group"]["description"], "d");
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        w.expect(404, "GET", &path, &admin, Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn changing_the_own_password_ends_old_tokens_but_not_the_next_login() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let id = w.user(&admin, "ann", None).await;
        let path = format!("/v3/users/{id}/password");
        let before = w.token(password("ann", "ann"), Value::Null).await;
        let change = |old: &str, new: &str| json!({"user": {"original_password": old, "password": new}});
        assert_eq!(w.call("POST", &path, &[], &change("wrong", "x")).await.status, 401);
        assert_eq!(w.call("POST", &path, &[], &json!({"user": {"password": "x"}})).await.status, 400);
        assert_eq!(w.call("POST", &path, &[], &change("ann", "new")).await.status, 204);
        assert!(!w.is_good(&before).await);
        assert!(w.is_good(&admin).await);
        assert_eq!(w.log_in(password("ann", "ann"), Value::Null).await.status, 401);
        let after = w.token(password("ann", "new"), Value::Null).await;
        assert!(w.is_good(&after).await, "although it is the same second");
        w.clock.advance(Duration::from_secs(2));
        assert!(w.is_good(&after).await);
        // an administrator's reset does the same
        w.expect(200, "PATCH", &format!("/v3/users/{id}"), &admin, json!({"user": {"password": "set"}})).await;
        assert!(!w.is_good(&after).await);
        w.token(password("ann", "set"), Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn accounts_lock_and_unlock() {
    let security = SecurityCompliance {
        lockout_failure_attempts: Some(2),
        lockout_duration: Some(Duration::from_secs(5)),
        ..SecurityCompliance::default()
    };
    with_security(security, |w| async move {
        let admin = w.admin().await;
        let id = w.user(&admin, "ann", None).await;
        let log_in = async |pw: &str| w.log_in(password("ann", pw), Value::Null).await.status;
        assert_eq!(log_in("bad").await, 401);
        assert_eq!(log_in("ann").await, 201, "a right one in between starts the count again");
        assert_eq!((log_in("bad").await, log_in("bad").await), (401, 401));
        assert_eq!(log_in("ann").await, 401, "locked");
        w.clock.advance(Duration::from_secs(5));
        assert_eq!(log_in("ann").await, 201, "for as long as configured");
        assert_eq!((log_in("bad").await, log_in("bad").await, log_in("ann").await), (401, 401, 401));
        w.expect(200, "PATCH", &format!("/v3/users/{id}"), &admin, json!({"user": {"enabled": true}})).await;
        assert_eq!(log_in("ann").await, 201, "unlocked by hand");
        let option = json!({"user": {"options": {"ignore_lockout_failure_attempts": true}}});
        w.expect(200, "PATCH", &format!("/v3/users/{id}"), &admin, option).await;
        for _ in 0..3 {
            log_in("bad").await;
        }
        assert_eq!(log_in("ann").await, 201, "exempt");
    })
    .await;
}

#[tokio::test]
async fn passwords_age_repeat_and_have_a_shape() {
    let security = SecurityCompliance {
        password_expires: Some(Duration::from_secs(86_400)),
        unique_last_password_count: 2,
        minimum_password_age: Duration::from_secs(60),
        password_pattern: Some(PasswordPattern::new("^.{3,}$", "three characters at least").unwrap()),
        ..SecurityCompliance::default()
    };
    with_security(security, |w| async move {
        let admin = w.admin().await;
        let id = w.user(&admin, "ann", None).await;
        let short = json!({"user": {"name": "bob", "password": "ab"}});
        let refused = w.expect(400, "POST", "/v3/users", &admin, short).await;
        assert!(refused["error"]["message"].as_str().unwrap().contains("three characters at least"));
        let path = format!("/v3/users/{id}/password");
        let change = async |old: &str, new: &str| {
            w.call("POST", &path, &[], &json!({"user": {"original_password": old, "password": new}})).await.status
        };
        assert_eq!(change("ann", "ann").await, 400, "the same again");
        assert_eq!(change("ann", "two").await, 204, "one that an administrator set may be changed at once");
        assert_eq!(change("two", "three").await, 400, "too young");
        w.clock.advance(Duration::from_secs(60));
        assert_eq!(change("two", "ann").await, 400, "one of the last two");
        assert_eq!(change("two", "three").await, 204);
        w.clock.advance(Duration::from_secs(60));
        assert_eq!(change("three", "ann").await, 204, "longer ago");
        let body = w.log_in(password("ann", "ann"), Value::Null).await.body;
        assert_eq!(body["token"]["user"]["password_expires_at"], "2026-01-03T03:06:05.000000");
        w.clock.advance(Duration::from_secs(86_400));
        let late = w.log_in(password("ann", "ann"), Value::Null).await;
        assert_eq!(late.status, 401);
        assert!(late.body["error"]["message"].as_str().unwrap().starts_with("The password is expired"));
        assert_eq!(w.log_in(password("admin", PASSWORD), Value::Null).await.status, 401, "the admin's, too");
        assert_eq!(change("ann", "four").await, 204, "and can still be changed");
        w.token(password("ann", "four"), Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn a_user_s_own_rules_ask_for_more_than_one_proof() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let id = w.user(&admin, "ann", None).await;
        let options = json!({"multi_factor_auth_enabled": true,
                             "multi_factor_auth_rules": [["password", "application_credential"]]});
        w.expect(200, "PATCH", &format!("/v3/users/{id}"), &admin, json!({"user": {"options": options}})).await;
        let reply = w.log_in(password("ann", "ann"), Value::Null).await;
        assert_eq!(reply.status, 401);
        assert!(reply.body["error"]["message"].as_str().unwrap().starts_with("Insufficient auth methods"));
        let unknown = json!({"multi_factor_auth_rules": [["password", "magic"]]});
        w.expect(200, "PATCH", &format!("/v3/users/{id}"), &admin, json!({"user": {"options": unknown}})).await;
        w.token(password("ann", "ann"), Value::Null).await;
    })
    .await;
}
