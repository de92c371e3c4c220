use crate::cloud::{ADMIN, ALICE, ALICES_READER, BOB, Cloud};
use axum::body::Body;
use http::Request;
use serde_json::json;

#[tokio::test]
async fn attributes_and_properties() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({"name": "old", "os_distro": "debian", "gone": "x"})).await;
    let patched = cloud
        .patch(
            ALICE,
            &image,
            json!([
                {"op": "replace", "path": "/name", "value": "Fedora 17"},
                {"op": "replace", "path": "/tags", "value": ["fedora", "beefy"]},
                {"op": "replace", "path": "/os_distro", "value": "fedora"},
                {"op": "add", "path": "/os_version", "value": "17"},
                {"op": "remove", "path": "/gone"},
                {"op": "replace", "path": "/min_disk", "value": 20},
            ]),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(patched["name"], "Fedora 17");
    assert_eq!(patched["tags"], json!(["beefy", "fedora"]));
    assert_eq!((&patched["os_distro"], &patched["os_version"]), (&json!("fedora"), &json!("17")));
    assert_eq!(patched.get("gone"), None);
    assert_eq!(patched["min_disk"], 20);
    assert_eq!(cloud.get(ALICE, &image).await.json(), patched);
}

#[tokio::test]
async fn the_older_form() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({"name": "old"})).await;
    let send = async |kind: &str, body: &str| {
        let request = Request::patch(format!("/image{image}"))
            .header("x-auth-token", ALICE)
            .header("content-type", kind)
            .body(Body::from(body.to_owned()))
            .unwrap();
        cloud.ask(request).await
    };
    const V20: &str = "application/openstack-images-v2.0-json-patch";
    let patched = send(V20, r#"[{"replace": "/name", "value": "new"}]"#).await.expect(200).json();
    assert_eq!(patched["name"], "new");
    send(V20, r#"[{"add": "/os_glance_foo", "value": "bar"}]"#).await.refuses(403, "is reserved.");
    let refused = send("application/json", "[]").await.expect(415);
    let both = "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch";
    assert_eq!(refused.header("accept-patch"), both);
    send(V20, "").await.refuses(400, "Request body must be a JSON array of operation objects.");
}

#[tokio::test]
async fn a_refused_patch_changes_nothing() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({"name": "old"})).await;
    let before = cloud.get(ALICE, &image).await.json();
    let body = json!([
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "replace", "path": "/nosuch", "value": "x"},
    ]);
    cloud.patch(ALICE, &image, body).await.refuses(409, "Property nosuch does not exist.");
    assert_eq!(cloud.get(ALICE, &image).await.json(), before);
}

#[tokio::test]
async fn who_may_change_what() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({})).await;
    let set = |path: &str, value: &str| json!([{"op": "replace", "path": path, "value": value}]);
    cloud.patch(ALICES_READER, &image, set("/name", "x")).await.refuses(403, "modify_image");
    cloud.patch(BOB, &image, set("/name", "x")).await.expect(404);
    cloud.patch(ALICE, &image, set("/visibility", "public")).await.refuses(403, "publicize_image");
    cloud.patch(ALICE, &image, set("/owner", "p2")).await.refuses(403, "be updated by non admin.");
    cloud.patch(ALICE, &image, set("/visibility", "community")).await.expect(200);
    cloud.patch(BOB, &image, set("/name", "x")).await.expect(403);
    cloud.patch(ADMIN, &image, set("/visibility", "public")).await.expect(200);
    // rules look at the stored owner: giving oneself the image is not owning it
    let both =
        json!([{"op": "replace", "path": "/owner", "value": "p2"}, {"op": "replace", "path": "/name", "value": "x"}]);
    cloud.patch(BOB, &image, both).await.expect(403);
    let given = cloud.patch(ADMIN, &image, set("/owner", "p2")).await.expect(200).json();
    assert_eq!(given["owner"], "p2");
    cloud.patch(ALICE, &image, set("/name", "x")).await.expect(403);
    cloud.patch(BOB, &image, set("/name", "mine now")).await.expect(200);
}

/// Nobody's change is lost, however many change at once.
#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time() {
    let cloud = std::sync::Arc::new(Cloud::start().await);
    let image = cloud.create(ALICE, json!({})).await;
    let changes = (0..6).map(|n| {
        let (cloud, image) = (cloud.clone(), image.clone());
        tokio::spawn(async move {
            let add = json!([{"op": "add", "path": format!("/p{n}"), "value": "x"}]);
            let mut answer = cloud.patch(ALICE, &image, add.clone()).await;
            while answer.status == 409 {
                answer = cloud.patch(ALICE, &image, add.clone()).await;
            }
            answer.expect(200);
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap();
    }
    let shown = cloud.get(ALICE, &image).await.json();
    for n in 0..6 {
        assert_eq!(shown[format!("p{n}")], "x", "{shown}");
    }
}
