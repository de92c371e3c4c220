//! Uploads over a real connection: clients that go away, and images that do.

use crate::cloud::{ALICE, Cloud, id_of};
use axum::Router;
use image_model::Registry;
use platform_http::{Listening, serve};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

async fn listen(cloud: &Cloud) -> (SocketAddr, watch::Sender<bool>) {
    let listening = Listening::bind("127.0.0.1:0").await.unwrap();
    let address = listening.address;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(serve(listening, cloud.service.mount(Router::new(), "/image"), stopped));
    (address, stop)
}

async fn begin_upload(address: SocketAddr, image: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT /image{image}/file HTTP/1.1\r\nhost: cloud\r\nx-auth-token: {ALICE}\r\n\
         content-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn until(cloud: &Cloud, image: &str, status: &str) {
    let started = Instant::now();
    while cloud.status(image).await != status {
        assert!(started.elapsed() < Duration::from_secs(20), "{image} is {}", cloud.status(image).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&text).contains("\r\n\r\n") {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "closed without an answer");
        text.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_the_image_queued_and_no_bytes() {
    let cloud = Cloud::start().await;
    let (address, _stop) = listen(&cloud).await;
    let image = cloud.bare(ALICE).await;
    let mut client = begin_upload(address, &image, 1 << 20).await;
    client.write_all(&[7; 100_000]).await.unwrap();
    until(&cloud, &image, "saving").await;
    // its file comes a moment after the state
    let file = async {
        while cloud.files().len() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), file).await.expect("a file of it");
    drop(client);
    until(&cloud, &image, "queued").await;
    assert!(cloud.files().is_empty(), "{:?}", cloud.files());
    cloud.upload(ALICE, &image, "all of it").await.expect(204);
}

#[tokio::test]
async fn a_second_upload_at_the_same_time_is_refused() {
    let cloud = Cloud::start().await;
    let (address, _stop) = listen(&cloud).await;
    let image = cloud.bare(ALICE).await;
    let mut first = begin_upload(address, &image, 8).await;
    first.write_all(b"half").await.unwrap();
    until(&cloud, &image, "saving").await;
    cloud.upload(ALICE, &image, "other").await.refuses(409, "from saving to saving is not allowed");
    first.write_all(b"full").await.unwrap();
    assert!(answer(first).await.starts_with("HTTP/1.1 204"));
    assert_eq!(cloud.get(ALICE, &format!("{image}/file")).await.bytes.unwrap(), b"halffull");
}

#[tokio::test]
async fn an_image_deleted_during_its_upload_is_gone_for_the_uploader() {
    let cloud = Cloud::start().await;
    let (address, _stop) = listen(&cloud).await;
    let image = cloud.bare(ALICE).await;
    let mut client = begin_upload(address, &image, 8).await;
    client.write_all(b"half").await.unwrap();
    until(&cloud, &image, "saving").await;
    cloud.delete(ALICE, &image).await.expect(204);
    client.write_all(b"full").await.unwrap();
    let answer = answer(client).await;
    assert!(answer.starts_with("HTTP/1.1 410"), "{answer}");
    assert!(answer.contains("may have been deleted during the upload"), "{answer}");
    assert!(cloud.files().is_empty());
    let left = cloud.registry.leftovers().await.unwrap();
    assert!(left.iter().all(|l| l.image != id_of(&image)));
}

#[tokio::test]
async fn who_is_refused_gets_to_read_why() {
    let cloud = Cloud::start().await;
    let (address, _stop) = listen(&cloud).await;
    let image = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &image, "data").await.expect(204);
    let length = 4 << 20;
    let mut client = begin_upload(address, &image, length).await;
    client.write_all(&vec![7; length]).await.unwrap();
    assert!(answer(client).await.starts_with("HTTP/1.1 409"));
}
