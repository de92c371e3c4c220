//! Reads: one server, a page of a thousand out of a hundred thousand, a token's validation.

use super::cloud::{Cloud, until};
use super::load::{Connection, get, percentile, rate};
use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use platform_db::{Db, args};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

const SERVERS: i64 = 100_000;

pub(crate) fn run(s: &Setting) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cloud");
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", "100"], None)?;
    cloud.unlimited()?;
    let server =
        json!({"server": {"name": "b", "imageRef": cloud.blank_image()?, "flavorRef": cloud.flavor("m1.tiny")?}});
    let made = cloud.post("/compute/v2.1/servers", &server)?;
    let id = made["server"]["id"].as_str().context("an id")?.to_owned();
    let path = format!("/compute/v2.1/servers/{id}");
    until(Duration::from_secs(30), "ACTIVE", || Ok(cloud.get(&path)?["server"]["status"] == "ACTIVE"))?;
    cloud.stop()?;
    multiply(&data.join("skyiron.db"), &id)?;

    // the cloud on one processor, the load on the others
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", "100"], Some(0))?;
    let token = cloud.token.clone();
    let auth = [("x-auth-token", token.as_str())];
    let time = Duration::from_secs(5);
    let one = rate(&cloud.address, &get(&cloud.address, &path, &auth), 16, time)?;
    figure("GET one server of 100,000, on one core", &format!("{one:.0}/s"), "over 5,000/s", one > 5000.0);
    let both = [("x-auth-token", token.as_str()), ("x-subject-token", token.as_str())];
    let validate = get(&cloud.address, "/identity/v3/auth/tokens", &both);
    let tokens = rate(&cloud.address, &validate, 16, time)?;
    figure("token validation, on one core", &format!("{tokens:.0}/s"), "over 20,000/s", tokens > 20000.0);

    let mut c = Connection::open(&cloud.address)?;
    let page = get(&cloud.address, "/compute/v2.1/servers/detail?limit=1000", &auth);
    let mut times = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        let answer = c.send(&page)?;
        times.push(started.elapsed());
        if answer.status != 200 {
            bail!("answered {}", answer.status);
        }
    }
    times.sort();
    let (p50, p99) = (percentile(&times, 50.0), percentile(&times, 99.0));
    let shown = format!("{p99:.1?} (p50 {p50:.1?})");
    figure("servers/detail of 1,000 out of 100,000, p99 of 100", &shown, "under 150 ms", p99.as_millis() < 150);
    let (rss, _) = cloud.memory()?;
    println!("       resident memory after that: {rss:.0} MiB");
    cloud.stop()
}

/// Copies one server's row until there are enough, while no cloud runs on the database.
fn multiply(path: &Path, id: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let db = Db::open(&format!("sqlite:{}", path.display())).await?;
        let columns: Vec<(String,)> =
            db.fetch_all("SELECT name FROM pragma_table_info('instances') ORDER BY cid", args![]).await?;
        let values: Vec<String> = columns
            .iter()
            .map(|(name,)| match name.as_str() {
                "uuid" => "printf('%08x-0000-4000-8000-%012x', n, n)".to_owned(),
                "name" => "'copy-' || n".to_owned(),
                "created_at" => "i.created_at - n * 1000".to_owned(),
                other => format!("i.{other}"),
            })
            .collect();
        let sql = format!(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {SERVERS})
             INSERT INTO instances ({}) SELECT {} FROM instances i, c WHERE i.uuid = $1",
            columns.iter().map(|(c,)| c.as_str()).collect::<Vec<_>>().join(", "),
            values.join(", ")
        );
        let mut tx = db.begin().await?;
        tx.execute(platform_db::built(sql), args![id]).await?;
        tx.commit().await?;
        db.close().await;
        Ok(())
    })
}
