use crate::cloud::{ADMIN, ALICE, ALICES_READER, BOB, Cloud, EVE, SERVICE, UNSCOPED};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn versions_without_a_token() {
    let cloud = Cloud::start().await;
    for (path, status) in [("/", 300), ("/versions", 200), ("/nonsense", 300), ("/versions/", 200)] {
        let versions = cloud.get("", path).await.expect(status).json();
        let first = &versions["versions"][0];
        assert_eq!(first["status"], "CURRENT");
        assert_eq!(first["id"], "v2.17");
        assert_eq!(first["links"], json!([{"rel": "self", "href": "http://cloud/image/v2/"}]));
        let oldest = versions["versions"].as_array().unwrap().last().unwrap();
        assert_eq!((&oldest["id"], &oldest["status"]), (&json!("v2.0"), &json!("SUPPORTED")));
    }
    cloud.get("", "/v2/images").await.expect(401);
    cloud.get("forged", "/v2/images").await.expect(401);
}

#[tokio::test]
async fn a_new_image() {
    let cloud = Cloud::start().await;
    let wanted = json!({
        "name": "Ubuntu", "disk_format": "raw", "container_format": "bare", "tags": ["b", "a"], "min_ram": 512,
        "id": "b2173dd3-7ad6-4362-baa6-a68bce3565cb", "os_distro": "ubuntu",
    });
    let created = cloud.post(ALICE, "/v2/images", wanted.clone()).await.expect(201);
    let path = "/v2/images/b2173dd3-7ad6-4362-baa6-a68bce3565cb";
    assert_eq!(created.header("location"), format!("http://cloud/image{path}"));
    assert!(created.header("x-openstack-request-id").starts_with("req-"));
    let created = created.json();
    let mut want = json!({
        "status": "queued", "name": "Ubuntu", "tags": ["a", "b"], "container_format": "bare", "size": null,
        "disk_format": "raw", "visibility": "shared", "self": path, "file": format!("{path}/file"), "min_disk": 0,
        "protected": false, "id": "b2173dd3-7ad6-4362-baa6-a68bce3565cb", "checksum": null, "os_hash_algo": null,
        "os_hash_value": null, "os_hidden": false, "owner": "p1", "virtual_size": null, "min_ram": 512,
        "schema": "/v2/schemas/image", "os_distro": "ubuntu",
    });
    for time in ["created_at", "updated_at"] {
        let text = created[time].as_str().unwrap();
        assert!(text.len() == 20 && text.ends_with('Z'), "{text}");
        want[time] = created[time].clone();
    }
    // the same members, in whatever order
    let sorted = |v: &Value| -> Vec<String> {
        let mut all: Vec<String> = v.as_object().unwrap().iter().map(|(k, v)| format!("{k}: {v}")).collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&created), sorted(&want));
    assert_eq!(sorted(&cloud.get(ALICE, path).await.expect(200).json()), sorted(&want));
    cloud.post(ALICE, "/v2/images", wanted).await.refuses(409, "already exists");
}

#[tokio::test]
async fn who_may_create_what() {
    let cloud = Cloud::start().await;
    let create = async |token, body: Value| cloud.post(token, "/v2/images", body).await;
    create(ALICES_READER, json!({})).await.refuses(403, "You are not authorized to complete add_image action.");
    create(UNSCOPED, json!({})).await.expect(403);
    create(ALICE, json!({"owner": "p2"})).await.refuses(403, "You are not permitted to create images owned by");
    create(ALICE, json!({"visibility": "public"})).await.refuses(403, "publicize_image");
    create(ALICE, json!({"visibility": "community"})).await.expect(201);
    let given = create(ADMIN, json!({"owner": "p2", "visibility": "public"})).await.expect(201).json();
    assert_eq!(given["owner"], "p2");
}

#[tokio::test]
async fn bodies_that_are_refused() {
    let cloud = Cloud::start().await;
    for (body, status, words) in [
        (json!({"disk_format": "wrong"}), 400, "is not one of [None"),
        (json!({"container_format": "wrong"}), 400, "Provided object does not match schema"),
        (json!({"os_glance_foo": "bar"}), 403, "is reserved."),
        (json!({"status": "active"}), 403, "is read-only."),
        (json!({"locations": []}), 403, "is read-only."),
        (json!({"x": 1}), 400, "is not of type"),
        (json!([1, 2]), 400, "Body expected"),
        (json!("text"), 400, "Body expected"),
        (json!({"name": "x".repeat(2 << 20)}), 413, ""),
    ] {
        cloud.post(ALICE, "/v2/images", body).await.refuses(status, words);
    }
    let raw = |text: String| {
        http::Request::post("/image/v2/images")
            .header("x-auth-token", ALICE)
            .header("content-type", "application/json")
            .body(axum::body::Body::from(text))
            .unwrap()
    };
    cloud.ask(raw("{".into())).await.expect(400);
    cloud.ask(raw(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)))).await.expect(400);
    cloud.ask(raw(String::new())).await.expect(400);
}

#[tokio::test]
async fn who_may_see_and_delete_it() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({"visibility": "private"})).await;
    cloud.get(ALICES_READER, &image).await.expect(200);
    cloud.get(ADMIN, &image).await.expect(200);
    for (token, _) in [(BOB, 0), (EVE, 0), (UNSCOPED, 0)] {
        cloud.get(token, &image).await.refuses(404, "No image found with ID");
        cloud.delete(token, &image).await.refuses(404, "Failed to find image");
    }
    cloud.delete(ALICES_READER, &image).await.refuses(403, "delete_image");
    cloud.delete(ALICE, &image).await.expect(204);
    cloud.get(ALICE, &image).await.expect(404);
    cloud.delete(ALICE, &image).await.refuses(404, "to delete");
    // a public one is seen and still not theirs
    let public = cloud.create(ADMIN, json!({"visibility": "public"})).await;
    cloud.get(BOB, &public).await.expect(200);
    cloud.delete(BOB, &public).await.expect(403);
}

#[tokio::test]
async fn ids_that_are_none() {
    let cloud = Cloud::start().await;
    for path in [
        "/v2/images/",
        "/v2/images/no-uuid",
        "/v2/images/%00",
        "/v2/images/00000000-0000-0000-0000-000000000000",
        "/v2",
        "/v2/nonsense",
    ] {
        cloud.get(ALICE, path).await.expect(404);
    }
    cloud.delete(ALICE, "/v2/images/").await.expect(404);
    let refused = cloud.call(ALICE, Method::PUT, "/v2/images", None).await.expect(405);
    assert_eq!(refused.header("allow"), "GET, POST");
}

#[tokio::test]
async fn a_protected_image_stays() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({"protected": true})).await;
    cloud.delete(ALICE, &image).await.refuses(403, "is protected and cannot be deleted.");
    cloud.delete(ADMIN, &image).await.expect(403);
    let unprotect = json!([{"op": "replace", "path": "/protected", "value": false}]);
    cloud.patch(ALICE, &image, unprotect).await.expect(200);
    cloud.delete(ALICE, &image).await.expect(204);
}

#[tokio::test]
async fn tags() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({"tags": ["old"]})).await;
    let tag = async |token, method, tag: &str| cloud.call(token, method, &format!("{image}/tags/{tag}"), None).await;
    tag(ALICE, Method::PUT, "new%20one").await.expect(204);
    tag(ALICE, Method::PUT, "new%20one").await.expect(204);
    assert_eq!(cloud.get(ALICE, &image).await.json()["tags"], json!(["new one", "old"]));
    tag(ALICE, Method::DELETE, "old").await.expect(204);
    tag(ALICE, Method::DELETE, "old").await.expect(404);
    assert_eq!(cloud.get(ALICE, &image).await.json()["tags"], json!(["new one"]));
    tag(ALICES_READER, Method::PUT, "x").await.expect(403);
    tag(BOB, Method::PUT, "x").await.refuses(404, "not found.");
    tag(ALICE, Method::PUT, &"x".repeat(256)).await.refuses(400, "is too long");
    for n in 0..127 {
        tag(ALICE, Method::PUT, &n.to_string()).await.expect(204);
    }
    tag(ALICE, Method::PUT, "one-more").await.refuses(413, "Image tag limit exceeded for image");
}

#[tokio::test]
async fn what_the_service_says_of_itself() {
    let cloud = Cloud::start().await;
    for name in ["image", "images", "member", "members", "task", "tasks"] {
        assert_eq!(cloud.get(ALICE, &format!("/v2/schemas/{name}")).await.expect(200).json()["name"], name);
    }
    for name in ["namespace", "namespaces", "object", "objects", "property", "properties", "tag", "tags"] {
        assert_eq!(cloud.get(ALICE, &format!("/v2/schemas/metadefs/{name}")).await.expect(200).json()["name"], name);
    }
    cloud.get(ALICE, "/v2/schemas/nonsense").await.expect(404);
    cloud.get("", "/v2/schemas/image").await.expect(401);
    assert_eq!(cloud.get(ALICE, "/v2/info/import").await.expect(200).json()["import-methods"]["value"], json!([]));
    assert_eq!(cloud.get(ALICE, "/v2/info/usage").await.expect(200).json(), json!({"usage": {}}));
    cloud.get(ALICE, "/v2/tasks").await.expect(403);
    assert_eq!(cloud.get(ADMIN, "/v2/tasks").await.expect(200).json()["tasks"], json!([]));
    cloud.get(ADMIN, "/v2/tasks/x").await.expect(404);
    let image = cloud.bare(ALICE).await;
    assert_eq!(cloud.get(ALICE, &format!("{image}/tasks")).await.expect(200).json(), json!({"tasks": []}));
    cloud.get(BOB, &format!("{image}/tasks")).await.expect(404);
    let import = json!({"method": {"name": "glance-direct"}});
    cloud.post(ALICE, &format!("{image}/import"), import).await.refuses(400, "Unknown import method name");
    cloud.call(ALICE, Method::PUT, &format!("{image}/stage"), None).await.refuses(404, "is not available at this site");
}

#[tokio::test]
async fn s13_locations_are_for_services() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let locations = format!("{image}/locations");
    cloud.get(ALICE, &locations).await.expect(403);
    cloud.upload(ALICE, &image, "data").await.expect(204);
    let shown = cloud.get(ADMIN, &locations).await.expect(200).json();
    assert!(shown[0]["url"].as_str().unwrap().starts_with("file:///"), "{shown}");
    cloud.get(SERVICE, &locations).await.expect(404);
    let passwd = json!({"url": "file:///etc/passwd"});
    cloud.post(ADMIN, &locations, passwd.clone()).await.refuses(409, "if image status is active");
    let queued = cloud.bare(ALICE).await;
    for (token, status) in [(ALICE, 403), (ADMIN, 403), (BOB, 404)] {
        cloud.post(token, &format!("{queued}/locations"), passwd.clone()).await.expect(status);
    }
    assert_eq!(cloud.status(&queued).await, "queued");
}
