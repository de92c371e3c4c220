//! Tokens as a service in another process sees them: over the bus.

use crate::world::{World, on_each, password, project};
use identity::BusAuth;
use platform_bus::{Bus, LocalBus};
use platform_http::{Asked, AuthError, Authenticate, Method};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const GET: Asked<'static> = Asked { service: "compute-api", method: &Method::GET, path: "/v2.1/servers" };
const POST: Asked<'static> = Asked { method: &Method::POST, ..GET };

async fn member(w: &World) -> (String, String) {
    let admin = w.admin().await;
    let p = w.project(&admin, "p").await;
    w.user(&admin, "ann", Some(("member", &p))).await;
    let token = w.token(password("ann", "ann"), project(&p)).await;
    (admin, token)
}

#[tokio::test]
async fn facts_travel_and_a_change_is_known_at_once() {
    on_each(|w| async move {
        let (admin, token) = member(&w).await;
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let far = BusAuth::on(bus.clone(), w.clock.clone());
        let silent = far.authenticate_for(&token, GET).await;
        assert!(matches!(silent, Err(AuthError::Unavailable(_))), "nobody answers yet");
        let _served = identity::serve(&bus, &w.identity);
        let near = w.identity.authenticate_for(&token, GET).await.unwrap();
        assert_eq!(far.authenticate_for(&token, GET).await.unwrap(), near);
        assert_eq!(far.authenticate(&token).await.unwrap(), near);
        assert!(matches!(far.authenticate("gAAAAA").await, Err(AuthError::Invalid)));

        let headers = [("x-auth-token", &*admin), ("x-subject-token", &*token)];
        assert_eq!(w.call("DELETE", "/v3/auth/tokens", &headers, &Value::Null).await.status, 204);
        // the hint goes out on a task of its own
        let refused = async {
            while far.authenticate_for(&token, GET).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(2), refused).await.expect("refused long before it is forgotten");
    })
    .await;
}

#[tokio::test]
async fn what_was_heard_is_believed_for_a_moment_only() {
    on_each(|w| async move {
        let (_, token) = member(&w).await;
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let far = BusAuth::on(bus.clone(), w.clock.clone());
        let served = identity::serve(&bus, &w.identity);
        far.authenticate_for(&token, GET).await.unwrap();
        drop(served);
        far.authenticate_for(&token, GET).await.expect("still believed");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(matches!(far.authenticate_for(&token, GET).await, Err(AuthError::Unavailable(_))));
        tokio::time::resume();
    })
    .await;
}

#[tokio::test]
async fn access_rules_hold_for_each_request() {
    on_each(|w| async move {
        let (_, token) = member(&w).await;
        let ann = w.identity.authenticate(&token).await.unwrap().user_id.0.clone();
        let wanted = json!({"application_credential": {"name": "reads", "secret": "s3cret",
            "access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}});
        let made = w.post(&format!("/v3/users/{ann}/application_credentials"), &token, wanted).await;
        let login = json!({"methods": ["application_credential"], "application_credential":
            {"id": made["application_credential"]["id"], "secret": "s3cret"}});
        let token = w.token(login, Value::Null).await;
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let far = BusAuth::on(bus.clone(), w.clock.clone());
        let _served = identity::serve(&bus, &w.identity);
        for _ in 0..2 {
            assert!(far.authenticate_for(&token, GET).await.is_ok());
            assert!(matches!(far.authenticate_for(&token, POST).await, Err(AuthError::Invalid)));
            assert!(matches!(far.authenticate(&token).await, Err(AuthError::Invalid)));
        }
    })
    .await;
}
