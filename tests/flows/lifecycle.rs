//! Servers on simulated hosts: states, reasons, quota, what is left behind.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::json;
use skyiron_tests::{Setup, World};

async fn world(fake_hosts: u32) -> Result<(World, String)> {
    let world = World::start(Setup { fake_hosts, ..Setup::default() }).await?;
    let image = world.image("blank", "raw", "bare", vec![0; 65536]).await?;
    Ok((world, image))
}

#[tokio::test]
async fn every_power_action_ends_in_the_state_it_says() -> Result<()> {
    let (w, image) = world(1).await?;
    let id = w.server("one", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    for (action, status) in [
        (json!({"os-stop": null}), "SHUTOFF"),
        (json!({"os-start": null}), "ACTIVE"),
        (json!({"pause": null}), "PAUSED"),
        (json!({"unpause": null}), "ACTIVE"),
        (json!({"suspend": null}), "SUSPENDED"),
        (json!({"resume": null}), "ACTIVE"),
        (json!({"reboot": {"type": "SOFT"}}), "ACTIVE"),
        (json!({"reboot": {"type": "HARD"}}), "ACTIVE"),
    ] {
        let answer = w.action(&id, action.clone()).await?;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{action}: {}", answer.body);
        w.until_status(&id, status).await?;
    }
    let refused = w.action(&id, json!({"unpause": null})).await?;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let words = refused.body["conflictingRequest"]["message"].as_str().unwrap_or_default();
    assert!(words.contains("Cannot 'unpause' instance") && words.contains("vm_state active"), "{words}");
    Ok(())
}

#[tokio::test]
async fn deleting_gives_everything_back() -> Result<()> {
    let (w, image) = world(2).await?;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(w.server(&format!("s{n}"), &image, json!({})).await?);
    }
    for id in &ids {
        w.until_status(id, "ACTIVE").await?;
    }
    let limits = w.get("/compute/v2.1/limits").await?;
    assert_eq!(limits["limits"]["absolute"]["totalInstancesUsed"], 4);
    assert!(w.allocated().await?.iter().all(|(_, n)| *n > 0));
    for id in &ids {
        let gone = w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
    }
    for id in &ids {
        w.until_gone(id).await?;
    }
    let limits = w.get("/compute/v2.1/limits").await?;
    assert_eq!(limits["limits"]["absolute"]["totalInstancesUsed"], 0);
    assert_eq!(w.allocated().await?.iter().map(|(_, n)| n).sum::<u64>(), 0);
    Ok(())
}

#[tokio::test]
async fn no_valid_host_says_why_and_names_no_host() -> Result<()> {
    let (w, image) = world(3).await?;
    let body = json!({"flavor": {"name": "huge", "vcpus": 1, "ram": 100_000_000, "disk": 1}});
    let huge = w.post("/compute/v2.1/flavors", body).await?;
    let quota = json!({"quota_set": {"ram": -1}});
    let project = w.get("/identity/v3/projects?name=admin").await?["projects"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/compute/v2.1/os-quota-sets/{project}");
    assert!(w.call(Method::PUT, &path, Some(&quota)).await?.status.is_success());
    let services = w.get("/compute/v2.1/os-services?binary=nova-compute").await?;
    let host = services["services"][0]["host"].as_str().unwrap().to_owned();
    let off = json!({"host": host, "binary": "nova-compute"});
    assert!(w.call(Method::PUT, "/compute/v2.1/os-services/disable", Some(&off)).await?.status.is_success());

    let id = w.server("too-big", &image, json!({"flavorRef": huge["flavor"]["id"]})).await?;
    let server = w.until_status(&id, "ERROR").await?;
    let why = server["fault"]["message"].as_str().unwrap_or_default();
    assert!(why.starts_with("No valid host was found. 3 hosts: "), "{why}");
    assert!(why.contains("lack MEMORY_MB (best ") && !why.contains("fake-"), "{why}");
    assert!(w.call(Method::DELETE, &format!("/compute/v2.1/servers/{id}"), None).await?.status.is_success());
    w.until_gone(&id).await?;
    Ok(())
}

#[tokio::test]
async fn quota_is_refused_in_novas_words_and_nothing_is_left() -> Result<()> {
    let (w, image) = world(2).await?;
    let flavor = w.flavor("m1.tiny").await?;
    let many = json!({"server": {"name": "m", "imageRef": image, "flavorRef": flavor, "min_count": 11}});
    let refused = w.call(Method::POST, "/compute/v2.1/servers", Some(&many)).await?;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let words = refused.body["forbidden"]["message"].as_str().unwrap_or_default();
    assert!(
        words.contains("Quota exceeded for instances: Requested 11, but already used 0 of 10 instances"),
        "{words}"
    );
    assert_eq!(w.get("/compute/v2.1/servers").await?["servers"], json!([]));

    let some =
        json!({"server": {"name": "m", "imageRef": image, "flavorRef": flavor, "min_count": 2, "max_count": 10}});
    w.post("/compute/v2.1/servers", some).await?;
    let all = w.get("/compute/v2.1/servers").await?;
    let mut names: Vec<&str> = all["servers"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 10);
    assert!(names.contains(&"m-1") && names.contains(&"m-10"), "{names:?}");
    Ok(())
}
