use crate::world::{ADMIN, MEMBER, PROJECT, World};
use serde_json::{Value, json};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILsrvPF40cKY0OYT+qxZzy+PxwgN13RtddNuHqSDGbEZ someone@somewhere";
const FINGERPRINT: &str = "3b:f0:d9:3a:d0:d9:fa:81:56:a5:ee:c4:6f:50:3c:ec";

fn named(name: &str) -> Value {
    json!({"keypair": {"name": name, "public_key": KEY}})
}

#[tokio::test]
async fn imported_shown_listed_deleted() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let made = me.post("/os-keypairs", named("k.1@home")).await.expect(201);
    let shown = json!({"keypair": {
        "name": "k.1@home", "type": "ssh", "public_key": KEY, "fingerprint": FINGERPRINT, "user_id": "alice"}});
    assert_eq!(made, shown);
    let one = me.get("/os-keypairs/k.1@home").await.expect(200)["keypair"].clone();
    assert_eq!((&one["deleted"], &one["updated_at"], &one["id"]), (&json!(false), &Value::Null, &json!(1)));
    assert_eq!(one["created_at"].as_str().unwrap().len(), "2026-01-02T03:04:05.000000".len());
    let taken = me.post("/os-keypairs", named("k.1@home")).await.fault(409);
    assert_eq!(taken, "Key pair 'k.1@home' already exists.");
    me.post("/os-keypairs", named("a")).await.expect(201);
    let list = me.get("/os-keypairs?limit=1").await.expect(200);
    assert_eq!(list["keypairs"][0]["keypair"]["name"], "a");
    let next = list["keypairs_links"][0]["href"].as_str().unwrap();
    assert_eq!(next, "http://cloud:8700/compute/v2.1/os-keypairs?limit=1&marker=a");
    let rest = me.get("/os-keypairs?marker=a").await.expect(200);
    assert_eq!(rest["keypairs"].as_array().unwrap().len(), 1);
    assert_eq!(me.get("/os-keypairs?marker=b").await.fault(400), "Marker b could not be found.");
    assert_eq!(me.delete("/os-keypairs/a").await.status, 204);
    assert_eq!(me.delete("/os-keypairs/a").await.fault(404), "Keypair a not found for user alice");
    assert_eq!(me.at(1).delete("/os-keypairs/k.1@home").await.status, 202);
    assert_eq!(me.get("/os-keypairs").await.expect(200), json!({"keypairs": []}));
}

#[tokio::test]
async fn generated_below_2_92_only() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    me.post("/os-keypairs", json!({"keypair": {"name": "g"}})).await.fault(400);
    let made = me.at(1).post("/os-keypairs", json!({"keypair": {"name": "g"}})).await.expect(200);
    let made = &made["keypair"];
    assert!(made["private_key"].as_str().unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    assert!(made["public_key"].as_str().unwrap().starts_with("ssh-rsa AAAA"));
    assert_eq!((made["user_id"].as_str(), made.get("type")), (Some("alice"), None));
    let shown = me.get("/os-keypairs/g").await.expect(200);
    assert_eq!(shown["keypair"]["fingerprint"], made["fingerprint"]);
    assert_eq!(shown["keypair"].get("private_key"), None);
    // and a server takes it
    let id = me.created(json!({"key_name": "g"})).await;
    assert_eq!(me.show(&id).await["key_name"], "g");
}

#[tokio::test]
async fn certificates_are_generated_from_2_2_to_2_91() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let wanted = json!({"keypair": {"name": "c", "type": "x509"}});
    me.at(1).post("/os-keypairs", wanted.clone()).await.fault(400);
    me.at(92).post("/os-keypairs", wanted.clone()).await.fault(400);
    me.get("/os-keypairs/c").await.fault(404);
    for (minor, user) in [(2, "alice"), (91, "bob")] {
        let mut wanted = wanted.clone();
        if user != "alice" {
            wanted["keypair"]["user_id"] = json!(user);
        }
        let made = w.as_(if user == "alice" { MEMBER } else { ADMIN }).at(minor).post("/os-keypairs", wanted).await;
        let made = &made.expect(201)["keypair"];
        assert_eq!((&made["type"], &made["user_id"]), (&json!("x509"), &json!(user)));
        let (public, private) = (made["public_key"].as_str().unwrap(), made["private_key"].as_str().unwrap());
        assert!(public.starts_with("-----BEGIN CERTIFICATE-----\n"), "{public}");
        assert!(private.starts_with("MII"), "{private}");
        let shown = w.as_(ADMIN).get(&format!("/os-keypairs/c?user_id={user}")).await.expect(200)["keypair"].clone();
        assert_eq!((&shown["fingerprint"], &shown["public_key"]), (&made["fingerprint"], &made["public_key"]));
        assert_eq!(shown["fingerprint"].as_str().unwrap().len(), "d1:".len() * 20 - 1);
        assert_eq!(shown.get("private_key"), None);
    }
    // what was made may be imported
    let c = me.get("/os-keypairs/c").await.expect(200)["keypair"].clone();
    let again = json!({"keypair": {"name": "again", "type": "x509", "public_key": c["public_key"]}});
    assert_eq!(me.post("/os-keypairs", again).await.expect(201)["keypair"]["fingerprint"], c["fingerprint"]);
}

#[tokio::test]
async fn bad_keys_names_and_types() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let with = |name: &str, key: &str| json!({"keypair": {"name": name, "public_key": key}});
    let why = me.post("/os-keypairs", with("k", "ssh-rsa JUNK nova@ubuntu")).await.fault(400);
    assert_eq!(why, "Keypair data is invalid: failed to generate fingerprint");
    me.post("/os-keypairs", with("k", "")).await.fault(400);
    me.at(1)
        .post("/os-keypairs", with("k", &format!("ssh-rsa {} openstack@ubuntu", "A".repeat(2048))))
        .await
        .fault(400);
    for name in ["", " k", "key/", "k\u{1}", &"k".repeat(256)] {
        me.post("/os-keypairs", with(name, KEY)).await.fault(400);
    }
    me.at(91).post("/os-keypairs", with("a.b", KEY)).await.fault(400);
    me.post("/os-keypairs", json!({"keypair": {"name": "k", "public_key": KEY, "type": "pgp"}})).await.fault(400);
    let x509 = json!({"keypair": {"name": "k", "public_key": KEY, "type": "x509"}});
    let why = me.post("/os-keypairs", x509).await.fault(400);
    assert!(why.starts_with("Keypair data is invalid: failed to generate X509 fingerprint."), "{why}");
}

#[tokio::test]
async fn admins_handle_others_keys_from_2_10_on() {
    let w = World::new().await;
    let (me, admin) = (w.as_(MEMBER), w.as_(ADMIN));
    let for_alice = json!({"keypair": {"name": "k", "public_key": KEY, "user_id": "alice"}});
    assert_eq!(admin.post("/os-keypairs", for_alice).await.expect(201)["keypair"]["user_id"], "alice");
    me.get("/os-keypairs/k").await.expect(200);
    admin.get("/os-keypairs/k").await.fault(404);
    admin.get("/os-keypairs/k?user_id=alice").await.expect(200);
    let list = admin.get("/os-keypairs?user_id=alice").await.expect(200);
    assert_eq!(list["keypairs"].as_array().unwrap().len(), 1);
    for path in ["/os-keypairs?user_id=root", "/os-keypairs/k?user_id=root"] {
        me.get(path).await.fault(403);
    }
    me.delete("/os-keypairs/k?user_id=root").await.fault(403);
    me.post("/os-keypairs", json!({"keypair": {"name": "x", "public_key": KEY, "user_id": "root"}})).await.fault(403);
    assert_eq!(admin.delete("/os-keypairs/k?user_id=alice").await.status, 204);
}

#[tokio::test]
async fn the_quota_is_a_users() {
    let w = World::new().await;
    w.sql(&format!("INSERT INTO quota_limits VALUES ('{PROJECT}', '', 'key_pairs', 1)")).await;
    let me = w.as_(MEMBER);
    me.post("/os-keypairs", named("a")).await.expect(201);
    assert_eq!(me.post("/os-keypairs", named("b")).await.fault(403), "Quota exceeded, too many key pairs.");
}
