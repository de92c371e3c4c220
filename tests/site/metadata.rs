//! What the network's proxies ask for guests.

use anyhow::{Context, Result};
use reqwest::Method;
use ring::hmac;
use serde_json::json;
use skyiron_tests::cluster::{Cluster, Plan, possible};
use skyiron_tests::{Client, binary};

const SECRET: &str = "open-sesame";

#[tokio::test]
async fn guests_are_told_by_a_process_of_its_own() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let secret = format!("metadata_proxy_shared_secret = {SECRET:?}");
    let mut c = Cluster::start(Plan::small(binary()).set("compute", &secret)).await?;
    let image = c.image("i", "raw", "bare", vec![7; 4096]).await?;
    let id = c.server("web-1", &image, json!({"metadata": {"role": "web"}})).await?;
    c.until_status(&id, "ACTIVE").await?;
    let project = c.show(&id).await?["tenant_id"].as_str().context("a project")?.to_owned();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), id.as_bytes());
    let signature: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let through_a_proxy = [
        ("x-forwarded-for", "10.0.0.9"),
        ("x-instance-id", &*id),
        ("x-tenant-id", &*project),
        ("x-instance-id-signature", &*signature),
    ];
    let process = Client::of(c.process("compute-metadata@ctl1")?.url())?;
    let get = async |path: &str, headers: &[(&str, &str)]| -> Result<_> {
        let answer = process.call_as("", Method::GET, path, None, headers).await?;
        Ok((answer.status.as_u16(), answer.body))
    };
    let (status, document) = get("/openstack/latest/meta_data.json", &through_a_proxy).await?;
    assert_eq!((status, &document["uuid"], &document["meta"]), (200, &json!(id), &json!({"role": "web"})));
    assert_eq!(get("/latest/meta-data/local-ipv4", &through_a_proxy).await?.1, "10.0.0.9");
    assert_eq!(get("/openstack/latest/meta_data.json", &[]).await?.0, 404);
    assert_eq!(get("/openstack/latest/meta_data.json", &through_a_proxy[..3]).await?.0, 400);

    // nothing else is there, and a guest sees nothing of the process
    for path in ["/compute/v2.1/servers", "/identity/v3", "/metadata/latest", "/metrics", "/healthz"] {
        assert_eq!(get(path, &through_a_proxy).await?.0, 404, "{path}");
    }
    assert_eq!(get("/healthz", &[]).await?.0, 200);

    // what the guest posts is what its owner reads
    let posted = process
        .call_as("", Method::POST, "/openstack/latest/password", Some(&json!("encrypted")), &through_a_proxy)
        .await?;
    assert_eq!(posted.status.as_u16(), 200, "{}", posted.body);
    let read = c.get(&format!("/compute/v2.1/servers/{id}/os-server-password")).await?;
    assert_eq!(read["password"], "\"encrypted\"");
    let log = c.process("compute-metadata@ctl1")?.log();
    assert!(log.contains("no network service"), "{log}");
    assert!(!log.contains(SECRET) && !log.contains(&signature) && !log.contains("encrypted"), "{log}");
    c.all_run()?;
    Ok(())
}
