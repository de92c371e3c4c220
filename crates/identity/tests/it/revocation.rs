//! What makes tokens void, and what does not.

use crate::world::{PASSWORD, by_token, names, on_each, password, project, with_config};
use identity::Scheme;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn switching_things_off_and_on_does_not_bring_tokens_back() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        let user = w.user(&admin, "ann", Some(("member", &p))).await;
        let log_in = async || w.token(password("ann", "ann"), project(&p)).await;
        for (path, key) in [(format!("/v3/users/{user}"), "user"), (format!("/v3/projects/{p}"), "project")] {
            let token = log_in().await;
            assert!(w.is_good(&token).await);
            w.expect(200, "PATCH", &path, &admin, json!({key: {"enabled": false}})).await;
            assert!(!w.is_good(&token).await, "{key} off");
            assert_eq!(w.log_in(password("ann", "ann"), project(&p)).await.status, 401);
            w.expect(200, "PATCH", &path, &admin, json!({key: {"enabled": true}})).await;
            assert!(!w.is_good(&token).await, "{key} on again");
            assert!(w.is_good(&log_in().await).await, "but a new one is good");
            w.clock.advance(Duration::from_secs(1));
        }
        let events = w.get("/v3/OS-REVOKE/events", &admin).await;
        assert_eq!(events["events"].as_array().unwrap().len(), 2, "{events}");
        assert_eq!(events["events"][0]["user_id"], user.as_str());
    })
    .await;
}

#[tokio::test]
async fn of_two_revocations_in_one_second_the_second_one_counts_too() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let user = w.user(&admin, "ann", None).await;
        let path = format!("/v3/users/{user}");
        let log_in = async || w.log_in(password("ann", "ann"), Value::Null).await;
        let first = log_in().await.text("x-subject-token");
        w.expect(200, "PATCH", &path, &admin, json!({"user": {"enabled": false}})).await;
        w.expect(200, "PATCH", &path, &admin, json!({"user": {"enabled": true}})).await;
        // the clock goes on while the login waits for the next second
        let waits = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            w.clock.advance(Duration::from_secs(1));
        };
        let (second, ()) = tokio::join!(log_in(), waits);
        let second = second.text("x-subject-token");
        assert!(!w.is_good(&first).await && w.is_good(&second).await);
        w.clock.advance(Duration::from_millis(200));
        w.expect(200, "PATCH", &path, &admin, json!({"user": {"enabled": false}})).await;
        w.expect(200, "PATCH", &path, &admin, json!({"user": {"enabled": true}})).await;
        assert!(!w.is_good(&second).await, "made after the first revocation, before the second");
    })
    .await;
}

/// A login that is under way when the password is changed has proved nothing.
#[tokio::test]
async fn a_password_that_is_changed_while_it_is_checked_is_good_for_nothing() {
    with_config(
        |c| c.scheme = Scheme::Scrypt { log_n: 15, r: 8, p: 1 },
        |w| async move {
            let admin = w.admin().await;
            let user = w.user(&admin, "ann", None).await;
            let change = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                w.clock.advance(Duration::from_millis(20));
                // disabling and enabling hashes nothing: it is over before the login's hash is
                for enabled in [false, true] {
                    let body = json!({"user": {"enabled": enabled}});
                    w.expect(200, "PATCH", &format!("/v3/users/{user}"), &admin, body).await;
                }
            };
            let (reply, ()) = tokio::join!(w.log_in(password("ann", "ann"), Value::Null), change);
            assert_eq!(reply.status, 401, "{}", reply.body);
            w.clock.advance(Duration::from_secs(1));
            assert_eq!(w.log_in(password("ann", "ann"), Value::Null).await.status, 201);
        },
    )
    .await;
}

#[tokio::test]
async fn a_token_loses_the_roles_its_user_loses() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        let user = w.user(&admin, "ann", Some(("member", &p))).await;
        let manager = w.role(&admin, "manager").await;
        let token = w.token(password("ann", "ann"), project(&p)).await;
        let shown = async || {
            let ask = [("x-auth-token", &*admin), ("x-subject-token", &*token)];
            names(&w.call("GET", "/v3/auth/tokens", &ask, &Value::Null).await.body["token"]["roles"])
        };
        assert_eq!(shown().await, ["member", "reader"]);
        let grant = format!("/v3/projects/{p}/users/{user}/roles/{manager}");
        w.expect(204, "PUT", &grant, &admin, Value::Null).await;
        assert_eq!(shown().await, ["manager", "member", "reader"]);
        w.expect(204, "DELETE", &grant, &admin, Value::Null).await;
        assert_eq!(shown().await, ["member", "reader"]);
        let member = w.role(&admin, "member").await;
        w.expect(204, "DELETE", &format!("/v3/projects/{p}/users/{user}/roles/{member}"), &admin, Value::Null).await;
        assert!(!w.is_good(&token).await);
    })
    .await;
}

#[tokio::test]
async fn revoking_one_token_leaves_those_made_from_it() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let first = w.token(password("admin", PASSWORD), Value::Null).await;
        let second = w.token(by_token(&first), crate::world::admin_project()).await;
        let own = [("x-auth-token", &*first), ("x-subject-token", &*first)];
        assert_eq!(w.call("DELETE", "/v3/auth/tokens", &own, &Value::Null).await.status, 204);
        assert!(!w.is_good(&first).await);
        assert!(w.is_good(&second).await);
        assert_eq!(w.log_in(by_token(&first), Value::Null).await.status, 404);
        // nobody but the owner and administrators may
        w.user(&admin, "ann", None).await;
        let ann = w.token(password("ann", "ann"), Value::Null).await;
        let foreign = [("x-auth-token", &*ann), ("x-subject-token", &*second)];
        assert_eq!(w.call("DELETE", "/v3/auth/tokens", &foreign, &Value::Null).await.status, 403);
        assert_eq!(w.call("GET", "/v3/auth/tokens", &foreign, &Value::Null).await.status, 403);
    })
    .await;
}

#[tokio::test]
async fn a_service_may_ask_about_a_token_that_has_just_expired() {
    on_each(|w| async move {
        let old = w.admin().await;
        w.clock.advance(Duration::from_secs(3601));
        let admin = w.admin().await;
        let ask = [("x-auth-token", &*admin), ("x-subject-token", &*old)];
        assert_eq!(w.call("GET", "/v3/auth/tokens", &ask, &Value::Null).await.status, 404);
        assert_eq!(w.call("GET", "/v3/auth/tokens?allow_expired=1", &ask, &Value::Null).await.status, 200);
        assert!(!w.is_good(&old).await);
        assert_eq!(w.call("GET", "/v3/users", &[("x-auth-token", &old)], &Value::Null).await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn many_requests_with_a_stale_token_ask_the_database_once() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let role = json!({"role": {"name": "x"}});
        let role = w.post("/v3/roles", &admin, role).await["role"]["id"].as_str().unwrap().to_owned();
        w.expect(204, "DELETE", &format!("/v3/roles/{role}"), &admin, Value::Null).await;
        let before = w.db.statements();
        assert!(w.is_good(&admin).await);
        let once = w.db.statements() - before;
        let role = w.post("/v3/roles", &admin, json!({"role": {"name": "y"}})).await;
        let path = format!("/v3/roles/{}", role["role"]["id"].as_str().unwrap());
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        let before = w.db.statements();
        let all = futures_util::future::join_all((0..100).map(|_| w.is_good(&admin))).await;
        assert!(all.into_iter().all(|good| good));
        // the look for other processes' changes may come in between
        let now = w.db.statements() - before;
        assert!(now <= once + 2, "{now} statements, {once} for one");
        let before = w.db.statements();
        for _ in 0..100 {
            assert!(w.is_good(&admin).await);
        }
        assert!(w.db.statements() - before <= 2, "known tokens cost none");
    })
    .await;
}
