//! What must be true of every route of the table.

use crate::cloud::{ADMIN, ALICE, BOB, Cloud, id_of};
use axum::body::Body;
use http::{Method, Request};
use image_model::Backend;
use platform_http::BodyKind;
use serde_json::json;
use std::time::{Duration, Instant};

/// A path of the table, of this image.
fn filled(path: &str, image: &str) -> String {
    let id = id_of(image).to_string();
    let parts = path.split('/').map(|part| match part {
        "{image_id}" => &id,
        "{store_id}" => "main",
        "{member_id}" => "p2",
        "{task_id}" => "36d4b546-64a2-4bb9-bdd0-ba676aa48f2c",
        "{namespace_name}" => "OS::Test::Names",
        part if part.starts_with('{') => "image",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn send(cloud: &Cloud, token: &str, method: &Method, path: &str, body: Vec<u8>) -> u16 {
    let kind = match *method {
        Method::PATCH => "application/openstack-images-v2.1-json-patch",
        _ => "application/json",
    };
    let mut request = Request::builder().method(method).uri(format!("/image{path}")).header("content-type", kind);
    if !token.is_empty() {
        request = request.header("x-auth-token", token);
    }
    cloud.ask(request.body(Body::from(body)).unwrap()).await.status
}

/// Before anything of it is parsed, whoever asks; and who has no token is told so, whatever he sends.
#[tokio::test]
async fn s38_deep_and_large_bodies_are_refused() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    let deep_object = || [b"{\"a\":".repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat();
    let large = || [&b"{\"name\": \""[..], &vec![b'x'; 2 << 20], b"\"}"].concat();
    let mut tried = 0;
    for route in cloud.service.table() {
        if route.body == BodyKind::Stream || ![Method::POST, Method::PUT, Method::PATCH].contains(&route.method) {
            continue;
        }
        let path = filled(route.path, &image);
        let started = Instant::now();
        for (body, status) in
            [(deep(10_000), 400), (deep(500_000), 400), (deep(101), 400), (deep_object(), 400), (large(), 413)]
        {
            let length = body.len();
            for token in [ALICE, ADMIN] {
                let answered = send(&cloud, token, &route.method, &path, body.clone()).await;
                assert_eq!(answered, status, "{} {path}, {length} bytes, {token}", route.method);
            }
            assert_eq!(send(&cloud, "", &route.method, &path, body).await, 401, "{} {path}", route.method);
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{} {path}: {:?}", route.method, started.elapsed());
        tried += 1;
    }
    assert!(tried >= 15, "{tried} routes take a body");
    // it still works, and what is as deep as it may be is read
    assert_eq!(cloud.status(&image).await, "queued");
    cloud.post(ALICE, "/v2/images", json!({"name": "flat"})).await.expect(201);
}

/// [`Cloud::ask`] looks through every answer of every test here; this asks whatever there is to ask, of images in all
/// states, and once more when the stores are broken.
#[tokio::test]
async fn s59_users_are_told_nothing_of_the_inside() {
    let cloud = Cloud::start().await;
    let (stored, empty) = (cloud.bare(ALICE).await, cloud.bare(ALICE).await);
    cloud.upload(ALICE, &stored, "data").await.expect(204);
    cloud.copy_to_spare(&stored, b"data").await;
    let mut broken = false;
    let mut answers = Vec::new();
    loop {
        for route in cloud.service.table() {
            // what deletes comes last
            if route.method == Method::DELETE {
                continue;
            }
            for image in [&stored, &empty] {
                let path = filled(route.path, image);
                for token in ["", ALICE, BOB] {
                    answers.push(send(&cloud, token, &route.method, &path, b"{}".to_vec()).await);
                }
            }
        }
        if broken {
            break;
        }
        broken = true;
        std::fs::remove_dir_all(cloud.image_dir()).unwrap();
        std::fs::write(cloud.image_dir(), "no folder").unwrap();
        for key in cloud.spare.keys() {
            cloud.spare.delete(&cloud.spare.location(&key)).await.unwrap();
        }
    }
    let failed = cloud.upload(ALICE, &cloud.bare(ALICE).await, "data").await.status;
    assert!(failed >= 500, "{failed}");
    for status in [200, 201, 204, 400, 401, 403, 404] {
        assert!(answers.contains(&status), "nothing was answered {status}");
    }
    // the guard is awake: what an administrator sees would be found
    let seen = cloud.get(ADMIN, &format!("{stored}/locations")).await.expect(200).text();
    assert!(cloud.names_the_inside(&seen).is_some(), "{seen}");
}
