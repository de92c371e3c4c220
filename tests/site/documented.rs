//! What `docs/site.md` tells its readers to set up, out of its own files: TLS to everything, passwords, and a NATS user for
//! each kind of host that may do what its hosts do and no more.

use anyhow::{Context, Result, ensure};
use base::Secret;
use platform_bus::{Bus, BusError, NatsBus, Settings};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::cluster::{Cluster, PASSWORD, Plan, possible};
use skyiron_tests::{Client, SOON, binary, until};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test]
async fn the_example_of_the_documentation_is_a_site() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let mut c = Cluster::start(Plan::documented(binary())).await?;
    works(&c).await?;
    everything_is_encrypted(&c).await?;
    let violations = c.broker.log().matches("Violation").count();
    ensure!(violations == 0, "the page's users may do too little: {}", c.broker.log());
    a_compute_host_cannot_be_more_than_one(&c).await?;
    c.all_run()
}

/// Every process of every role is asked.
async fn works(c: &Cluster) -> Result<()> {
    let wanted = [("nova-compute", 3), ("nova-conductor", 2), ("nova-scheduler", 2)].map(|(b, n)| (b.to_owned(), n));
    let mut services = Value::Null;
    until(SOON, async || {
        services = c.get("/compute/v2.1/os-services").await?;
        let mut there = BTreeMap::<String, usize>::new();
        for s in services["services"].as_array().into_iter().flatten().filter(|s| s["state"] == "up") {
            *there.entry(s["binary"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        Ok(there == wanted.clone().into())
    })
    .await
    .with_context(|| services.to_string())?;
    let password = std::fs::read_to_string(c.data("identity@ctl1").join("admin-password"))?;
    let image = c.image("i", "raw", "bare", vec![7; 70_000]).await?;
    let of = |role: &str, host: &str| Client::of(c.url_of(&format!("{role}@{host}")).context("a process")?);
    for (here, there) in [("1", "2"), ("2", "1")] {
        // the keys are the same: a token of one identity is good at the other, and everywhere
        let token = of("identity", &format!("ctl{here}"))?.login("admin", &password, "admin").await?;
        let get = async |role: &str, host: String, path: &str| -> Result<Value> {
            let a = of(role, &host)?.call_as(&token, Method::GET, path, None, &[]).await?;
            ensure!(a.status.is_success(), "{role} on {host}: {}: {}", a.status, a.body);
            Ok(a.body)
        };
        get("identity", format!("ctl{there}"), "/identity/v3/users").await?;
        get("placement", format!("ctl{there}"), "/placement/resource_providers").await?;
        get("compute-api", format!("ctl{there}"), "/compute/v2.1/servers").await?;
        // one of them has stored it; both are before one share
        let shown = get("image-api", format!("img{there}"), &format!("/image/v2/images/{image}/file")).await?;
        ensure!(shown.as_str().is_some_and(|bytes| bytes.len() == 70_000), "{} bytes", shown.to_string().len());
    }
    let mut hosts = BTreeSet::new();
    for n in 1..=3 {
        let zone = json!({"availability_zone": format!("nova:cmp{n}-00001")});
        let id = c.server("s", &image, zone).await?;
        hosts.insert(c.until_status(&id, "ACTIVE").await?["OS-EXT-SRV-ATTR:host"].to_string());
        c.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        c.until_gone(&id).await?;
    }
    ensure!(hosts.len() == 3, "{hosts:?}");
    Ok(())
}

async fn everything_is_encrypted(c: &Cluster) -> Result<()> {
    let sessions = "SELECT COUNT(*) FILTER (WHERE ssl), COUNT(*) FILTER (WHERE NOT ssl)
                    FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'skyiron'";
    let said = c.postgres.ask(sessions)?;
    let (encrypted, plain) = said.split_once('|').context("two numbers")?;
    // one at least of each process that has a database
    ensure!(encrypted.parse::<u32>()? >= 14 && plain == "0", "{said}");

    let page: Value = reqwest_json(&format!("{}/connz?auth=1", c.broker.monitor())).await?;
    let mut users = BTreeMap::<String, usize>::new();
    for connection in page["connections"].as_array().context("connections")? {
        ensure!(connection["tls_version"].is_string(), "{connection}");
        *users.entry(connection["authorized_user"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let wanted = [("compute", 3), ("controller", 14), ("image", 2)];
    ensure!(users == wanted.map(|(u, n)| (u.to_owned(), n)).into(), "{page}");
    Ok(())
}

async fn reqwest_json(url: &str) -> Result<Value> {
    let text = Client::of(url.to_owned())?.call(Method::GET, "", None).await?;
    ensure!(text.status.is_success(), "{url}: {}", text.status);
    Ok(text.body)
}

async fn on_the_bus(c: &Cluster, user: &str) -> Result<NatsBus> {
    let documented = c.documented.as_ref().context("the page's site")?;
    let url = c.broker.url.rsplit('@').next().context("an address")?.to_owned();
    let settings = Settings {
        url: Secret::new(format!("tls://{user}:{PASSWORD}@{url}")),
        ssl_root_cert: documented.root().display().to_string(),
        ..Settings::default()
    };
    let bus = NatsBus::open(&settings).await?;
    tokio::time::timeout(SOON, bus.connected()).await.context(format!("{user}: {:?}", bus.away()))?;
    Ok(bus)
}

/// Who has a compute host's password cannot answer in identity's place, nor ask it, nor wake other roles.
async fn a_compute_host_cannot_be_more_than_one(c: &Cluster) -> Result<()> {
    let impostor = on_the_bus(c, "compute").await?;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let served = impostor.serve_bytes(
        "identity.authenticate",
        Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Err("no".to_owned()) })
        }),
    );
    impostor.settled().await;
    until(SOON, async || Ok(c.broker.log().contains("Subscription Violation"))).await.context("it was not refused")?;
    let password = std::fs::read_to_string(c.data("identity@ctl1").join("admin-password"))?;
    for _ in 0..20 {
        // each must be looked up at an identity
        let token = c.login("admin", &password, "admin").await?;
        let answer = c.call_as(&token, Method::GET, "/compute/v2.1/servers", None, &[]).await?;
        ensure!(answer.status.is_success(), "{}", answer.body);
    }
    ensure!(asked.load(Ordering::SeqCst) == 0, "it was asked what tokens mean");
    let answer = impostor.call_bytes("identity.authenticate", "{}".into(), Duration::from_secs(2)).await;
    ensure!(matches!(answer, Err(BusError::Silent { .. })), "{answer:?}");
    ensure!(c.broker.log().contains("Publish Violation"), "{}", c.broker.log());
    drop(served);
    Ok(())
}
