//! Credentials, EC2 keys, OAuth consumers, policies: things that are only kept.

use crate::world::{on_each, password, project, with_config};
use identity::token::keys::{CREDENTIAL_KEYS, KeyRepository};
use identity::token::new_key;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[tokio::test]
async fn credentials_are_their_users_and_encrypted() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        let ann = w.user(&admin, "ann", Some(("member", &p))).await;
        let token = w.token(password("ann", "ann"), project(&p)).await;
        let body = json!({"credential": {"type": "cert", "user_id": ann, "blob": "very secret"}});
        let made = w.post("/v3/credentials", &token, body).await["credential"].clone();
        let path = format!("/v3/credentials/{}", made["id"].as_str().unwrap());
        assert_eq!(made["blob"], "very secret");
        let stored: Vec<(String,)> =
            w.db.fetch_all("SELECT encrypted_blob FROM identity_credentials", Vec::new()).await.unwrap();
        assert!(!stored[0].0.contains("secret"));
        w.user(&admin, "bob", Some(("member", &p))).await;
        let bob = w.token(password("bob", "bob"), project(&p)).await;
        w.expect(403, "GET", &path, &bob, Value::Null).await;
        assert_eq!(w.get("/v3/credentials", &bob).await["credentials"], json!([]));
        assert_eq!(w.get("/v3/credentials?type=cert", &token).await["credentials"].as_array().unwrap().len(), 1);
        assert_eq!(w.get("/v3/credentials?type=other", &token).await["credentials"], json!([]));
        let changed = w.expect(200, "PATCH", &path, &token, json!({"credential": {"blob": "new"}})).await;
        assert_eq!(changed["credential"]["blob"], "new");
        let bobs = w.get("/v3/users?name=bob", &admin).await["users"][0]["id"].clone();
        w.expect(400, "PATCH", &path, &token, json!({"credential": {"user_id": bobs, "blob": "x"}})).await;
        w.expect(204, "DELETE", &path, &token, Value::Null).await;
        w.expect(404, "GET", &path, &admin, Value::Null).await;
        let ec2 = json!({"credential": {"type": "ec2", "user_id": ann, "project_id": p, "blob": "not json"}});
        w.expect(400, "POST", "/v3/credentials", &token, ec2).await;
        let unanchored = json!({"credential": {"type": "ec2", "user_id": ann, "blob": "{}"}});
        w.expect(400, "POST", "/v3/credentials", &token, unanchored).await;
    })
    .await;
}

#[tokio::test]
async fn ec2_keys() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        let ann = w.user(&admin, "ann", Some(("member", &p))).await;
        let token = w.token(password("ann", "ann"), project(&p)).await;
        let all = format!("/v3/users/{ann}/credentials/OS-EC2");
        let made = w.post(&all, &token, json!({"tenant_id": p})).await["credential"].clone();
        let one = format!("{all}/{}", made["access"].as_str().unwrap());
        assert_eq!((&made["tenant_id"], &made["user_id"]), (&json!(p), &json!(ann)));
        assert_eq!(w.get(&one, &token).await["credential"], made);
        assert_eq!(w.get(&all, &token).await["credentials"], json!([made]));
        w.expect(404, "POST", &all, &token, json!({"tenant_id": "nope"})).await;
        // the general view of it, in which only the secret can be changed: another type would lose what it is bound to
        let listed = w.get("/v3/credentials?type=ec2", &token).await["credentials"].clone();
        let general = format!("/v3/credentials/{}", listed[0]["id"].as_str().unwrap());
        let access = made["access"].clone();
        for (key, value) in [("type", json!("cert")), ("project_id", Value::Null), ("user_id", json!("x"))] {
            let blob = json!({"access": access, "secret": "new"}).to_string();
            w.expect(400, "PATCH", &general, &token, json!({"credential": {key: value, "blob": blob}})).await;
        }
        let blob = json!({"access": access, "secret": "new"}).to_string();
        w.expect(200, "PATCH", &general, &token, json!({"credential": {"blob": blob}})).await;
        assert_eq!(w.get(&one, &token).await["credential"]["secret"], "new");
        let cert = json!({"credential": {"type": "cert", "user_id": ann, "blob": "{}"}});
        let cert = w.post("/v3/credentials", &token, cert).await["credential"]["id"].as_str().unwrap().to_owned();
        let blob = json!({"access": "a", "secret": "s"}).to_string();
        for kind in ["ec2", "EC2"] {
            let change = json!({"credential": {"type": kind, "blob": blob}});
            w.expect(400, "PATCH", &format!("/v3/credentials/{cert}"), &token, change).await;
        }
        w.user(&admin, "bob", Some(("member", &p))).await;
        let bob = w.token(password("bob", "bob"), project(&p)).await;
        w.expect(403, "GET", &one, &bob, Value::Null).await;
        w.expect(204, "DELETE", &one, &token, Value::Null).await;
        w.expect(404, "GET", &one, &token, Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn keys_of_a_file_that_somebody_else_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credential-key");
    let write = |mode: u32, text: &str| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let [first, second] = [new_key(), new_key()].map(|k| k.expose().to_owned());
    write(0o600, &format!("# of last year\n{first}\n"));
    with_config(
        |config| config.credential_key_file = Some(file.clone()),
        |w| {
            let (file, first, second, write) = (file.clone(), first.clone(), second.clone(), &write);
            async move {
                write(0o600, &first);
                let admin = w.admin().await;
                let me = w.get("/v3/users?name=admin", &admin).await["users"][0]["id"].clone();
                let body = json!({"credential": {"type": "cert", "user_id": me, "blob": "secret"}});
                let id = w.post("/v3/credentials", &admin, body).await["credential"]["id"].clone();
                let path = format!("/v3/credentials/{}", id.as_str().unwrap());
                let opens = async |key: &str| {
                    let rows: Vec<(String,)> =
                        w.db.fetch_all("SELECT encrypted_blob FROM identity_credentials", Vec::new()).await.unwrap();
                    let alone = tempfile::NamedTempFile::new().unwrap();
                    std::fs::write(alone.path(), key).unwrap();
                    KeyRepository::of_file(alone.path()).unwrap().open_token(&rows[0].0).is_some()
                };
                assert!(opens(&first).await && !opens(&second).await);
                assert!(!w.config.key_dir.join(CREDENTIAL_KEYS).exists(), "no other keys were made");
                // a rotation: the new one first, then everything moved, then the old one gone
                write(0o600, &format!("{second}\n{first}\n"));
                // the running process looks every second
                tokio::time::sleep(Duration::from_millis(1200)).await;
                let keys = identity::credential_keys(&w.config.key_dir, Some(&file)).unwrap();
                let done = identity::migrate_credentials(&w.db, &keys).await.unwrap();
                assert_eq!((done.moved, done.lost.len()), (1, 0));
                assert!(opens(&second).await && !opens(&first).await);
                assert_eq!(
                    w.get(&path, &admin).await["credential"]["blob"],
                    "secret",
                    "the running process knew the new one"
                );
                write(0o600, &second);
                let (again, _) =
                    identity::Identity::open(w.db.clone(), w.config.clone(), w.clock.clone()).await.unwrap();
                assert!(again.authenticate(&admin).await.is_ok());
                assert_eq!(w.get(&path, &admin).await["credential"]["blob"], "secret");
                for (mode, text) in [(0o604, &*second), (0o600, ""), (0o600, "no key")] {
                    write(mode, text);
                    let opened = identity::credential_keys(&w.config.key_dir, Some(&file));
                    assert!(opened.is_err(), "{mode:o} {text:?}");
                }
                write(0o600, &first);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn consumers_and_policies() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let made = w.post("/v3/OS-OAUTH1/consumers", &admin, json!({"consumer": {"description": "d"}})).await;
        let secret = made["consumer"]["secret"].as_str().unwrap().to_owned();
        let stored = async || {
            let rows: Vec<(String,)> =
                w.db.fetch_all("SELECT secret FROM identity_consumers", Vec::new()).await.unwrap();
            rows[0].0.clone()
        };
        assert!(stored().await.starts_with("gAAAAA"), "encrypted");
        // as an older version stored it: the next start encrypts it
        let mut tx = w.db.begin().await.unwrap();
        tx.execute("UPDATE identity_consumers SET secret = $1", platform_db::args![&secret]).await.unwrap();
        tx.commit().await.unwrap();
        identity::Identity::open(w.db.clone(), w.config.clone(), w.clock.clone()).await.unwrap();
        let sealed = stored().await;
        let keys = KeyRepository::open(&w.config.key_dir.join(CREDENTIAL_KEYS)).unwrap();
        assert_eq!(keys.open_token(&sealed).map(|(_, clear)| clear), Some(secret.into_bytes()));
        let path = format!("/v3/OS-OAUTH1/consumers/{}", made["consumer"]["id"].as_str().unwrap());
        assert_eq!(w.get(&path, &admin).await["consumer"].get("secret"), None);
        w.expect(200, "PATCH", &path, &admin, json!({"consumer": {"description": "e"}})).await;
        w.expect(400, "PATCH", &path, &admin, json!({"consumer": {"secret": "e"}})).await;
        assert_eq!(w.get("/v3/OS-OAUTH1/consumers", &admin).await["consumers"][0]["description"], "e");
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        w.expect(404, "GET", &path, &admin, Value::Null).await;

        let made = w.post("/v3/policies", &admin, json!({"policy": {"type": "t", "blob": "b"}})).await;
        let path = format!("/v3/policies/{}", made["policy"]["id"].as_str().unwrap());
        let changed = w.expect(200, "PATCH", &path, &admin, json!({"policy": {"type": "u"}})).await;
        assert_eq!((&changed["policy"]["type"], &changed["policy"]["blob"]), (&json!("u"), &json!("b")));
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        w.expect(404, "GET", &path, &admin, Value::Null).await;
    })
    .await;
}
