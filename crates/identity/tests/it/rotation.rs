//! Keys that change under load: no request notices.

use crate::world::{on_each, password, project};
use identity::Identity;
use identity::token::keys::{CREDENTIAL_KEYS, FERNET_KEYS, rotate};
use identity::token::{KeyRepository, Rotation};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Longer than processes take to look.
const SETTLE: Duration = Duration::from_millis(2500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_load_without_one_failed_request() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        w.user(&admin, "ann", Some(("member", &p))).await;
        // another process on the same database and the same folder of keys
        let (other, _) = Identity::open(w.db.clone(), w.config.clone(), w.clock.clone()).await.unwrap();
        let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
        let oldest = w.token(password("ann", "ann"), project(&p)).await;
        // each logs in at one process and shows the token to both; the other has never seen it
        let worker = async || {
            while !stop.load(Ordering::Relaxed) {
                let token = w.token(password("ann", "ann"), project(&p)).await;
                for identity in [&other, &w.identity] {
                    identity.authenticate(&token).await.expect("a new token");
                    identity.authenticate(&oldest).await.expect("the oldest token");
                    served.fetch_add(1, Ordering::Relaxed);
                }
                tokio::task::yield_now().await;
            }
        };
        let rules = Rotation { settle: SETTLE, lives: Some(Duration::from_secs(3600)), at_least: 3 };
        let rotations = async {
            for primary in 2..5 {
                tokio::time::sleep(SETTLE + Duration::from_millis(100)).await;
                let done = rotate(&w.config.key_dir.join(FERNET_KEYS), &rules).unwrap();
                assert_eq!((done.primary, done.dropped.len()), (primary, 0));
                // some tokens are made with the new key before the other process has looked
                tokio::time::sleep(Duration::from_millis(1200)).await;
                let newest = KeyRepository::open(&w.config.key_dir.join(FERNET_KEYS)).unwrap();
                let token = w.token(password("ann", "ann"), project(&p)).await;
                assert!(newest.open_token(&token).is_some());
            }
            stop.store(true, Ordering::Relaxed);
        };
        let workers = futures_util::future::join_all((0..4).map(|_| Box::pin(worker())));
        tokio::join!(Box::pin(rotations), workers);
        assert!(served.into_inner() > 100);
    })
    .await;
}

#[tokio::test]
async fn stored_secrets_move_to_the_new_key_and_old_keys_go() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let me = w.get("/v3/users?name=admin", &admin).await["users"][0]["id"].clone();
        let mut paths = Vec::new();
        for n in 0..3 {
            let body = json!({"credential": {"type": "cert", "user_id": me, "blob": format!("secret {n}")}});
            let id = w.post("/v3/credentials", &admin, body).await["credential"]["id"].clone();
            paths.push(format!("/v3/credentials/{}", id.as_str().unwrap()));
        }
        w.post("/v3/OS-OAUTH1/consumers", &admin, json!({"consumer": {"description": "d"}})).await;
        let key_dir = w.config.key_dir.clone();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        for primary in 2..5 {
            let (rotated, done) =
                identity::rotate_credentials(&w.db, &key_dir, Duration::from_millis(1100)).await.unwrap();
            assert_eq!((rotated.primary, done.moved, done.lost.len()), (primary, 4, 0));
            let kept = std::fs::read_dir(key_dir.join(CREDENTIAL_KEYS)).unwrap().count();
            assert_eq!((kept, rotated.kept), (3, 3), "staged, primary and the one before it");
            for (n, path) in paths.iter().enumerate() {
                assert_eq!(w.get(path, &admin).await["credential"]["blob"], format!("secret {n}"));
            }
            // the running process must know the staged key before the next rotation: SETTLE, in earnest
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
        let keys = identity::credential_keys(&key_dir, None).unwrap();
        let again = identity::migrate_credentials(&w.db, &keys).await.unwrap();
        assert_eq!((again.moved, again.right, again.lost.len()), (0, 4, 0));

        // what no key opens keeps all keys
        let mut tx = w.db.begin().await.unwrap();
        let sql = "UPDATE identity_credentials SET encrypted_blob = 'gAAAAAforeign' WHERE id = $1";
        tx.execute(sql, platform_db::args![paths[0].rsplit('/').next().unwrap()]).await.unwrap();
        tx.commit().await.unwrap();
        let (rotated, done) = identity::rotate_credentials(&w.db, &key_dir, Duration::ZERO).await.unwrap();
        assert_eq!((rotated.dropped.len(), done.moved, done.lost.len()), (0, 3, 1));
        w.expect(400, "GET", &paths[0], &admin, Value::Null).await;
    })
    .await;
}
