//! Events for the audit: who did what to whom, from where, and never a secret.

use crate::world::{PASSWORD, World, password, project, with_config};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn file(w: &World) -> PathBuf {
    w.config.audit_file.clone().unwrap()
}

fn events(w: &World) -> Vec<Value> {
    let text = std::fs::read_to_string(file(w)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The events since the last look.
fn fresh(w: &World, seen: &mut usize) -> Vec<Value> {
    let all = events(w);
    let fresh = all[*seen..].to_vec();
    *seen = all.len();
    fresh
}

async fn audited<F, Fut>(test: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    with_config(|c| c.audit_file = Some(c.key_dir.join("audit.log")), test).await;
}

#[tokio::test]
async fn logins_and_why_they_were_refused() {
    audited(|w| async move {
        let mut seen = 0;
        let admin = w.admin().await;
        let me = w.identity.authenticate(&admin).await.unwrap().user_id.to_string();
        let event = fresh(&w, &mut seen).remove(0);
        assert_eq!((&event["action"], &event["outcome"]), (&json!("authenticate"), &json!("success")));
        assert_eq!((&event["initiator"]["id"], &event["target"]["id"]), (&json!(me), &json!(me)));
        assert_eq!(event["typeURI"], "http://schemas.dmtf.org/cloud/audit/1.0/event");
        assert_eq!(event["eventTime"], "2026-01-02T03:04:05.000000+0000");
        let off = w.user(&admin, "off", None).await;
        w.expect(200, "PATCH", &format!("/v3/users/{off}"), &admin, json!({"user": {"enabled": false}})).await;
        fresh(&w, &mut seen);
        for (user, pw, why, id) in [
            ("admin", "bad-password", "wrong password", me.as_str()),
            ("nobody-at-all", "bad-password", "no such user", "unknown"),
            ("off", "off", "user disabled", off.as_str()),
        ] {
            let body = json!({"auth": {"identity": password(user, pw)}});
            let agent = [("user-agent", "guesser/1")];
            assert_eq!(w.call_from(Some("192.0.2.7"), "POST", "/v3/auth/tokens", &agent, &body).await.status, 401);
            let event = fresh(&w, &mut seen).remove(0);
            assert_eq!((&event["outcome"], &event["reason"]["reasonType"]), (&json!("failure"), &json!(why)));
            assert_eq!((&event["reason"]["reasonCode"], &event["initiator"]["id"]), (&json!("401"), &json!(id)));
            assert_eq!(event["initiator"]["host"], json!({"address": "192.0.2.7", "agent": "guesser/1"}));
        }
        let change = json!({"user": {"original_password": PASSWORD, "password": "another one"}});
        assert_eq!(w.call("POST", &format!("/v3/users/{me}/password"), &[], &change).await.status, 204);
        assert_eq!(fresh(&w, &mut seen)[0]["action"], "updated.user");
        let mode = std::fs::metadata(file(&w)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    })
    .await;
}

#[tokio::test]
async fn changes_tell_who_did_what_to_whom_and_no_secret() {
    audited(|w| async move {
        let mut seen = 0;
        let admin = w.admin().await;
        let me = w.identity.authenticate(&admin).await.unwrap().user_id.to_string();
        let p = w.project(&admin, "p").await;
        let ann = w.user(&admin, "ann-secret", Some(("member", &p))).await;
        let member = w.role(&admin, "member").await;
        let token = w.token(password("ann-secret", "ann-secret"), project(&p)).await;
        let ac = json!({"application_credential": {"name": "x", "secret": "the-secret-of-it"}});
        let all = format!("/v3/users/{ann}/application_credentials");
        let ac = w.post(&all, &token, ac).await["application_credential"]["id"].clone();
        let ec2 = w.post(&format!("/v3/users/{ann}/credentials/OS-EC2"), &token, json!({"tenant_id": p})).await;
        let trust = json!({"trust": {"trustor_user_id": ann, "trustee_user_id": me, "project_id": p,
                                     "impersonation": false, "roles": [{"name": "member"}]}});
        let trust = w.post("/v3/OS-TRUST/trusts", &token, trust).await["trust"]["id"].clone();
        w.expect(403, "DELETE", &format!("/v3/users/{me}"), &token, Value::Null).await;
        w.expect(404, "DELETE", "/v3/users/nope", &admin, Value::Null).await;
        w.expect(204, "DELETE", &format!("/v3/users/{ann}"), &admin, Value::Null).await;
        let all = fresh(&w, &mut seen);
        let short: Vec<(String, String, String)> = all
            .iter()
            .map(|e| {
                let text = |v: &Value| v.as_str().unwrap().to_owned();
                (text(&e["action"]), text(&e["initiator"]["id"]), text(&e["target"]["id"]))
            })
            .collect();
        let want = [
            ("authenticate", &me, &me),
            ("created.project", &me, &p),
            ("created.user", &me, &ann),
            ("created.role_assignment", &me, &member),
            ("authenticate", &ann, &ann),
            ("created.application_credential", &ann, &ac.as_str().unwrap().to_owned()),
            ("created.credential", &ann, &ec2["credential"]["access"].as_str().unwrap().to_owned()),
            ("created.OS-TRUST:trust", &ann, &trust.as_str().unwrap().to_owned()),
            ("deleted.user", &ann, &me),
            ("deleted.user", &me, &ann),
        ];
        assert_eq!(short, want.map(|(a, b, c)| (a.to_owned(), b.clone(), c.clone())));
        assert_eq!(all[3]["attachments"][1], json!({"name": "user_id", "typeURI": "xs:string", "content": ann}));
        assert_eq!((&all[8]["outcome"], &all[8]["reason"]["reasonCode"]), (&json!("failure"), &json!("403")));
        assert_eq!(all[9]["outcome"], "success");
        let text = std::fs::read_to_string(file(&w)).unwrap();
        let ec2_secret = ec2["credential"]["secret"].as_str().unwrap();
        for secret in [PASSWORD, "ann-secret", "the-secret-of-it", ec2_secret, &*admin, &*token] {
            assert!(!text.contains(secret), "{secret}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stops_nobody() {
    with_config(
        |c| c.audit_file = Some(c.key_dir.join("no such folder/audit.log")),
        |w| async move { drop(w.admin().await) },
    )
    .await;
}
