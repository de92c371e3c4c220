use crate::cloud::{ADMIN, ALICE, ALICES_READER, BOB, Cloud, EVE};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request};
use image_model::Limits;
use serde_json::json;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 11 + i / 251) as u8).collect()
}

/// A body in pieces, without a length.
fn chunked(bytes: &[u8], size: usize) -> Body {
    let chunks: Vec<Result<Bytes, std::io::Error>> =
        bytes.chunks(size).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    Body::from_stream(stream::iter(chunks))
}

#[tokio::test]
async fn up_and_down() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let file = format!("{image}/file");
    assert_eq!(cloud.get(ALICE, &file).await.expect(204).bytes.unwrap(), b"");
    let bytes = b"The quick brown fox jumps over the lazy dog";
    cloud.upload(ALICE, &image, &bytes[..]).await.expect(204);
    let shown = cloud.get(ALICES_READER, &image).await.json();
    assert_eq!((&shown["status"], &shown["size"], &shown["virtual_size"]), (&json!("active"), &json!(43), &json!(43)));
    assert_eq!(shown["checksum"], "9e107d9d372bb6826bd81d3542a419d6");
    assert_eq!(shown["os_hash_algo"], "sha512");
    assert_eq!(
        shown["os_hash_value"],
        "07e547d9586f6a73f73fbac0435ed76951218fb7d0c8d788a309d785436bbb64\
         2e93a252a954f23912547d1e8a3b5ed6e1bfd7097821233fa0538f3db854fee6"
    );
    let down = cloud.get(ALICE, &file).await.expect(200);
    assert_eq!(down.header("content-md5"), "9e107d9d372bb6826bd81d3542a419d6");
    assert_eq!((down.header("content-length"), down.header("content-type")), ("43", "application/octet-stream"));
    assert_eq!(down.bytes.unwrap(), bytes);
    cloud
        .upload(ALICE, &image, "again")
        .await
        .refuses(409, "Image status transition from active to saving is not allowed");
    cloud.delete(ALICE, &image).await.expect(204);
    assert!(cloud.files().is_empty());
}

#[tokio::test]
async fn a_large_one_in_pieces() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let bytes = pattern(5_000_001);
    cloud.upload(ALICE, &image, chunked(&bytes, 64 << 10)).await.expect(204);
    let down = cloud.get(ALICE, &format!("{image}/file")).await.expect(200);
    assert!(down.bytes.unwrap() == bytes);
    assert_eq!(cloud.get(ALICE, &image).await.json()["size"], 5_000_001);
}

#[tokio::test]
async fn parts_of_it() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let bytes = pattern(1_000_000);
    cloud.upload(ALICE, &image, bytes.clone()).await.expect(204);
    let ask = async |range: &str| {
        let request = Request::get(format!("/image{image}/file")).header("x-auth-token", ALICE).header("range", range);
        cloud.ask(request.body(Body::empty()).unwrap()).await
    };
    for (range, want, content_range) in [
        ("bytes=0-4", 0..5, "bytes 0-4/1000000"),
        ("bytes=999990-", 999_990..1_000_000, "bytes 999990-999999/1000000"),
        ("bytes=-7", 999_993..1_000_000, "bytes 999993-999999/1000000"),
        ("bytes=1000-700000", 1000..700_001, "bytes 1000-700000/1000000"),
    ] {
        let part = ask(range).await.expect(206);
        assert_eq!(part.header("content-range"), content_range);
        assert_eq!(part.header("content-length"), want.len().to_string());
        assert!(part.bytes.unwrap() == bytes[want], "{range}");
    }
    ask("bytes=1000000-").await.refuses(416, "Invalid start position in Range header.");
    ask("bytes=0-1,5-6").await.refuses(400, "multiple ranges are not supported");
    ask("nonsense").await.expect(416);
}

#[tokio::test]
async fn who_may_move_bytes() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    cloud.upload(BOB, &image, "x").await.expect(404);
    cloud.upload(ALICES_READER, &image, "x").await.refuses(403, "upload_image");
    assert_eq!(cloud.status(&image).await, "queued");
    cloud.upload(ALICE, &image, "x").await.expect(204);
    let file = format!("{image}/file");
    cloud.get(ALICES_READER, &file).await.refuses(403, "download_image");
    cloud.get(EVE, &file).await.expect(404);
    cloud.get(ADMIN, &file).await.expect(200);
    cloud.post(ALICE, &format!("{image}/members"), json!({"member": "p2"})).await.expect(200);
    cloud.get(BOB, &file).await.expect(200);
}

#[tokio::test]
async fn what_must_be_said_first() {
    let cloud = Cloud::start().await;
    for (body, words) in [
        (json!({}), "Properties disk_format, container_format must be set prior to saving data."),
        (json!({"disk_format": "raw"}), "Property container_format must be set prior to saving data."),
    ] {
        let image = cloud.create(ALICE, body).await;
        cloud.upload(ALICE, &image, "x").await.refuses(400, words);
        assert_eq!(cloud.status(&image).await, "queued");
    }
    let image = cloud.bare(ALICE).await;
    let kind = async |kind: Option<&str>| {
        let mut request = Request::put(format!("/image{image}/file")).header("x-auth-token", ALICE);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        cloud.ask(request.body(Body::from("x")).unwrap()).await
    };
    kind(None).await.refuses(415, "Invalid content type None");
    kind(Some("application/json")).await.refuses(415, "Invalid content type application/json");
    kind(Some("application/octet-stream; q=1")).await.expect(204);
}

#[tokio::test]
async fn s01_s02_s03_s07_content_that_is_not_what_it_is_called() {
    let cloud = Cloud::start().await;
    let mut qcow2 = vec![0; 65_536];
    qcow2[..4].copy_from_slice(b"QFI\xfb");
    qcow2[7] = 3;
    qcow2[24..32].copy_from_slice(&(1u64 << 30).to_be_bytes());
    let mut backed = qcow2.clone();
    backed[15] = 1;
    let mut outside = qcow2.clone();
    outside[79] = 1 << 2;
    let flat =
        b"# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\nRW 2048 FLAT \"/etc/passwd\" 0\n".to_vec();
    let create = async |format: &str, container: &str| {
        cloud.create(ALICE, json!({"disk_format": format, "container_format": container})).await
    };
    for (format, bytes, words) in [
        ("raw", &qcow2, "Image disk_format raw does not match stream data qcow2"),
        ("qcow2", &backed, "Image has a backing file"),
        ("qcow2", &outside, "Image has data_file set"),
        ("vmdk", &flat, "other files"),
        ("raw", &flat, "Image disk_format raw does not match stream data vmdk"),
        ("qcow2", &vec![0; 4096], "Image disk_format qcow2 does not match stream data raw"),
        ("vmdk", &qcow2, "Image disk_format vmdk does not match stream data qcow2"),
    ] {
        let image = create(format, "bare").await;
        cloud.upload(ALICE, &image, bytes.clone()).await.refuses(415, words);
        let shown = cloud.get(ALICE, &image).await.json();
        assert_eq!(
            (&shown["status"], &shown["size"], &shown["checksum"]),
            (&json!("queued"), &json!(null), &json!(null))
        );
        assert!(cloud.files().is_empty(), "{:?}", cloud.files());
    }
    let image = create("qcow2", "bare").await;
    cloud.upload(ALICE, &image, qcow2.clone()).await.expect(204);
    let shown = cloud.get(ALICE, &image).await.json();
    assert_eq!((&shown["size"], &shown["virtual_size"]), (&json!(65_536), &json!(1 << 30)));
    // every format has its name accepted; what has no signature may be anything that is not another format
    for format in ["aki", "ari", "ami", "ploop"] {
        let image = create(format, if format == "ploop" { "bare" } else { format }).await;
        cloud.upload(ALICE, &image, "a kernel").await.expect(204);
        let image = create(format, "bare").await;
        cloud.upload(ALICE, &image, qcow2.clone()).await.expect(415);
    }
    // a packed image cannot be looked into
    let image = create("vmdk", "ova").await;
    cloud.upload(ALICE, &image, "a tar file").await.expect(204);
}

#[tokio::test]
async fn a_failed_upload_may_be_tried_again() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let broken: Vec<Result<Bytes, std::io::Error>> =
        vec![Ok(Bytes::from_static(b"half of it")), Err(std::io::ErrorKind::ConnectionReset.into())];
    cloud.upload(ALICE, &image, Body::from_stream(stream::iter(broken))).await.refuses(400, "ended early");
    assert_eq!(cloud.status(&image).await, "queued");
    assert!(cloud.files().is_empty());
    cloud.upload(ALICE, &image, "all of it").await.expect(204);
    assert_eq!(cloud.status(&image).await, "active");
}

#[tokio::test]
async fn a_full_store() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    cloud.backend.set_reserve(u64::MAX);
    cloud.upload(ALICE, &image, "x").await.refuses(413, "Image storage media is full: There is not enough disk space");
    assert_eq!(cloud.status(&image).await, "queued");
    cloud.backend.set_reserve(0);
    // full half-way: the store looks every 32 MiB
    let backend = cloud.backend.clone();
    let chunks = stream::iter(0..40).map_chunk(move |n| {
        if n == 1 {
            backend.set_reserve(u64::MAX);
        }
        Bytes::from(vec![7; 2 << 20])
    });
    cloud.upload(ALICE, &image, chunks).await.refuses(413, "Image storage media is full");
    assert_eq!(cloud.status(&image).await, "queued");
    assert!(cloud.files().is_empty());
}

trait MapChunk {
    fn map_chunk(self, f: impl FnMut(u32) -> Bytes + Send + 'static) -> Body;
}
impl<S: futures_util::Stream<Item = u32> + Send + 'static> MapChunk for S {
    fn map_chunk(self, mut f: impl FnMut(u32) -> Bytes + Send + 'static) -> Body {
        use futures_util::StreamExt;
        Body::from_stream(self.map(move |n| Ok::<_, std::io::Error>(f(n))))
    }
}

#[tokio::test]
async fn size_limits() {
    let limits = Limits { image_size_cap: 1000, user_storage_quota: Some(1500), ..Limits::default() };
    let cloud = Cloud::with(limits).await;
    let image = cloud.bare(ALICE).await;
    let declared = Request::put(format!("/image{image}/file"))
        .header("x-auth-token", ALICE)
        .header("content-type", "application/octet-stream")
        .header("x-openstack-image-size", "1001");
    cloud.ask(declared.body(Body::from("x")).unwrap()).await.refuses(413, "The provided image is too large.");
    cloud.upload(ALICE, &image, chunked(&pattern(1001), 100)).await.refuses(413, "The provided image is too large.");
    assert_eq!(cloud.status(&image).await, "queued");
    cloud.upload(ALICE, &image, chunked(&pattern(1000), 100)).await.expect(204);
    let second = cloud.bare(ALICE).await;
    cloud.upload(ALICE, &second, chunked(&pattern(501), 100)).await.refuses(413, "Image exceeds the storage quota");
    assert_eq!(cloud.files().len(), 1);
    cloud.upload(ALICE, &second, chunked(&pattern(500), 100)).await.expect(204);
    // others have their own
    let bobs = cloud.bare(BOB).await;
    cloud.upload(BOB, &bobs, chunked(&pattern(1000), 100)).await.expect(204);
}

#[tokio::test]
async fn out_of_use_and_back() {
    let cloud = Cloud::start().await;
    let image = cloud.bare(ALICE).await;
    let act =
        async |token, action: &str| cloud.call(token, Method::POST, &format!("{image}/actions/{action}"), None).await;
    let file = format!("{image}/file");
    act(ALICE, "deactivate").await.refuses(403, "Not allowed to deactivate image in status");
    cloud.upload(ALICE, &image, "data").await.expect(204);
    act(BOB, "deactivate").await.expect(404);
    act(ALICES_READER, "deactivate").await.expect(403);
    for _ in 0..2 {
        act(ALICE, "deactivate").await.expect(204);
        assert_eq!(cloud.status(&image).await, "deactivated");
    }
    cloud.get(ALICE, &file).await.refuses(403, "The requested image has been deactivated.");
    cloud.get(ADMIN, &file).await.expect(200);
    for _ in 0..2 {
        act(ALICE, "reactivate").await.expect(204);
    }
    cloud.get(ALICE, &file).await.expect(200);
    cloud.post(ALICE, &format!("{image}/actions/explode"), json!({})).await.expect(404);
}
