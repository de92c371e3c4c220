//! Documents that need no token, and the form of faults.

use crate::world::on_each;
use serde_json::{Value, json};

#[tokio::test]
async fn version_documents_and_json_home() {
    on_each(|w| async move {
        let root = w.call("GET", "/", &[], &Value::Null).await;
        assert_eq!((root.status, root.text("location")), (300, "http://cloud/v3/".to_owned()));
        let v3 = &root.body["versions"]["values"][0];
        assert_eq!((&v3["id"], &v3["status"]), (&json!("v3.14"), &json!("stable")));
        assert_eq!(v3["links"][0], json!({"rel": "self", "href": "http://cloud/v3/"}));
        for path in ["/v3", "/v3/"] {
            let one = w.call("GET", path, &[], &Value::Null).await;
            assert_eq!((one.status, &one.body["version"]), (200, v3));
        }
        let home = w.call("GET", "/v3", &[("accept", "application/json-home")], &Value::Null).await;
        assert_eq!(home.text("content-type"), "application/json-home");
        let rel = "https://docs.openstack.org/api/openstack-identity/3/rel/user_projects";
        assert_eq!(home.body["resources"][rel]["href-template"], "/users/{user_id}/projects");
        let of_ec2 = "https://docs.openstack.org/api/openstack-identity/3/ext/OS-EC2/1.0/rel/user_credential";
        let keys = home.body["resources"][of_ec2].clone();
        assert_eq!(keys["href-template"], "/users/{user_id}/credentials/OS-EC2/{credential_id}");
        let parameter = "https://docs.openstack.org/api/openstack-identity/3/param/user_id";
        assert_eq!(keys["href-vars"]["user_id"], parameter);
        let home = w.call("GET", "/", &[("accept", "application/json-home")], &Value::Null).await;
        assert_eq!(home.body["resources"][rel]["href-template"], "/v3/users/{user_id}/projects");
    })
    .await;
}

#[tokio::test]
async fn faults_have_keystone_s_form() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let missing = w.expect(404, "GET", "/v3/users/nope", &admin, Value::Null).await;
        assert_eq!(
            missing,
            json!({"error": {"code": 404, "message": "Could not find user: nope.", "title": "Not Found"}})
        );
        let bad = w.expect(400, "POST", "/v3/users", &admin, json!({"user": {"name": 5}})).await;
        assert_eq!(
            bad["error"]["message"],
            "Invalid input for field/attribute name. Value: 5. 5 is not of type 'string'"
        );
        w.expect(400, "POST", "/v3/users", &admin, json!({"user": {"name": "a".repeat(256)}})).await;
        w.expect(404, "GET", "/v3/nothing", &admin, Value::Null).await;
        assert_eq!(w.call("GET", "/v3/OS-SIMPLE-CERT/ca", &[], &Value::Null).await.status, 410);
        w.expect(405, "DELETE", "/v3/users", &admin, Value::Null).await;
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": 5}}}});
        assert_eq!(w.call("POST", "/v3/auth/tokens", &[], &body).await.status, 400);
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body: Value = json!({"auth": deep});
        assert_eq!(w.call("POST", "/v3/auth/tokens", &[], &body).await.status, 400);
    })
    .await;
}

#[tokio::test]
async fn what_no_database_stores_is_refused() {
    on_each(|w| async move {
        let admin = w.admin().await;
        for body in [json!({"user": {"name": "a\0b"}}), json!({"user": {"name": "x", "made_up": ["\0"]}})] {
            w.expect(400, "POST", "/v3/users", &admin, body).await;
        }
        w.expect(400, "GET", "/v3/users/a%00b", &admin, Value::Null).await;
        w.expect(400, "GET", "/v3/users?name=a%00b", &admin, Value::Null).await;
        let body = json!({"auth": {"identity": {"methods": ["password"],
            "password": {"user": {"id": "\0", "password": "x"}}}}});
        assert_eq!(w.call("POST", "/v3/auth/tokens", &[], &body).await.status, 400);
        let odd = w.post("/v3/users", &admin, json!({"user": {"name": "\u{1}ünï\u{1F980}'\"; --"}})).await;
        assert_eq!(odd["user"]["name"], "\u{1}ünï\u{1F980}'\"; --");
    })
    .await;
}
