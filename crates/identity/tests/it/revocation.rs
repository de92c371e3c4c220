//! What makes tokens void, and what does not.

use crate::world::{PASSWORD, by_token, names, on_each, password, project};
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
