//! Machines whose clocks are five minutes wrong, and one that is set back by an hour while it works.

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock, Timestamp};
use reqwest::Method;
use serde_json::json;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{Client, SOON, binary, until};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const FIVE_MINUTES: i64 = 300;
const HOUR: i64 = 3600;
/// What is asked here and what it shows then, on a busy machine.
const ABOUT: Duration = Duration::from_secs(60);
/// Who is silent for so long is down: far less than the clocks differ by.
const DOWN: Duration = Duration::from_secs(16);
/// The plan: hosts and what their clocks are ahead. `cmp2` has the right time, and so has PostgreSQL.
const WRONG: [(&str, i64); 5] = [
    ("ctl1", FIVE_MINUTES),
    ("ctl2", -FIVE_MINUTES),
    ("img1", FIVE_MINUTES),
    ("img2", -FIVE_MINUTES),
    ("cmp1", FIVE_MINUTES),
];

fn ahead(time: Timestamp, secs: i64) -> Timestamp {
    Timestamp(time.0 + secs * 1_000_000)
}

fn is_about(time: Timestamp, now: Timestamp) -> bool {
    time.since(now) < ABOUT && now.since(time) < ABOUT
}

/// The host's processes do have a wrong clock: by the `Date` of their answers. Once a clock is set back it says no more: the HTTP
/// library then repeats the latest.
async fn dates_its_answers(c: &Cluster, host: &str, off: i64) -> Result<()> {
    for name in c.on(host) {
        let url = c.url_of(&name).context("a listener")?;
        let answer = platform_http::client().build()?.get(format!("{url}/healthz")).send().await?;
        let date = answer.headers().get("date").context("a date")?.to_str()?.to_owned();
        let wrong = ahead(SystemClock.now(), off);
        let near = (-60..60).any(|secs| ahead(wrong, secs).http_date() == date);
        ensure!(near, "{name}: {date}, where {} was to be shown", wrong.http_date());
    }
    Ok(())
}

/// The host's processes notice that their machine's clock is off.
async fn notices(c: &Cluster, host: &str, off: i64) -> Result<()> {
    for name in c.on(host) {
        let url = c.url_of(&name).context("a listener")?;
        let (mut told, wanted) = (None, f64::from(i32::try_from(off)?));
        let noticed = until(SOON, async || {
            let page = platform_http::client().build()?.get(format!("{url}/metrics")).send().await?.text().await?;
            let line = page.lines().find_map(|l| l.strip_prefix("skyiron_clock_ahead_seconds "));
            told = line.map(str::parse::<f64>).transpose()?;
            Ok(told.is_some_and(|secs| (secs - wanted).abs() < 2.0))
        });
        noticed.await.with_context(|| format!("{name} is {off} s ahead, and says {told:?}"))?;
    }
    Ok(())
}

/// Nobody is silent, and nothing is said of a moment that is not now.
async fn everybody_is_up(c: &Cluster) -> Result<()> {
    let list = c.get("/compute/v2.1/os-services").await?;
    let all = list["services"].as_array().context("services")?;
    ensure!(all.len() == 8, "four hosts, two conductors, two schedulers: {list}");
    for service in all {
        ensure!(service["state"] == "up", "{service}");
        let seen = service["updated_at"].as_str().and_then(Timestamp::parse_iso).context("updated_at")?;
        ensure!(is_about(seen, SystemClock.now()), "{service}");
    }
    Ok(())
}

/// A token of either identity is good at each process, now and for as long as the other one's.
async fn tokens_are_good(c: &Cluster) -> Result<()> {
    let password = std::fs::read_to_string(c.data("identity@ctl1").join("admin-password"))?;
    for name in c.names("identity") {
        let identity = Client::of(c.url_of(&name).context("a listener")?)?;
        let token = identity.login("admin", &password, "admin").await.with_context(|| name.clone())?;
        let path = "/identity/v3/auth/tokens";
        // both processes behind the balancer
        for _ in 0..2 {
            let shown = c.call_as(&token, Method::GET, path, None, &[("x-subject-token", &token)]).await?;
            let expires = shown.body["token"]["expires_at"].as_str().and_then(Timestamp::parse_iso);
            let wanted = ahead(SystemClock.now(), HOUR);
            ensure!(expires.is_some_and(|e| is_about(e, wanted)), "of {name}: {}", shown.body);
            for path in ["/compute/v2.1/servers", "/image/v2/images", "/placement/resource_providers"] {
                let answer = c.call_as(&token, Method::GET, path, None, &[]).await?;
                ensure!(answer.status.is_success(), "{path} with a token of {name}: {}", answer.body);
            }
        }
    }
    Ok(())
}

/// An upload that takes longer than the 20 s after which image-apis look for uploads whose process has died.
async fn slow_upload(c: &Cluster, through: &str, image: &str) -> Result<()> {
    let url = c.url_of(through).context("a listener")?;
    let address = url.strip_prefix("http://").context("an address")?;
    let pieces = 30;
    let mut upload = TcpStream::connect(address).await?;
    let head = format!(
        "PUT /image/v2/images/{image}/file HTTP/1.1\r\nhost: {address}\r\nx-auth-token: {}\r\nconnection: close\r\n\
         content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        c.token(),
        pieces * 1000
    );
    upload.write_all(head.as_bytes()).await?;
    for _ in 0..pieces {
        upload.write_all(&[7; 1000]).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let record = c.get(&format!("/image/v2/images/{image}")).await?;
    ensure!(record["status"] == "active", "{record}");
    Ok(())
}

/// Servers are asked for, some of each host.
async fn asked_for(c: &Cluster, image: &str) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for n in 0..8 {
        let zone = format!("nova:cmp{}-0000{}", 1 + n % 2, 1 + n / 2 % 2);
        ids.push(c.server("s", image, json!({"availability_zone": zone})).await?);
    }
    Ok(ids)
}

/// What was asked for is built, stopped, started and deleted.
async fn work(c: &Cluster, ids: &[String]) -> Result<()> {
    for id in ids {
        let server = c.until_status(id, "ACTIVE").await?;
        let created = server["created"].as_str().and_then(Timestamp::parse_iso).context("created")?;
        ensure!(SystemClock.now().since(created) < 5 * ABOUT && created.since(SystemClock.now()) < ABOUT, "{server}");
    }
    for (action, status) in [("os-stop", "SHUTOFF"), ("os-start", "ACTIVE")] {
        for id in ids {
            let asked = c.action(id, json!({action: null})).await?;
            ensure!(asked.status.is_success(), "{}", asked.body);
        }
        for id in ids {
            c.until_status(id, status).await.with_context(|| action.to_owned())?;
        }
    }
    for id in ids {
        c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
    }
    for id in ids {
        c.until_gone(id).await?;
    }
    Ok(())
}

/// Each host is up at every look for longer than it takes to be taken for down.
async fn nobody_is_taken_for_silent(c: &Cluster) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < DOWN * 3 / 2 {
        everybody_is_up(c).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// What a conductor has in hand no other one takes before its lease has ended, and that is far away.
fn nobodys_work_was_taken(c: &mut Cluster) -> Result<()> {
    for name in c.names("compute-conductor") {
        let conductor = c.process(&name)?;
        ensure!(conductor.struck().iter().any(|s| s.contains("delay")), "{name} had nothing in hand for long");
        ensure!(!conductor.log().contains("another worker has taken over"), "{}", conductor.log());
    }
    Ok(())
}

#[tokio::test]
async fn a_site_agrees_on_the_time_whatever_its_machines_clocks_show() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let plan = Plan { controllers: 2, computes: 2, ..Plan::small(binary()) }
        .set("compute", &format!("service_down_secs = {}", DOWN.as_secs()))
        // far less than the clocks differ by, and far more than anything takes
        .set("compute", "lease_secs = 60")
        .set("compute", "action_timeout_secs = 120");
    let mut c = Cluster::start(plan).await?;
    for name in c.names("compute-conductor") {
        c.process(&name)?.faults = "compute.build.schedule.after=delay:1500".to_owned();
    }
    for (host, off) in WRONG {
        c.set_clock(host, off)?;
        c.host_runs(host, &binary()).await?;
    }
    for (host, off) in WRONG {
        dates_its_answers(&c, host, off).await?;
        notices(&c, host, off).await?;
    }
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let ids = asked_for(&c, &image).await?;
    let queued = json!({"name": "slow", "disk_format": "raw", "container_format": "bare"});
    let slow = c.post("/image/v2/images", queued).await?["id"].as_str().context("an id")?.to_owned();
    let uploaded = async {
        // its lease would be long over for everybody else
        slow_upload(&c, "image-api@img2", &slow).await.context("a slow upload")
    };
    tokio::try_join!(work(&c, &ids), nobody_is_taken_for_silent(&c), uploaded)?;
    tokens_are_good(&c).await?;
    nobodys_work_was_taken(&mut c)?;

    // an hour back at once, with work in hand
    c.is_at_rest(0).await?;
    let ids = asked_for(&c, &image).await?;
    for host in ["ctl1", "img1", "cmp1"] {
        c.set_clock(host, FIVE_MINUTES - HOUR)?;
    }
    tokio::try_join!(work(&c, &ids), nobody_is_taken_for_silent(&c))?;
    for host in ["ctl1", "img1", "cmp1"] {
        notices(&c, host, FIVE_MINUTES - HOUR).await?;
    }
    tokens_are_good(&c).await?;
    nobodys_work_was_taken(&mut c)?;
    c.is_at_rest(0).await?;
    c.all_run()
}
