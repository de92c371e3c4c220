//! The image service's images in Nova's old shape.

use crate::world::{ADMIN, MEMBER, OTHER, OWN_ADMIN, PROJECT, World, image};
use base::ProjectId;
use image_model::Visibility;
use serde_json::json;

#[tokio::test]
async fn shown_listed_deleted_up_to_2_35() {
    let w = World::new().await;
    let mut mine = image();
    mine.owner = Some(ProjectId::from(PROJECT));
    mine.properties.insert("instance_uuid".into(), "5aaee3c3-12ba-7633-b32b-635be6236232".into());
    let id = w.add_image(mine);
    let mut others = image();
    others.visibility = Visibility::Private;
    others.owner = Some(ProjectId::from(OTHER));
    let hidden = w.add_image(others);
    let me = w.as_(MEMBER).at(35);
    let shown = me.get(&format!("/images/{id}")).await.expect(200)["image"].clone();
    assert_eq!(
        shown,
        json!({
            "id": id, "name": "tiny", "status": "ACTIVE", "progress": 100, "minRam": 0, "minDisk": 0,
            "created": "1970-01-01T00:00:00Z", "updated": "1970-01-01T00:00:00Z", "OS-EXT-IMG-SIZE:size": 10 << 20,
            "metadata": {"os_distro": "debian", "instance_uuid": "5aaee3c3-12ba-7633-b32b-635be6236232"},
            "server": {"id": "5aaee3c3-12ba-7633-b32b-635be6236232", "links": shown["server"]["links"]},
            "links": [
                {"rel": "self", "href": format!("http://cloud:8700/compute/v2.1/images/{id}")},
                {"rel": "bookmark", "href": format!("http://cloud:8700/compute/images/{id}")},
                {"rel": "alternate", "type": "application/vnd.openstack.image",
                 "href": format!("http://cloud:8700/image/images/{id}")}]})
    );
    let all = me.get("/images").await.expect(200);
    assert_eq!(all["images"].as_array().map(Vec::len), Some(2));
    assert_eq!(all["images"][0].get("status"), None);
    let page = me.get("/images/detail?limit=1").await.expect(200);
    assert_eq!(page["images"][0]["status"], "ACTIVE");
    assert!(page["images_links"][0]["href"].as_str().unwrap().contains("/v2.1/images/detail?limit=1&marker="));
    for bad in ["?minRam=x", "?changes-since=x", "?marker=x"] {
        me.get(&format!("/images{bad}")).await.fault(400);
    }
    assert_eq!(me.get(&format!("/images/{hidden}")).await.fault(404), "Image not found.");
    assert_eq!(me.get("/images/nonsense").await.fault(404), "Image not found.");
    let public = w.image.id.to_string();
    let why = me.delete(&format!("/images/{public}")).await.fault(403);
    assert_eq!(why, "You are not allowed to delete the image.");
    assert_eq!(me.delete(&format!("/images/{id}")).await.status, 204);
    me.delete(&format!("/images/{id}")).await.fault(404);
    w.as_(ADMIN).at(36).get("/images").await.fault(404);
}

#[tokio::test]
async fn metadata_up_to_2_38() {
    let w = World::new().await;
    let admin = w.as_(OWN_ADMIN).at(38);
    let path = format!("/images/{}/metadata", w.image.id);
    assert_eq!(admin.get(&path).await.expect(200), json!({"metadata": {"os_distro": "debian"}}));
    let merged = admin.post(&path, json!({"metadata": {"a": "1"}})).await.expect(200);
    assert_eq!(merged, json!({"metadata": {"a": "1", "os_distro": "debian"}}));
    let set = admin.put(&format!("{path}/a"), json!({"meta": {"a": "2"}})).await.expect(200);
    assert_eq!(set, json!({"meta": {"a": "2"}}));
    assert_eq!(admin.get(&format!("{path}/a")).await.expect(200), set);
    let why = admin.put(&format!("{path}/a"), json!({"meta": {"b": "2"}})).await.fault(400);
    assert_eq!(why, "Request body and URI mismatch");
    let replaced = admin.put(&path, json!({"metadata": {"only": "this"}})).await.expect(200);
    assert_eq!(replaced, json!({"metadata": {"only": "this"}}));
    assert_eq!(admin.delete(&format!("{path}/only")).await.status, 204);
    assert_eq!(admin.delete(&format!("{path}/only")).await.fault(404), "Invalid metadata key");
    admin.get(&format!("{path}/only")).await.fault(404);
    w.as_(MEMBER).at(38).post(&path, json!({"metadata": {"a": "1"}})).await.fault(403);
    w.sql(&format!("INSERT INTO quota_limits VALUES ('{PROJECT}', '', 'metadata_items', 1)")).await;
    let many = admin.put(&path, json!({"metadata": {"a": "1", "b": "2"}})).await.fault(403);
    assert_eq!(many, "Image metadata limit exceeded");
    w.as_(OWN_ADMIN).at(39).get(&path).await.fault(404);
}
