//! Against moto.

use crate::servers::{Server, Silent, clients, free_port, tools};
use crate::suite::{a_large_image_takes_little, conforms, read, store};
use base::Secret;
use bytes::Bytes;
use image_backends::{Clients, S3Backend, S3Settings};
use image_model::{Backend, BackendError};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// S3's smallest part.
const PART: u64 = 5 << 20;
/// Older than what moto says of every unfinished upload: that it began in 2010.
const OLD: Duration = Duration::from_secs(60 * 365 * 24 * 3600);

pub(crate) fn moto() -> Option<Server> {
    let port = free_port();
    let program = tools()?.join("moto_server");
    Some(Server::start(Command::new(program).args(["-H", "127.0.0.1", "-p", &port.to_string()]), port))
}

pub(crate) fn settings(port: u16) -> S3Settings {
    S3Settings {
        endpoint: format!("http://127.0.0.1:{port}").parse().unwrap(),
        region: "us-east-1".into(),
        bucket: "images".into(),
        prefix: "cloud.".into(),
        path_style: true,
        access_key: "key".into(),
        secret_key: Secret::new("secret"),
        create_bucket: true,
        part_bytes: PART,
        abandoned_after: OLD,
    }
}

fn backend(settings: S3Settings) -> S3Backend {
    S3Backend::new(settings, clients()).unwrap()
}

#[tokio::test]
async fn path_style() {
    let Some(moto) = moto() else { return };
    conforms(&backend(settings(moto.port)), 17_000_000).await;
}

#[tokio::test]
async fn virtual_hosted_style() {
    let Some(moto) = moto() else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], moto.port));
    let http = platform_http::client().resolve("images.s3.amazonaws.com", address).build().unwrap();
    let http = Clients { asking: http.clone(), sending: http };
    let endpoint = format!("http://s3.amazonaws.com:{}", moto.port).parse().unwrap();
    let settings = S3Settings { endpoint, path_style: false, ..settings(moto.port) };
    conforms(&S3Backend::new(settings, http).unwrap(), 17_000_000).await;
}

#[tokio::test]
async fn a_bucket_that_is_not_to_be_made() {
    let Some(moto) = moto() else { return };
    let error =
        backend(S3Settings { create_bucket: false, ..settings(moto.port) }).create("x", None).await.err().unwrap();
    assert!(matches!(&error, BackendError::Unavailable(why) if why == "there is no bucket images"), "{error}");
}

/// This server may answer 500 where parts of an upload that is given up are still coming.
async fn asked_again<T>(ask: impl AsyncFn() -> Result<T, BackendError>) -> T {
    for _ in 0..40 {
        match ask().await {
            Err(BackendError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(250)).await,
            answer => return answer.unwrap(),
        }
    }
    panic!("the server has not come to itself in ten seconds");
}

/// An upload whose process is gone: its parts are found by its key, and by their age.
#[tokio::test]
async fn parts_of_dead_uploads_go() {
    let Some(moto) = moto() else { return };
    let s3 = backend(settings(moto.port));
    for (key, by_sweep) in [("dead", false), ("old", true)] {
        let mut writer = s3.create(key, None).await.unwrap();
        for _ in 0..4 {
            writer.write(Bytes::from(vec![7; PART as usize])).await.unwrap();
        }
        std::mem::forget(writer);
        assert_eq!(s3.sweep().await.unwrap(), 0, "it may be alive");
        if by_sweep {
            let impatient = backend(S3Settings { abandoned_after: Duration::ZERO, ..settings(moto.port) });
            assert_eq!(asked_again(async || impatient.sweep().await).await, 1);
            assert_eq!(impatient.sweep().await.unwrap(), 0);
        } else {
            asked_again(async || s3.delete(&s3.location(key)).await).await;
            let impatient = backend(S3Settings { abandoned_after: Duration::ZERO, ..settings(moto.port) });
            assert_eq!(impatient.sweep().await.unwrap(), 0, "nothing is left to be swept");
        }
    }
}

#[tokio::test]
async fn others_of_the_same_bucket_are_left_alone() {
    let Some(moto) = moto() else { return };
    let ours = backend(settings(moto.port));
    let theirs = backend(S3Settings { prefix: "other.".into(), ..settings(moto.port) });
    let location = store(&theirs, "x", b"theirs", 6).await;
    assert!(ours.list().await.unwrap().is_empty());
    assert!(!ours.holds(&location));
    ours.delete(&ours.location("x")).await.unwrap();
    assert_eq!(read(&theirs, &location, None).await.unwrap(), b"theirs");
}

#[tokio::test]
async fn a_large_image_takes_little_memory() {
    let Some(moto) = moto() else { return };
    a_large_image_takes_little(&backend(settings(moto.port)), 96, 40).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let silent = Silent::start();
    let s3 = S3Backend::new(settings(silent.port()), silent.clients()).unwrap();
    silent.is_not_waited_for(&s3).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_said_to_be() {
    let Some(moto) = moto() else { return };
    let s3 = backend(settings(moto.port));
    let location = store(&s3, "image", b"data", 4).await;
    let mut writer = s3.create("other", None).await.unwrap();
    drop(moto);
    for error in [
        s3.create("x", None).await.err().unwrap(),
        s3.open(&location, None).await.err().unwrap(),
        s3.size(&location).await.err().unwrap(),
        s3.list().await.err().unwrap(),
        s3.delete(&location).await.err().unwrap(),
    ] {
        assert!(matches!(error, BackendError::Unavailable(_)), "{error}");
        assert!(!error.to_string().contains("Signature"), "{error}");
    }
    writer.write(Bytes::from_static(b"data")).await.unwrap();
    assert!(matches!(writer.commit().await, Err(BackendError::Unavailable(_))));
}
