//! Versions, tokens, policy, errors: what holds for every route.

use super::Client;
use http::Method;
use platform_db::testing::on_each_engine;
use platform_http::{Access, Body};
use serde_json::json;

#[tokio::test]
async fn the_version_document_needs_no_token() {
    on_each_engine(|db| async move {
        let nobody = Client::new(&db).with_token("").at("");
        for path in ["", "/"] {
            let answer = nobody.get(path).await.expect(200);
            assert_eq!(
                answer.json,
                json!({"versions": [{"id": "v1.0", "max_version": "1.39", "min_version": "1.0", "status": "CURRENT",
                                     "links": [{"rel": "self", "href": ""}]}]})
            );
        }
        let refused = nobody.get("/resource_providers").await.expect(401);
        assert_eq!(refused.header("www-authenticate"), "Keystone uri=\"http://h/identity/v3\"");
    })
    .await;
}

#[tokio::test]
async fn microversions_are_negotiated_and_told() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let answer = c.at("").get("/resource_providers").await.expect(200);
        assert_eq!(answer.header("openstack-api-version"), "placement 1.0");
        assert_eq!(answer.header("vary").to_ascii_lowercase(), "openstack-api-version");
        assert_eq!(answer.header("last-modified"), "");
        let answer = c.at("latest").get("/resource_providers").await.expect(200);
        assert_eq!(answer.header("openstack-api-version"), "placement 1.39");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert!(answer.header("last-modified").ends_with(" GMT"));
        let refused = c.at("1.40").get("/resource_providers").await.expect(406);
        assert_eq!(refused.error()["max_version"], "1.39");
        assert_eq!(refused.error()["min_version"], "1.0");
        c.at("1.x").get("/resource_providers").await.expect(400);
        for (version, path, status) in [
            ("1.1", "/resource_classes", 404),
            ("1.2", "/resource_classes", 200),
            ("1.5", "/traits", 404),
            ("1.6", "/traits", 200),
            ("1.8", "/usages?project_id=p", 404),
            ("1.9", "/usages?project_id=p", 200),
            ("1.9", "/allocation_candidates?resources=VCPU:1", 404),
            ("1.10", "/allocation_candidates?resources=VCPU:1", 200),
        ] {
            c.at(version).get(path).await.expect(status);
        }
    })
    .await;
}

#[tokio::test]
async fn errors_have_their_form_and_from_1_23_a_code() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let missing = c.get("/resource_providers/7f3b1c5e-8f3e-4a0d-9f1e-000000000000").await.expect(404);
        assert_eq!(missing.error()["title"], "Not Found");
        assert_eq!(missing.error()["status"], 404);
        assert_eq!(missing.code(), "placement.undefined_code");
        assert!(missing.error()["request_id"].as_str().unwrap().starts_with("req-"));
        let old = c.at("1.22").get("/resource_providers/none").await.expect(404);
        assert_eq!(old.error().get("code"), None);
        let wrong = c.send(Method::PATCH, "/resource_providers", &[], Body::empty()).await.expect(405);
        assert_eq!(wrong.header("allow"), "GET, POST");
        let accept = c.send(Method::GET, "/resource_providers", &[("accept", "text/plain")], Body::empty()).await;
        assert_eq!(accept.expect(406).error().get("max_version"), None);
        let text = [("content-type", "text/plain"), ("content-length", "2")];
        c.send(Method::POST, "/resource_providers", &text, Body::from("{}")).await.expect(415);
        let untyped = [("content-length", "2")];
        c.send(Method::POST, "/resource_providers", &untyped, Body::from("{}")).await.expect(400);
        let json = [("content-type", "application/json")];
        c.send(Method::POST, "/resource_providers", &json, Body::from("{")).await.expect(400);
        let refused = c.post("/resource_providers", json!({"name": "x", "colour": "red"})).await.expect(400);
        assert!(refused.detail().starts_with("JSON does not validate: Additional properties"), "{refused:?}");
        let refused = c.get("/resource_providers?colour=red").await.expect(400);
        assert!(refused.detail().starts_with("Invalid query string parameters: "), "{refused:?}");
    })
    .await;
}

/// Every route but `/` refuses whom its rule refuses. The list of routes is the service's own table.
#[tokio::test]
async fn every_route_keeps_to_its_policy() {
    on_each_engine(|db| async move {
        let c = Client::new(&db);
        let mut checked = 0;
        let routes: Vec<(Method, &str, Access, bool)> =
            c.service().table().map(|r| (r.method.clone(), r.path, r.access, r.policies.is_empty())).collect();
        for (method, path, access, unnamed) in routes {
            if access == Access::Open {
                continue;
            }
            assert!(!unnamed, "{method} {path} names no rule");
            let path = path
                .replace("{uuid}", "7f3b1c5e-8f3e-4a0d-9f1e-000000000000")
                .replace("{consumer_uuid}", "7f3b1c5e-8f3e-4a0d-9f1e-000000000000")
                .replace("{resource_class}", "VCPU")
                .replace("{name}", "VCPU");
            for (token, status) in [("member", 403), ("reader@p2", 403), ("system", 403), ("bad", 401)] {
                let version = if path.starts_with("/resource_classes/") { "1.6" } else { "1.39" };
                let answer = c.at(version).with_token(token).send(method.clone(), &path, &[], Body::empty()).await;
                assert_eq!(answer.status, status, "{method} {path} as {token}: {:?}", answer.json);
            }
            checked += 1;
        }
        assert!(checked > 35, "{checked}");
        c.with_token("reader@p2").get("/usages?project_id=p2").await.expect(200);
        c.with_token("reader@p2").get("/usages?project_id=p1").await.expect(403);
        c.with_token("service").get("/resource_providers").await.expect(200);
        let reshape = json!({"inventories": {}, "allocations": {}});
        c.with_token("admin").post("/reshaper", reshape.clone()).await.expect(403);
        // past its policy, an empty reshaping is refused by its schema
        c.with_token("service").post("/reshaper", reshape).await.expect(400);
    })
    .await;
}
