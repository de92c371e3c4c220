//! Signed AWS requests exchanged for tokens, and one-time passwords.

use crate::world::{Reply, World, admin_project, by_token, names, on_each, password, project};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;

fn sign(secret: &str, text: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// `GET /?Action=DescribeInstances` at that time, signed by a key (version 2).
pub(crate) fn signed_ec2(key: &Value, at: &str) -> Value {
    let (access, secret) = (key["access"].as_str().unwrap(), key["secret"].as_str().unwrap());
    let escaped = at.replace(':', "%3A");
    let query = format!(
        "AWSAccessKeyId={access}&Action=DescribeInstances&SignatureMethod=HmacSHA256&SignatureVersion=2&Timestamp={escaped}"
    );
    json!({"credentials": {
        "access": access, "verb": "GET", "host": "ec2.example.org", "path": "/",
        "signature": sign(secret, &format!("GET\nec2.example.org\n/\n{query}")),
        "params": {"AWSAccessKeyId": access, "Action": "DescribeInstances", "SignatureMethod": "HmacSHA256",
                   "SignatureVersion": "2", "Timestamp": at}
    }})
}

const NOW: &str = "2026-01-02T03:04:05Z";

pub(crate) async fn exchange(w: &World, caller: &str, body: &Value) -> Reply {
    w.call("POST", "/v3/ec2tokens", &[("x-auth-token", caller)], body).await
}

struct Ann {
    admin: String,
    p: String,
    id: String,
    token: String,
    /// Of a service user.
    service: String,
}

async fn ann(w: &World) -> Ann {
    let admin = w.admin().await;
    let p = w.project(&admin, "p").await;
    let id = w.user(&admin, "ann", Some(("manager", &p))).await;
    w.user(&admin, "gateway", Some(("service", &p))).await;
    let token = w.token(password("ann", "ann"), project(&p)).await;
    let service = w.token(password("gateway", "gateway"), project(&p)).await;
    Ann { admin, p, id, token, service }
}

async fn key(w: &World, a: &Ann, token: &str) -> Value {
    let path = format!("/v3/users/{}/credentials/OS-EC2", a.id);
    w.post(&path, token, json!({"tenant_id": a.p})).await["credential"].clone()
}

#[tokio::test]
async fn s48_only_services_exchange_a_fresh_signature_for_a_token() {
    on_each(|w| async move {
        let a = ann(&w).await;
        let key = key(&w, &a, &a.token).await;
        let body = signed_ec2(&key, NOW);
        assert_eq!(w.call("POST", "/v3/ec2tokens", &[], &body).await.status, 401);
        assert_eq!(exchange(&w, &a.token, &body).await.status, 403, "not even the key's own user");
        assert_eq!(w.call("POST", "/v3/s3tokens", &[], &body).await.status, 401);
        assert_eq!(w.call("POST", "/v3/s3tokens", &[("x-auth-token", &a.token)], &body).await.status, 403);

        let reply = exchange(&w, &a.service, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let t = &reply.body["token"];
        assert_eq!(
            (&t["methods"], &t["user"]["id"], &t["project"]["id"]),
            (&json!(["ec2credential"]), &json!(a.id), &json!(a.p))
        );
        assert_eq!(names(&t["roles"]), ["manager", "member", "reader"]);
        let made = reply.text("x-subject-token");
        assert!(w.is_good(&made).await);
        assert_eq!(exchange(&w, &a.admin, &body).await.status, 200, "administrators may, too");

        let mut forged = body.clone();
        forged["credentials"]["params"]["Action"] = json!("TerminateInstances");
        assert_eq!(exchange(&w, &a.service, &forged).await.status, 401);
        forged["credentials"]["access"] = json!("nobody-s");
        assert_eq!(exchange(&w, &a.service, &forged).await.status, 404);
        for bad in [json!({}), json!({"credentials": {}}), json!({"credentials": {"access": key["access"]}})] {
            assert_eq!(exchange(&w, &a.service, &bad).await.status, 401, "{bad}");
        }
        for (at, status) in [
            ("2026-01-02T02:49:05Z", 200),
            ("2026-01-02T02:49:04Z", 401),
            ("2026-01-02T03:19:06Z", 401),
            ("whenever", 401),
        ] {
            assert_eq!(exchange(&w, &a.service, &signed_ec2(&key, at)).await.status, status, "{at}");
        }
        w.expect(200, "PATCH", &format!("/v3/users/{}", a.id), &a.admin, json!({"user": {"enabled": false}})).await;
        assert_eq!(exchange(&w, &a.service, &body).await.status, 401);
        assert!(!w.is_good(&made).await);
    })
    .await;
}

#[tokio::test]
async fn an_s3_gateway_learns_whose_signature_it_is_and_gets_no_token() {
    on_each(|w| async move {
        let a = ann(&w).await;
        let key = key(&w, &a, &a.token).await;
        let scope = "20130524/us-east-1/s3/aws4_request";
        let text = format!("AWS4-HMAC-SHA256\n20130524T000000Z\n{scope}\n{}", "0".repeat(64));
        let mac = |key: &[u8], text: &str| {
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        };
        let first = format!("AWS4{}", key["secret"].as_str().unwrap()).into_bytes();
        let signing = scope.split('/').fold(first, |key, part| mac(&key, part));
        let signature: String = mac(&signing, &text).iter().map(|b| format!("{b:02x}")).collect();
        let mut body =
            json!({"credentials": {"access": key["access"], "token": STANDARD.encode(&text), "signature": signature}});
        let caller = [("x-auth-token", &*a.service)];
        let reply = w.call("POST", "/v3/s3tokens", &caller, &body).await;
        assert_eq!((reply.status, &reply.body["token"]["user"]["name"]), (200, &json!("ann")));
        assert_eq!(reply.text("x-subject-token"), "");
        body["credentials"]["signature"] = json!("0".repeat(64));
        assert_eq!(w.call("POST", "/v3/s3tokens", &caller, &body).await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_never_more_than_what_made_it() {
    on_each(|w| async move {
        let a = ann(&w).await;
        // its token stays in the project, and makes nothing
        let plain = key(&w, &a, &a.token).await;
        let of_key = exchange(&w, &a.service, &signed_ec2(&plain, NOW)).await.text("x-subject-token");
        assert_eq!(w.log_in(by_token(&of_key), admin_project()).await.status, 403);
        let all = format!("/v3/users/{}/application_credentials", a.id);
        w.expect(403, "POST", &all, &of_key, json!({"application_credential": {"name": "x"}})).await;
        let keys = format!("/v3/users/{}/credentials/OS-EC2", a.id);
        w.expect(403, "POST", &keys, &of_key, json!({"tenant_id": a.p})).await;

        // an application credential's key has its roles, and it sees no other
        let body =
            json!({"application_credential": {"name": "ci", "unrestricted": true, "roles": [{"name": "member"}]}});
        let ac = w.post(&all, &a.token, body).await["application_credential"].clone();
        let by_ac = json!({"methods": ["application_credential"],
                           "application_credential": {"id": ac["id"], "secret": ac["secret"]}});
        let limited = w.token(by_ac, Value::Null).await;
        let own = key(&w, &a, &limited).await;
        let reply = exchange(&w, &a.service, &signed_ec2(&own, NOW)).await;
        assert_eq!(names(&reply.body["token"]["roles"]), ["member", "reader"]);
        assert_eq!(w.get(&keys, &limited).await["credentials"], json!([own]));
        let other = format!("{keys}/{}", plain["access"].as_str().unwrap());
        w.expect(403, "GET", &other, &limited, Value::Null).await;
        let listed = w.get("/v3/credentials", &limited).await["credentials"].clone();
        assert_eq!(listed.as_array().unwrap().len(), 1);
        // what its maker says about its bounds is not what it is bound to
        let claimed =
            json!({"access": "claimed", "secret": "s", "app_cred_id": null, "trust_id": "made up"}).to_string();
        let body = json!({"credential": {"type": "ec2", "user_id": a.id, "project_id": a.p, "blob": claimed}});
        w.post("/v3/credentials", &limited, body).await;
        let reply = exchange(&w, &a.service, &signed_ec2(&json!({"access": "claimed", "secret": "s"}), NOW)).await;
        assert_eq!(names(&reply.body["token"]["roles"]), ["member", "reader"]);
        let totp = json!({"credential": {"type": "totp", "user_id": a.id, "project_id": a.p, "blob": "GEZDGNBV"}});
        w.expect(403, "POST", "/v3/credentials", &limited, totp).await;
        w.expect(204, "DELETE", &format!("{all}/{}", ac["id"].as_str().unwrap()), &a.token, Value::Null).await;
        assert_eq!(exchange(&w, &a.service, &signed_ec2(&own, NOW)).await.status, 401, "it ends with it");
    })
    .await;
}

#[tokio::test]
async fn a_trust_s_key_is_good_for_the_trust() {
    on_each(|w| async move {
        let a = ann(&w).await;
        let bob = w.user(&a.admin, "bob", None).await;
        let trust = json!({"trust": {"trustor_user_id": a.id, "trustee_user_id": bob, "project_id": a.p,
                                     "impersonation": true, "roles": [{"name": "member"}]}});
        let trust = w.post("/v3/OS-TRUST/trusts", &a.token, trust).await["trust"]["id"].clone();
        let trusted = w.token(password("bob", "bob"), json!({"OS-TRUST:trust": {"id": trust}})).await;
        let own = key(&w, &a, &trusted).await;
        assert_eq!(own["trust_id"], trust);
        let reply = exchange(&w, &a.service, &signed_ec2(&own, NOW)).await;
        assert_eq!(names(&reply.body["token"]["roles"]), ["member", "reader"]);
        assert_eq!(reply.body["token"]["OS-TRUST:trust"]["id"], trust);
        // somebody else's trust in one's own key is no trust of one's own
        w.user(&a.admin, "eve", Some(("member", &a.p))).await;
        let eve = w.token(password("eve", "eve"), project(&a.p)).await;
        let id = w.identity.authenticate(&eve).await.unwrap().user_id.to_string();
        let blob = json!({"access": "eve", "secret": "s", "trust_id": trust}).to_string();
        let body = json!({"credential": {"type": "ec2", "user_id": id, "project_id": a.p, "blob": blob}});
        w.post("/v3/credentials", &eve, body).await;
        let reply = exchange(&w, &a.service, &signed_ec2(&json!({"access": "eve", "secret": "s"}), NOW)).await;
        assert_eq!(
            (&reply.body["token"]["user"]["name"], reply.body["token"].get("OS-TRUST:trust")),
            (&json!("eve"), None)
        );
        let path = format!("/v3/OS-TRUST/trusts/{}", trust.as_str().unwrap());
        w.expect(204, "DELETE", &path, &a.token, Value::Null).await;
        assert_eq!(exchange(&w, &a.service, &signed_ec2(&own, NOW)).await.status, 401);
    })
    .await;
}

fn by_passcode(user: &str, passcode: &str) -> Value {
    json!({"methods": ["totp"], "totp": {"user": {"name": user, "domain": {"id": "default"}, "passcode": passcode}}})
}

/// What an authenticator shows for the secret of these tests at `NOW` plus some steps, from the RFC's algorithm.
fn passcode(steps: i64) -> String {
    let step = 1_767_323_045 / 30 + steps;
    let mut mac = <Hmac<sha1::Sha1> as KeyInit>::new_from_slice(b"12345678901234567890").unwrap();
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 0xf);
    let word = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

#[tokio::test]
async fn one_time_passwords_are_good_once() {
    on_each(|w| async move {
        let a = ann(&w).await;
        let body = json!({"credential": {"type": "totp", "user_id": a.id, "blob": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}});
        w.post("/v3/credentials", &a.token, body).await;
        let log_in = async |passcode: String| w.log_in(by_passcode("ann", &passcode), Value::Null).await;
        assert_eq!(log_in(passcode(-2)).await.status, 401, "too old");
        assert_eq!(log_in(passcode(1)).await.status, 401, "not yet");
        let reply = log_in(passcode(-1)).await;
        assert_eq!((reply.status, &reply.body["token"]["methods"]), (201, &json!(["totp"])));
        assert_eq!(log_in(passcode(-1)).await.status, 401, "used");
        // at once, in many requests: one of them is the first
        let all = futures_util::future::join_all((0..8).map(|_| Box::pin(log_in(passcode(0))))).await;
        assert_eq!(all.iter().filter(|r| r.status == 201).count(), 1);
        assert_eq!(log_in(passcode(-1)).await.status, 401, "an older one than the last used");
        w.clock.advance(Duration::from_secs(30));
        assert_eq!(log_in(passcode(1)).await.status, 201);
        let nobody = w.log_in(by_passcode("nobody", "123456"), Value::Null).await;
        let wrong = w.log_in(by_passcode("ann", "abcdef"), Value::Null).await;
        assert_eq!((nobody.status, &nobody.body), (401, &wrong.body));
        let malformed = json!({"methods": ["totp"], "totp": {"user": {"id": a.id}}});
        assert_eq!(w.log_in(malformed, Value::Null).await.status, 400);
        let mut limited = 0;
        for _ in 0..40 {
            limited += usize::from(w.log_in(by_passcode("ann", "000000"), Value::Null).await.status == 429);
        }
        assert!(limited > 0, "six digits can be guessed");
    })
    .await;
}

#[tokio::test]
async fn a_user_may_need_a_password_and_a_passcode() {
    on_each(|w| async move {
        let a = ann(&w).await;
        let body = json!({"credential": {"type": "totp", "user_id": a.id, "blob": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}});
        w.post("/v3/credentials", &a.token, body).await;
        let options = json!({"multi_factor_auth_enabled": true, "multi_factor_auth_rules": [["password", "totp"]]});
        w.expect(200, "PATCH", &format!("/v3/users/{}", a.id), &a.admin, json!({"user": {"options": options}})).await;
        assert_eq!(w.log_in(password("ann", "ann"), Value::Null).await.status, 401);
        assert_eq!(w.log_in(by_passcode("ann", &passcode(0)), Value::Null).await.status, 401);
        w.clock.advance(Duration::from_secs(30));
        let mut both = password("ann", "ann");
        both["methods"] = json!(["password", "totp"]);
        both["totp"] = by_passcode("ann", &passcode(1))["totp"].clone();
        let reply = w.log_in(both, project(&a.p)).await;
        assert_eq!((reply.status, &reply.body["token"]["methods"]), (201, &json!(["password", "totp"])));
    })
    .await;
}
