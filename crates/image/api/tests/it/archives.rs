//! What comes in an archive: stored without it where the operator wants that.

use crate::cloud::ALICE;
use crate::imports::{Site, settings};
use crate::web::{DATA, Web, gzip};
use image_api::ImportSettings;
use image_model::{DiskFormat, Limits};
use serde_json::{Value, json};
use std::process::Command;

fn unpacking() -> ImportSettings {
    ImportSettings { unpack: true, ..settings() }
}

impl Site {
    /// What became of `archive` in the new image, after staging and importing.
    async fn imported(&self, image: &str, archive: Vec<u8>) -> Result<Value, String> {
        self.stage(ALICE, image, archive).await.expect(204);
        self.import(ALICE, image, json!({"method": {"name": "glance-direct"}})).await.expect(202);
        let task = self.ended(image).await;
        if task["status"] == "success" {
            return Ok(self.cloud.get(ALICE, image).await.expect(200).json());
        }
        self.is_queued(image).await;
        self.is_as_before(image).await;
        Err(task["message"].as_str().unwrap().to_owned())
    }
    async fn data(&self, image: &str) -> Vec<u8> {
        self.cloud.get(ALICE, &format!("{image}/file")).await.expect(200).bytes.unwrap()
    }
}

/// With one file a name, by Python, as Glance would read it.
fn zip(files: &[&str]) -> Vec<u8> {
    let script = "import sys, zipfile\n\
                  with zipfile.ZipFile(sys.stdout.buffer, 'w', zipfile.ZIP_DEFLATED) as z:\n  \
                  for n in sys.argv[1:]: z.writestr(n, 'the disk ' * 30000)";
    let made = Command::new("python3").arg("-c").arg(script).args(files).output().expect("python3");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

#[tokio::test]
async fn stored_without_it_by_each_method() {
    let site = Site::with(Limits::default(), unpacking(), None).await;
    let web = Web::start("127.0.0.1").await;
    let disk: Vec<u8> = (0..3_000_000u32).map(|n| (n >> 9) as u8).collect();
    let (gzipped, zipped) = (site.cloud.bare(ALICE).await, site.cloud.bare(ALICE).await);
    let shown = site.imported(&gzipped, gzip(&disk)).await.unwrap();
    assert_eq!((&shown["status"], &shown["size"]), (&json!("active"), &json!(disk.len())), "{shown}");
    assert_eq!(shown["virtual_size"], json!(disk.len()));
    assert!(site.data(&gzipped).await == disk);
    site.imported(&zipped, zip(&["disk.raw"])).await.unwrap();
    assert!(site.data(&zipped).await == "the disk ".repeat(30000).as_bytes());
    let fetched = site.download(&web.url("/gzip")).await.unwrap();
    assert_eq!(site.data(&fetched).await, DATA);
    // and what is no archive, even if there is less of it than an archive's beginning
    for data in [DATA, b"", b"PK"] {
        let plain = site.cloud.bare(ALICE).await;
        let shown = site.imported(&plain, data.to_vec()).await.unwrap();
        assert_eq!(shown["size"], json!(data.len()));
    }
}

#[tokio::test]
async fn an_archive_stays_one_if_it_is_to() {
    let site = Site::with(Limits::default(), unpacking(), None).await;
    let archive = gzip(DATA);
    let body = json!({"disk_format": "qcow2", "container_format": "compressed"});
    let compressed = site.cloud.create(ALICE, body.clone()).await;
    let shown = site.imported(&compressed, archive.clone()).await.unwrap();
    assert_eq!((&shown["container_format"], &shown["virtual_size"]), (&json!("compressed"), &json!(null)));
    assert_eq!(site.data(&compressed).await, archive);
    let uploaded = site.cloud.create(ALICE, body).await;
    site.cloud.upload(ALICE, &uploaded, archive.clone()).await.expect(204);
    assert_eq!(site.data(&uploaded).await, archive);
    // a site that does not unpack takes it for the disk
    let plain = Site::start().await;
    let image = plain.cloud.bare(ALICE).await;
    plain.imported(&image, archive.clone()).await.unwrap();
    assert_eq!(plain.data(&image).await, archive);
}

/// What is in an archive is inspected as if it had come alone, and converted.
#[tokio::test]
async fn s01_s02_nothing_hides_in_an_archive() {
    let convert_to = Some(DiskFormat::Qcow2);
    let site = Site::with(Limits::default(), ImportSettings { convert_to, ..unpacking() }, None).await;
    let image = site.cloud.bare(ALICE).await;
    let shown = site.imported(&image, gzip(&[7; 1 << 20])).await.unwrap();
    assert_eq!((&shown["disk_format"], &shown["virtual_size"]), (&json!("qcow2"), &json!(1 << 20)), "{shown}");
    assert_eq!(&site.data(&image).await[..4], b"QFI\xfb");

    let corpus = image_convert::testing::hostile::corpus();
    let outside = corpus.iter().find(|f| f.what == "qcow2: a data file").expect("a file with its data elsewhere");
    for (declared, words) in [("qcow2", "data_file"), ("raw", "does not match")] {
        let image = site.cloud.create(ALICE, json!({"disk_format": declared, "container_format": "bare"})).await;
        let why = site.imported(&image, gzip(&outside.bytes)).await.unwrap_err();
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test]
async fn refused_with_the_reason() {
    let limits = Limits { image_size_cap: 100 << 20, ..Limits::default() };
    let site = Site::with(limits.clone(), unpacking(), None).await;
    let image = site.cloud.bare(ALICE).await;
    let whole = gzip(&[1; 1 << 20]);
    let lha = [b"  -lh5-".as_slice(), &[0; 300]].concat();
    for (archive, words) in [
        (
            whole[..whole.len() / 2].to_vec(),
            "The image cannot be unpacked: this gzip archive is damaged: it ends early",
        ),
        (zip(&["one", "two"]), "this ZIP archive cannot be used: there is more than one file in it"),
        (lha, "this LHA archive cannot be used: LHA is not unpacked here"),
        (gzip(&vec![0; 70 << 20]), "this gzip archive grows to more than 200 times its size"),
    ] {
        let why = site.imported(&image, archive).await.unwrap_err();
        assert!(why.contains(words), "{why}");
    }
    let patient = ImportSettings { unpack_max_ratio: None, ..unpacking() };
    let site = Site::with(limits, patient, None).await;
    let image = site.cloud.bare(ALICE).await;
    assert!(site.imported(&image, gzip(&vec![0; 70 << 20])).await.is_ok());
    let image = site.cloud.bare(ALICE).await;
    let why = site.imported(&image, gzip(&vec![0; 101 << 20])).await.unwrap_err();
    assert!(why.contains("image is too large"), "{why}");
    // a source that fails says so, whatever is half unpacked by then
    let web = Web::start("127.0.0.1").await;
    let why = site.download(&web.url("/cut-off/gzip")).await.unwrap_err();
    assert!(!why.contains("unpacked"), "{why}");
}
