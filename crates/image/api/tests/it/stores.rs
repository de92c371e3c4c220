//! Several stores: where bytes go, where they are read from, and taking them out.

use crate::cloud::{ADMIN, ALICE, BOB, Cloud, ON_THE_WEB, SERVICE, WEB_DATA, id_of};
use axum::body::Body;
use http::Request;
use image_api::{LocalImages, tend};
use image_model::{Backend, ImageSource, Registry};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) async fn upload_to(cloud: &Cloud, image: &str, store: &str, body: impl Into<Body>) -> crate::cloud::Answer {
    let request = Request::put(format!("/image{image}/file"))
        .header("x-auth-token", ALICE)
        .header("content-type", "application/octet-stream")
        .header("x-image-meta-store", store);
    cloud.ask(request.body(body.into()).unwrap()).await
}

async fn settled(cloud: &Cloud, image: &str) -> Value {
    let started = Instant::now();
    loop {
        let shown = cloud.get(ADMIN, image).await.expect(200).json();
        if shown["status"] != "saving" {
            return shown;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{shown}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_stores_there_are() {
    let cloud = Cloud::start().await;
    let stores = cloud.get(ALICE, "/v2/info/stores").await.expect(200).json();
    assert_eq!(
        stores,
        json!({"stores": [
            {"id": "main", "description": "the main one", "default": "true"},
            {"id": "spare", "description": "the spare one"},
            {"id": "web", "description": "the web one", "read-only": "true"},
        ]})
    );
    cloud.get(ALICE, "/v2/info/stores/detail").await.refuses(403, "stores_info_detail");
    for token in [ADMIN, SERVICE] {
        let detail = cloud.get(token, "/v2/info/stores/detail").await.expect(200).json();
        let main = &detail["stores"][0];
        assert_eq!((&main["type"], &main["weight"]), (&json!("file"), &json!(0)));
        assert!(main["properties"]["data_dir"].as_str().unwrap().ends_with("/images"));
        assert_eq!(detail["stores"][2]["type"], "http");
    }
    let body = json!({"disk_format": "raw", "container_format": "bare"});
    let created = cloud.post(ALICE, "/v2/images", body).await.expect(201);
    assert_eq!(created.header("openstack-image-store-ids"), "main,spare,web");
    assert_eq!(created.json().get("stores"), None);
}

#[tokio::test]
async fn an_upload_goes_where_it_is_sent() {
    let cloud = Cloud::start().await;
    let (a, b) = (cloud.bare(ALICE).await, cloud.bare(ALICE).await);
    upload_to(&cloud, &a, "nowhere", "x").await.refuses(400, "Store for identifier nowhere not found");
    upload_to(&cloud, &a, "web", "x").await.refuses(410, "Adding images to store is disabled.");
    assert_eq!(cloud.status(&a).await, "queued");
    upload_to(&cloud, &a, "spare", "in memory").await.expect(204);
    cloud.upload(ALICE, &b, "in a file").await.expect(204);
    assert_eq!((cloud.spare.keys().len(), cloud.files().len()), (1, 1));
    for (image, store, data) in [(&a, "spare", "in memory"), (&b, "main", "in a file")] {
        assert_eq!(cloud.get(ALICE, image).await.json()["stores"], store);
        assert_eq!(cloud.get(ALICE, &format!("{image}/file")).await.expect(200).text(), data);
    }
    let listed = cloud.get(ALICE, "/v2/images?sort=created_at:asc").await.json();
    assert_eq!((&listed["images"][0]["stores"], &listed["images"][1]["stores"]), (&json!("spare"), &json!("main")));
    for image in [&a, &b] {
        cloud.delete(ALICE, image).await.expect(204);
    }
    assert_eq!((cloud.spare.keys().len(), cloud.files().len()), (0, 0));
    assert!(cloud.registry.leftovers().await.unwrap().is_empty());
}

#[tokio::test]
async fn where_one_copy_cannot_be_read_another_is() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &image, "0123456789").await.expect(204);
    cloud.copy_to_spare(&image, b"0123456789").await;
    assert_eq!(cloud.get(ALICE, &image).await.json()["stores"], "main,spare");
    let locations = cloud.get(ADMIN, &format!("{image}/locations")).await.expect(200).json();
    let names: Vec<_> = locations.as_array().unwrap().iter().map(|l| &l["metadata"]["store"]).collect();
    assert_eq!(names, ["main", "spare"]);

    let file = cloud.image_dir().join(&cloud.files()[0]);
    // cut off: what is missing comes from the other copy, and nothing twice
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(4).unwrap();
    let read = async || cloud.get(ALICE, &format!("{image}/file")).await.expect(200).text();
    assert_eq!(read().await, "0123456789");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(read().await, "0123456789");
    let images = LocalImages(cloud.glance.clone());
    let stream = images.open(&base::RequestContext::internal(), id_of(&image), Some(3..6)).await.unwrap();
    let chunks: Vec<bytes::Bytes> = futures_util::TryStreamExt::try_collect(stream).await.unwrap();
    assert_eq!(chunks.concat(), b"345");
}

/// Each copy is of other bytes here, to tell which one is read.
#[tokio::test]
async fn the_stores_that_are_preferred_are_read_first() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &image, "main ").await.expect(204);
    cloud.copy_to_spare(&image, b"spare").await;
    let read = async |prefer: &str| cloud.get(ALICE, &format!("{image}/file{prefer}")).await;
    for (prefer, from) in [
        ("", "main "),
        ("?prefer=", "main "),
        ("?prefer=spare", "spare"),
        ("?prefer=main,spare", "main "),
        ("?prefer=spare,%20main", "spare"),
        ("?prefer=web,spare", "spare"),
        ("?prefer=web", "main "),
    ] {
        assert_eq!(read(prefer).await.expect(200).text(), from, "{prefer}");
    }
    let part = Request::get(format!("/image{image}/file?prefer=spare")).header("x-auth-token", ALICE);
    let part = part.header("range", "bytes=1-3").body(Body::empty()).unwrap();
    assert_eq!(cloud.ask(part).await.expect(206).text(), "par");
    read("?prefer=spare,nowhere").await.refuses(400, "is not configured.");
    cloud.get(BOB, &format!("{image}/file?prefer=spare")).await.expect(404);
    // what is preferred and gone is no reason to fail
    cloud.spare.delete(&cloud.spare.location(&cloud.spare.keys()[0])).await.unwrap();
    assert_eq!(read("?prefer=spare").await.expect(200).text(), "main ");
}

/// As Glance: nothing, and no error. Compute refuses such an image, and the doctor names it.
#[tokio::test]
async fn data_that_is_gone_is_no_data() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &image, "data").await.expect(204);
    std::fs::remove_file(cloud.image_dir().join(&cloud.files()[0])).unwrap();
    let gone = cloud.get(ALICE, &format!("{image}/file")).await.expect(204);
    assert_eq!((gone.bytes.unwrap().len(), gone.headers.get("content-length")), (0, None));
    let images = LocalImages(cloud.glance.clone());
    let refused = images.open(&base::RequestContext::internal(), id_of(&image), None).await.err().unwrap();
    assert!(refused.to_string().contains("it has no data"), "{refused}");
}

#[tokio::test]
async fn a_copy_is_taken_out_of_one_store() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let id = id_of(&image);
    let out_of = |store: &str| format!("/v2/stores/{store}/{id}");
    cloud.delete(ADMIN, &out_of("main")).await.refuses(409, "to remove image data from store if image status is not");
    cloud.upload(ALICE, &image, "data").await.expect(204);
    let only = "Cannot delete image data from the only store containing it. Consider deleting the image instead.";
    cloud.delete(ADMIN, &out_of("main")).await.refuses(403, only);
    cloud.copy_to_spare(&image, b"data").await;
    cloud.delete(ALICE, &out_of("main")).await.refuses(403, "delete_image_location");
    cloud.delete(BOB, &out_of("main")).await.refuses(404, &format!("Failed to find image {id}"));
    cloud
        .delete(ADMIN, &out_of("nowhere"))
        .await
        .refuses(409, "The selected store nowhere is not available on this node.");
    let not_there = format!("Image {id} is not stored in store web.");
    cloud.delete(ADMIN, &out_of("web")).await.refuses(404, &not_there);
    cloud.delete(ADMIN, "/v2/stores/main/nosuch").await.refuses(404, "Failed to find image nosuch");
    cloud.delete(ADMIN, &out_of("main")).await.expect(204);
    assert!(cloud.files().is_empty());
    assert_eq!(cloud.get(ALICE, &image).await.json()["stores"], "spare");
    assert_eq!(cloud.get(ALICE, &format!("{image}/file")).await.text(), "data");
    cloud.delete(ADMIN, &out_of("spare")).await.refuses(403, only);
    assert!(cloud.registry.leftovers().await.unwrap().is_empty());
}

/// The process that took a copy out of the record died before it deleted the bytes.
#[tokio::test]
async fn bytes_of_a_copy_that_was_taken_out_go_later() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &image, "data").await.expect(204);
    cloud.copy_to_spare(&image, b"data").await;
    let url = cloud.get(ADMIN, &format!("{image}/locations")).await.json()[0]["url"].as_str().unwrap().to_owned();
    cloud.registry.location_remove(id_of(&image), url, "req-1".into()).await.unwrap();
    assert_eq!(cloud.files().len(), 1);
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(tend(cloud.glance.clone(), stopped));
    let started = Instant::now();
    while !cloud.files().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn data_on_the_web_becomes_an_image() {
    let cloud = Cloud::start().await;
    let sha256 = "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592";
    for (validation, algo) in
        [(None, "sha512"), (Some(json!({"os_hash_algo": "sha256", "os_hash_value": sha256})), "sha256")]
    {
        let image = cloud.bare(ALICE).await;
        let mut body = json!({"url": ON_THE_WEB});
        if let Some(validation) = validation {
            body["validation_data"] = validation;
        }
        cloud.post(ALICE, &format!("{image}/locations"), body).await.expect(202);
        let shown = settled(&cloud, &image).await;
        assert_eq!((&shown["status"], &shown["size"], &shown["stores"]), (&json!("active"), &json!(43), &json!("web")));
        assert_eq!(
            (&shown["os_hash_algo"], shown["os_hash_value"].as_str().unwrap().len()),
            (&json!(algo), if algo == "sha256" { 64 } else { 128 })
        );
        assert_eq!(shown["checksum"], "9e107d9d372bb6826bd81d3542a419d6");
        let data = cloud.get(ALICE, &format!("{image}/file")).await.expect(200);
        assert_eq!(data.bytes.unwrap(), WEB_DATA);
        let body = json!({"url": ON_THE_WEB});
        let again = cloud.post(ALICE, &format!("{image}/locations"), body).await;
        again.refuses(409, "not allowed to add locations if image status is active.");
        cloud.delete(ALICE, &image).await.expect(204);
    }
    assert!(cloud.registry.leftovers().await.unwrap().is_empty());
}

#[tokio::test]
async fn s09_s10_s13_what_may_not_be_registered() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let at = format!("{image}/locations");
    let try_url = async |token: &str, url: &str| cloud.post(token, &at, json!({"url": url})).await;
    for url in ["file:///etc/passwd", "file:///dev/zero", "memory://x", "swift+config://x", "s3://bucket/x", ""] {
        try_url(ALICE, url).await.refuses(403, "http store must be enabled to use location API by normal user.");
        try_url("nova@p1+service,member,reader", url).await.refuses(400, "Invalid location");
    }
    for url in
        ["http://127.0.0.1/x", "http://169.254.169.254/", "http://web.example.evil/x", "http://web.example@evil/x"]
    {
        try_url(ALICE, url).await.refuses(400, "Invalid location");
    }
    try_url(BOB, ON_THE_WEB).await.expect(404);
    for (body, words) in [
        (json!({}), "is a required property"),
        (json!({"url": 7}), "not of type"),
        (json!({"url": ON_THE_WEB, "validation_data": {"checksum": "x"}}), "Additional properties are not allowed"),
        (json!({"url": ON_THE_WEB, "validation_data": {"os_hash_algo": "md5"}}), "is a dependency of"),
        (
            json!({"url": ON_THE_WEB, "validation_data": {"os_hash_algo": "crc", "os_hash_value": "00"}}),
            "is not one of",
        ),
        (
            json!({"url": ON_THE_WEB, "validation_data": {"os_hash_algo": "md5", "os_hash_value": "0g"}}),
            "is not a valid hexadecimal value",
        ),
        (
            json!({"url": ON_THE_WEB, "validation_data": {"os_hash_algo": "md5", "os_hash_value": "00"}}),
            "should be (16) bytes",
        ),
    ] {
        cloud.post(ALICE, &at, body).await.refuses(400, words);
    }
    assert_eq!(cloud.status(&image).await, "queued");
    // what is found out only by reading: the image is queued again
    let wrong = json!({"url": ON_THE_WEB, "validation_data": {"os_hash_algo": "md5", "os_hash_value": "0".repeat(32)}});
    for body in [wrong, json!({"url": "http://web.example/other"})] {
        cloud.post(ALICE, &at, body).await.expect(202);
        let shown = settled(&cloud, &image).await;
        assert_eq!(
            (&shown["status"], &shown["size"], &shown["os_hash_value"]),
            (&json!("queued"), &json!(null), &json!(null))
        );
    }
    let qcow2 = cloud.create(ALICE, json!({"disk_format": "qcow2", "container_format": "bare"})).await;
    cloud.post(ALICE, &format!("{qcow2}/locations"), json!({"url": ON_THE_WEB})).await.expect(202);
    assert_eq!(settled(&cloud, &qcow2).await["status"], "queued", "it is no qcow2");
}
