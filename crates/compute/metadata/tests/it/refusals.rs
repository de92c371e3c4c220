//! Who is told nothing, and in which words.

use crate::world::{PROJECT, World, signed};
use axum::body::Body;
use base::InstanceId;
use http::Request;
use platform_db::testing::on_each_engine;
use std::time::Duration;

fn plain(status: &str, sentence: &str) -> String {
    format!("{status}\n\n{sentence}\n\n   ")
}

fn absent() -> String {
    plain("404 Not Found", "The resource could not be found.")
}

const PATH: &str = "/openstack/latest/meta_data.json";

#[tokio::test]
async fn a_request_that_no_proxy_has_signed() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await.to_string();
        let before = db.statements();
        let ask = async |request: http::request::Builder, status| {
            world.send(request.uri(PATH).body(Body::empty()).unwrap()).await.text(status)
        };
        let without = |name: &str| {
            let mut request = signed(&id, PROJECT);
            request.headers_mut().unwrap().remove(name);
            request
        };
        assert_eq!(ask(Request::builder(), 404).await, absent());
        assert_eq!(ask(Request::builder().header("x-forwarded-for", "10.0.0.9"), 404).await, absent());
        assert_eq!(ask(signed(&id, PROJECT).header("x-metadata-provider", "lb"), 404).await, absent());
        for (header, named) in [
            ("x-instance-id", "X-Instance-ID"),
            ("x-tenant-id", "X-Tenant-ID"),
            ("x-instance-id-signature", "X-Instance-ID-Signature"),
        ] {
            let missing = plain("400 Bad Request", &format!("{named} header is missing from request."));
            assert_eq!(ask(without(header), 400).await, missing);
            let twice = plain("400 Bad Request", &format!("Multiple {named} headers found within request."));
            assert_eq!(ask(signed(&id, PROJECT).header(header, "x"), 400).await, twice);
        }
        let forbidden = plain("403 Forbidden", "Invalid proxy request signature.");
        let forged = without("x-instance-id-signature").header("x-instance-id-signature", "0".repeat(64));
        assert_eq!(ask(forged, 403).await, forbidden);
        let moved = without("x-instance-id").header("x-instance-id", InstanceId::random().to_string());
        assert_eq!(ask(moved, 403).await, forbidden);
        assert_eq!(db.statements(), before, "the database is asked for nobody of these");
        // what needs no guest is for anybody, as Nova has it
        world.send(Request::builder().uri("/").body(Body::empty()).unwrap()).await.text(200);
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_is_not_the_projects_or_not_there() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let ask = async |id: &str, project: &str| {
            world.send(signed(id, project).uri(PATH).body(Body::empty()).unwrap()).await
        };
        assert_eq!(ask(&id.to_string(), "another").await.text(404), absent());
        assert_eq!(ask(&InstanceId::random().to_string(), PROJECT).await.text(404), absent());
        for odd in
            ["", "x", &id.to_string().to_uppercase(), &id.to_string().replace('-', ""), "'; DROP TABLE instances"]
        {
            assert_eq!(ask(odd, PROJECT).await.text(404), absent(), "{odd}");
        }
        ask(&id.to_string(), PROJECT).await.text(200);
        world.delete(id).await;
        world.clock.advance(Duration::from_secs(15));
        assert_eq!(ask(&id.to_string(), PROJECT).await.text(404), absent());
        let deleted = world.guest(|row| row.deleted_at = Some(row.created_at)).await;
        assert_eq!(ask(&deleted.to_string(), PROJECT).await.text(404), absent());
    })
    .await;
}

#[tokio::test]
async fn without_a_secret_nobody_is_believed() {
    on_each_engine(async |db| {
        let world = World::with(&db, "");
        let id = world.guest(|_| ()).await;
        world.get(id, PATH).await.text(403);
    })
    .await;
}

#[tokio::test]
async fn a_guest_sees_nothing_of_the_process_through_the_proxy() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        assert_eq!(world.get(id, "/metrics").await.text(404), absent());
        let monitoring = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
        assert_eq!(world.send(monitoring).await.text(200), "of the process");
    })
    .await;
}
