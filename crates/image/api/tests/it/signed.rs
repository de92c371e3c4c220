//! Signed images: what is not what was signed is not stored, whichever way it comes.

use crate::cloud::{ADMIN, ALICE, CERTIFICATES, Cloud, ON_THE_WEB, WEB_DATA};
use crate::imports::Site;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Properties of an image whose data is [`WEB_DATA`], signed with that certificate.
fn properties(certificate: &str, method: &str) -> Value {
    let text = std::fs::read_to_string(format!("{CERTIFICATES}/signatures.txt")).unwrap();
    let fields = text.lines().map(|l| l.split(' ').collect::<Vec<_>>());
    let found = fields.into_iter().find(|f| f[0] == certificate && f[2] == method).unwrap();
    json!({
        "disk_format": "raw",
        "container_format": "bare",
        "img_signature": found[4],
        "img_signature_hash_method": method,
        "img_signature_key_type": found[1],
        "img_signature_certificate_uuid": format!("00000000-0000-4000-8000-00000000000{certificate}"),
    })
}

fn with(mut properties: Value, name: &str, value: &str) -> Value {
    properties[name] = json!(value);
    properties
}

async fn is_queued_and_nothing_left(cloud: &Cloud, image: &str) {
    let shown = cloud.get(ALICE, image).await.json();
    assert_eq!((&shown["status"], &shown["size"], &shown["checksum"]), (&json!("queued"), &json!(null), &json!(null)));
    assert!(cloud.files().is_empty());
}

#[tokio::test]
async fn uploads_are_verified() {
    let cloud = Cloud::start().await;
    for certificate in ["1", "2", "3", "4", "5"] {
        for method in ["SHA-224", "SHA-256", "SHA-384", "SHA-512"] {
            let image = cloud.create(ALICE, properties(certificate, method)).await;
            cloud.upload(ALICE, &image, "the quick brown fox").await.refuses(
                400,
                &format!(
                    "Signature verification failed for image {}: Signature verification failed",
                    image.rsplit('/').next().unwrap()
                ),
            );
            is_queued_and_nothing_left(&cloud, &image).await;
            cloud.upload(ALICE, &image, WEB_DATA).await.expect(204);
            assert_eq!(cloud.status(&image).await, "active");
            cloud.delete(ALICE, &image).await.expect(204);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_verified_is_refused() {
    let cloud = Cloud::start().await;
    let certificate = "img_signature_certificate_uuid";
    for (name, value, why) in [
        (certificate, "00000000-0000-4000-8000-000000000000", "Certificate not found with ID: 00000000-"),
        (certificate, "../../etc/passwd", "The ID of the certificate is not a UUID: ../../etc/passwd."),
        (certificate, "00000000-0000-4000-8000-000000000007", "Certificate is not valid after: 2021-01-01"),
        ("img_signature", "?", "The signature data was not properly encoded using base64."),
        ("img_signature_hash_method", "MD5", "Invalid signature hash method: MD5."),
        ("img_signature_key_type", "ECC_SECT409R1", "Invalid signature key type: ECC_SECT409R1 (curves over binary"),
    ] {
        let image = cloud.create(ALICE, with(properties("3", "SHA-256"), name, value)).await;
        let words = format!(": Signature verification for the image failed: {why}");
        cloud.upload(ALICE, &image, WEB_DATA).await.refuses(400, &words);
        is_queued_and_nothing_left(&cloud, &image).await;
    }
}

#[tokio::test]
async fn three_properties_are_no_signature() {
    let cloud = Cloud::start().await;
    for missing in
        ["img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid"]
    {
        let mut properties = properties("3", "SHA-256");
        properties.as_object_mut().unwrap().remove(missing);
        let image = cloud.create(ALICE, properties).await;
        cloud.upload(ALICE, &image, "the quick brown fox").await.expect(204);
    }
}

#[tokio::test]
async fn imports_are_verified() {
    let site = Site::start().await;
    let direct = json!({"method": {"name": "glance-direct"}});
    for certificate in ["1", "4"] {
        let image = site.cloud.create(ALICE, properties(certificate, "SHA-384")).await;
        site.stage(ALICE, &image, "the quick brown fox").await.expect(204);
        site.import(ALICE, &image, direct.clone()).await.expect(202);
        let task = site.ended(&image).await;
        assert_eq!(task["status"], "failure");
        let why = task["message"].as_str().unwrap();
        assert!(why.ends_with(": Signature verification failed"), "{why}");
        site.is_as_before(&image).await;

        site.stage(ALICE, &image, WEB_DATA).await.expect(204);
        site.import(ALICE, &image, direct.clone()).await.expect(202);
        assert_eq!(site.ended(&image).await["status"], "success");
        assert_eq!(site.cloud.status(&image).await, "active");
        let copy = json!({"method": {"name": "copy-image"}, "stores": ["spare"]});
        site.import(ADMIN, &image, copy).await.expect(202);
        assert_eq!(site.ended(&image).await["status"], "success");
    }
    let image = site.cloud.create(ALICE, with(properties("3", "SHA-384"), "img_signature", "?")).await;
    site.stage(ALICE, &image, WEB_DATA).await.expect(204);
    site.import(ALICE, &image, direct).await.expect(202);
    let task = site.ended(&image).await;
    assert!(task["message"].as_str().unwrap().ends_with("was not properly encoded using base64."), "{task}");
    site.is_as_before(&image).await;
}

/// Signed data is read even where hashes of data at its location are believed.
#[tokio::test]
async fn locations_are_verified() {
    for secure in [true, false] {
        let cloud = Cloud::hashing(secure).await;
        let settled = async |image: &str, wanted: &str| {
            let started = Instant::now();
            while cloud.status(image).await != wanted {
                assert!(started.elapsed() < Duration::from_secs(20), "never {wanted}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let there = json!({"url": ON_THE_WEB});
        let image = cloud.create(ALICE, properties("5", "SHA-512")).await;
        cloud.post(ALICE, &format!("{image}/locations"), there.clone()).await.expect(202);
        settled(&image, "active").await;

        let other = with(properties("5", "SHA-512"), "img_signature_hash_method", "SHA-384");
        let image = cloud.create(ALICE, other).await;
        cloud.post(ALICE, &format!("{image}/locations"), there).await.expect(202);
        settled(&image, "queued").await;
        let shown = cloud.get(ALICE, &image).await.json();
        assert_eq!((&shown["size"], &shown["os_hash_value"]), (&json!(null), &json!(null)), "{shown}");
    }
}
