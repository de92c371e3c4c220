//! Another Keystone in place of ours. Here that is our own, over HTTP; the real one is tried by the clients' tests.

use crate::limits;
use crate::world::{NOW, PASSWORD, World, on_each, password, project};
use base::Secret;
use base::time::ManualClock;
use identity::keystone::{KeystoneAuth, KeystoneLimits, KeystoneSettings};
use identity::token::Rotation;
use identity::token::keys::{FERNET_KEYS, rotate};
use platform_http::{Asked, AuthError, Authenticate, Listening, Method, ProjectLimits, serve};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const GET: Asked<'static> = Asked { service: "compute-api", method: &Method::GET, path: "/v2.1/servers" };

struct Served {
    address: String,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn at(w: &World, address: &str) -> Self {
        let listening = Listening::bind(address).await.unwrap();
        let address = listening.address.to_string();
        let (stop, stopped) = watch::channel(false);
        let router = w.service.mount(axum::Router::new(), "");
        Self { address, stop, server: tokio::spawn(serve(listening, router, stopped)) }
    }

    fn settings(&self) -> KeystoneSettings {
        KeystoneSettings {
            url: format!("http://{}/v3", self.address),
            username: "admin".into(),
            password: Secret::new(PASSWORD),
            user_domain: "Default".into(),
            project: "admin".into(),
            project_domain: "Default".into(),
            ca_file: String::new(),
            cache: Duration::from_secs(10),
        }
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        self.server.await.unwrap();
    }
}

#[tokio::test]
async fn tokens_mean_there_what_they_mean_here() {
    on_each(|w| async move {
        let served = Served::at(&w, "127.0.0.1:0").await;
        let far = KeystoneAuth::new(&served.settings(), w.clock.clone()).unwrap();
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        w.user(&admin, "ann", Some(("member", &p))).await;
        let member = w.token(password("ann", "ann"), project(&p)).await;
        let system = w.token(password("admin", PASSWORD), json!({"system": {"all": true}})).await;
        let unscoped = w.token(password("ann", "ann"), json!("unscoped")).await;
        for token in [&admin, &member, &system, &unscoped] {
            let mut near = (*w.identity.authenticate_for(token, GET).await.unwrap()).clone();
            let mut far = (*far.authenticate_for(token, GET).await.unwrap()).clone();
            near.roles.sort();
            far.roles.sort();
            assert_eq!(far, near);
        }
        assert!(matches!(far.authenticate("gAAAAAforged").await, Err(AuthError::Invalid)));
        served.end().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_known_is_believed_while_it_is_away_and_nothing_else() {
    on_each(|w| async move {
        let served = Served::at(&w, "127.0.0.1:0").await;
        let far = KeystoneAuth::new(&served.settings(), w.clock.clone()).unwrap();
        let address = served.address.clone();
        let (known, unknown) = (w.admin().await, w.token(password("admin", PASSWORD), json!("unscoped")).await);
        far.authenticate(&known).await.unwrap();
        served.end().await;
        far.authenticate(&known).await.expect("still believed");
        assert!(matches!(far.authenticate(&unknown).await, Err(AuthError::Unavailable(_))));
        // back again, its keys rotated meanwhile
        let rules = Rotation { settle: Duration::ZERO, lives: None, at_least: 3 };
        rotate(&w.config.key_dir.join(FERNET_KEYS), &rules).unwrap();
        let served = Served::at(&w, &address).await;
        far.authenticate(&unknown).await.unwrap();
        served.end().await;
    })
    .await;
}

#[tokio::test]
async fn an_expired_token_is_not_believed_however_fresh_the_answer() {
    on_each(|w| async move {
        let served = Served::at(&w, "127.0.0.1:0").await;
        // a second before the token ends
        let clock = ManualClock::starting_at(NOW.plus(w.config.token_ttl - Duration::from_secs(1)));
        let far = KeystoneAuth::new(&served.settings(), clock).unwrap();
        let token = w.admin().await;
        far.authenticate(&token).await.unwrap();
        served.end().await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(matches!(far.authenticate(&token).await, Err(AuthError::Unavailable(_))), "it has to ask again");
    })
    .await;
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let settings = KeystoneSettings {
        url: "http://keystone.example.org:5000/v3".into(),
        username: "skyiron".into(),
        password: Secret::new("x"),
        user_domain: "Default".into(),
        project: "service".into(),
        project_domain: "Default".into(),
        ca_file: String::new(),
        cache: Duration::from_secs(10),
    };
    let clock = || -> Arc<ManualClock> { ManualClock::starting_at(NOW) };
    assert!(KeystoneAuth::new(&settings, clock()).is_ok());
    for (broken, why) in [
        (KeystoneSettings { url: "keystone.example.org".into(), ..settings.clone() }, "/v3"),
        (KeystoneSettings { url: "http://keystone.example.org".into(), ..settings.clone() }, "/v3"),
        (KeystoneSettings { username: String::new(), ..settings.clone() }, "username"),
        (KeystoneSettings { ca_file: "/nowhere.pem".into(), ..settings.clone() }, "/nowhere.pem"),
    ] {
        let refused = KeystoneAuth::new(&broken, clock()).map(drop).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[tokio::test]
async fn limits_are_asked_there() {
    on_each(|w| async move {
        let made = limits::made(&w).await;
        let served = Served::at(&w, "127.0.0.1:0").await;
        let far = KeystoneLimits::new(&served.settings(), limits::REGION).unwrap();
        let own = far.allowed("compute", &made.one).await.unwrap();
        assert_eq!(*own, limits::limits([("cores", 3), ("ram", -1)]));
        let others = far.allowed("compute", &made.other).await.unwrap();
        assert_eq!(*others, limits::limits([("cores", 10), ("ram", -1)]));
        made.raise(&w, 4).await;
        assert_eq!(far.allowed("compute", &made.one).await.unwrap().of("cores"), 3, "believed for a moment");
        let unknown = far.allowed("image", &made.one).await;
        assert!(unknown.is_err(), "a service that is not in the catalog: {unknown:?}");
        served.end().await;
    })
    .await;
}
