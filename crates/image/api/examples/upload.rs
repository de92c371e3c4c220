//! How long an upload takes, against its parts alone: `cargo run --release -p image-api --example upload -- DIR [MIB]`.
//! DIR should be on the disk that images will be on. Prints seconds; the last line is the ratio to the slowest part.

use async_trait::async_trait;
use base::{RequestContext, Scope, SystemClock, Timestamp, TokenFacts};
use bytes::Bytes;
use image_api::{Glance, ImageApi, Imports, LocalImages, default_policy, service};
use image_backends::FileBackend;
use image_model::{ImageSource, Limits, Registry, Stores, new_image};
use image_registry::Store;
use image_signatures::NoCertificates;
use md5::{Digest, Md5};
use platform_db::Db;
use platform_http::{AuthError, Authenticate, Listening, serve};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CHUNK: usize = 1 << 20;

struct Everybody;

#[async_trait]
impl Authenticate for Everybody {
    async fn authenticate(&self, _: &str) -> Result<Arc<TokenFacts>, AuthError> {
        let scope = Scope::Project {
            id: "p".into(),
            name: "p".into(),
            domain_id: "default".into(),
            domain_name: "Default".into(),
        };
        Ok(Arc::new(TokenFacts {
            user_id: "u".into(),
            user_name: "u".into(),
            user_domain_id: "default".into(),
            user_domain_name: "Default".into(),
            scope,
            roles: vec!["member".into(), "reader".into()],
            issued_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            audit_ids: vec![],
        }))
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> f64 {
    let (started, used) = (Instant::now(), cpu());
    std::hint::black_box(work());
    let seconds = started.elapsed().as_secs_f64();
    println!("{what:<24}{seconds:>8.3} s  processor {:.2} s", cpu() - used);
    seconds
}

fn write_alone(dir: &Path, chunk: &[u8], mib: usize) -> std::io::Result<()> {
    let path = dir.join("write-alone");
    let mut file = std::fs::File::create(&path)?;
    for _ in 0..mib {
        file.write_all(chunk)?;
    }
    file.sync_all()?;
    std::fs::remove_file(path)
}

/// Seconds of processor time that this process has used: steadier than the clock where others use the machine too.
fn cpu() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let field = |n: usize| after_name.split_whitespace().nth(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (field(11) + field(12)) / TICKS
}

/// Highest resident memory so far, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("name a folder")?;
    let dir = Path::new(&dir).to_owned();
    let mib: usize = args.next().map_or(Ok(1024), |n| n.parse())?;
    let chunk: Vec<u8> = (0..CHUNK).map(|i| (i * 7919 / 13) as u8).collect();

    let md5 = timed("md5 alone", || (0..mib).fold(Md5::new(), |h, _| h.chain_update(&chunk)).finalize());
    let sha512 = timed("sha512 alone", || {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA512);
        (0..mib).for_each(|_| hash.update(&chunk));
        hash.finish()
    });
    let disk = timed("write and sync alone", || write_alone(&dir, &chunk, mib));

    let db = Db::open(&format!("sqlite:{}", dir.join("upload.db").display())).await?;
    db.migrate().await?;
    let registry = Arc::new(Store::new(db));
    let glance = Glance::new(ImageApi {
        registry: registry.clone(),
        stores: Stores::only(Arc::new(FileBackend::open(dir.join("upload-images"), 0)?)),
        enforcer: Arc::new(default_policy()?),
        limits: Limits::default(),
        unified_limits: None,
        do_secure_hash: true,
        cache: None,
        imports: Imports::default(),
        certificates: Arc::new(NoCertificates),
        clock: Arc::new(SystemClock),
    });
    let service = Arc::new(service(glance.clone(), Arc::new(Everybody), String::new()));
    let listening = Listening::bind("127.0.0.1:0").await?;
    let address = listening.address;
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(serve(listening, service.mount(axum::Router::new(), ""), stopped));

    let body = serde_json::json!({"disk_format": "raw", "container_format": "bare"});
    let image = new_image(&body, Some(&"p".into()), Timestamp(0), &Limits::default())?;
    let image = registry.image_create(image, "req-1".into()).await?;
    let (before, used) = (peak_memory(), cpu());
    let started = Instant::now();
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let head = format!(
        "PUT /v2/images/{}/file HTTP/1.1\r\nhost: x\r\nx-auth-token: x\r\ncontent-type: application/octet-stream\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        image.id,
        mib * CHUNK
    );
    stream.write_all(head.as_bytes()).await?;
    for _ in 0..mib {
        stream.write_all(&chunk).await?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let upload = started.elapsed().as_secs_f64();
    let (used, status) = (cpu() - used, answer.lines().next().unwrap_or_default());
    println!("{:<24}{upload:>8.3} s  processor {used:.2} s, {status}", "upload");
    println!("{:<24}{:>8} KiB", "memory on top", peak_memory() - before);

    let started = Instant::now();
    let mut data = LocalImages(glance).open(&RequestContext::internal(), image.id, None).await?;
    let mut got = 0;
    while let Some(chunk) = futures_util::TryStreamExt::try_next(&mut data).await? {
        got += Bytes::len(&chunk);
    }
    println!("{:<24}{:>8.3} s  {got} bytes", "read back", started.elapsed().as_secs_f64());
    println!("{:<24}{:>8.2}", "upload / slowest part", upload / md5.max(sha512).max(disk));
    Ok(())
}
