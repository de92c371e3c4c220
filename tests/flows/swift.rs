//! Images in Swift, with a user of this cloud's own identity: one cloud is the site's Keystone, Swift asks it about tokens, and
//! another cloud keeps its images there.

use anyhow::{Context, Result};
use image_backends::testing::{Swift, Tokens};
use reqwest::{Method, StatusCode};
use serde_json::json;
use skyiron_tests::{Setup, World};

/// The user's first project is named `objects`, and `glance` has a role in it. Returns the project's id.
async fn user_of_swift(keystone: &World, swift: u16) -> Result<String> {
    let id = |v: serde_json::Value, kind: &str| v[kind]["id"].as_str().map(str::to_owned).context("an id");
    let made = async |kind: &str, body: serde_json::Value| -> Result<String> {
        id(keystone.post(&format!("/identity/v3/{kind}s"), json!({ kind: body })).await?, kind)
    };
    let project = made("project", json!({"name": "objects", "domain_id": "default"})).await?;
    let user = made("user", json!({"name": "glance", "domain_id": "default", "password": "swiftly-9"})).await?;
    let roles = keystone.get("/identity/v3/roles?name=member").await?;
    let role = roles["roles"][0]["id"].as_str().context("a role")?;
    let grant = format!("/identity/v3/projects/{project}/users/{user}/roles/{role}");
    assert_eq!(keystone.call(Method::PUT, &grant, None).await?.status, StatusCode::NO_CONTENT);
    let service = made("service", json!({"type": "object-store", "name": "swift"})).await?;
    let url = format!("http://127.0.0.1:{swift}/v1/AUTH_%(project_id)s");
    made("endpoint", json!({"service_id": service, "interface": "public", "url": url, "region_id": "RegionOne"}))
        .await?;
    Ok(project)
}

#[tokio::test]
async fn images_are_kept_as_a_user_of_identity() -> Result<()> {
    let keystone = World::start(Setup { fake_hosts: 1, ..Setup::default() }).await?;
    let identity = format!("{}/identity/v3", keystone.url);
    let tokens = Tokens::Identity(identity.clone());
    // connections that end meanwhile must be noticed
    let Some(mut swift) = tokio::task::spawn_blocking(move || Swift::start(&tokens)).await? else { return Ok(()) };
    let project = user_of_swift(&keystone, swift.port()).await?;
    let config = format!(
        "[image]\ndefault_store = \"objects\"\n[image.stores.file]\ntype = \"file\"\n[image.stores.objects]\ntype = \"swift\"\n\
         auth_url = \"{identity}\"\nusername = \"glance\"\npassword = \"swiftly-9\"\nproject_name = \"objects\"\ncreate = true\n\
         part_mib = 1\ntimeout_secs = 5\n"
    );
    let mut cloud = World::start(Setup { fake_hosts: 1, config, ..Setup::default() }).await?;
    let bytes: Vec<u8> = (0..3_500_000u32).map(|n| (n / 7) as u8 ^ (n >> 13) as u8).collect();
    let image = cloud.image("far", "raw", "bare", bytes.clone()).await?;
    let shown = cloud.get(&format!("/image/v2/images/{image}")).await?;
    assert_eq!((&shown["status"], &shown["stores"]), (&json!("active"), &json!("objects")), "{shown}");
    assert!(data(&cloud, &image).await? == bytes);
    // it is there, and for that user only
    let account = format!("http://127.0.0.1:{}/v1/AUTH_{project}/glance?format=json", swift.port());
    let token = keystone.login("glance", "swiftly-9", "objects").await?;
    let listed = platform_http::client().build()?.get(&account).header("x-auth-token", token).send().await?;
    assert!(listed.status().is_success() && listed.text().await?.contains(&image));
    let admins = platform_http::client().build()?.get(&account).header("x-auth-token", keystone.token()).send().await?;
    assert_eq!(admins.status().as_u16(), 401);
    // a new process logs in anew
    cloud.restart("").await?;
    assert!(data(&cloud, &image).await? == bytes);
    let delete = cloud.call(Method::DELETE, &format!("/image/v2/images/{image}"), None).await?;
    assert_eq!(delete.status, StatusCode::NO_CONTENT);
    // and without Swift nothing is stored, and it is said
    swift.end();
    let record = json!({"name": "late", "disk_format": "raw", "container_format": "bare"});
    let late = cloud.post("/image/v2/images", record).await?;
    let late = late["id"].as_str().context("an id")?;
    assert_eq!(cloud.upload(late, bytes).await?, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(cloud.get(&format!("/image/v2/images/{late}")).await?["status"], "queued");
    Ok(())
}

async fn data(cloud: &World, image: &str) -> Result<Vec<u8>> {
    let url = format!("{}/image/v2/images/{image}/file", cloud.url);
    let answer = platform_http::client().build()?.get(url).header("x-auth-token", cloud.token()).send().await?;
    Ok(answer.error_for_status()?.bytes().await?.to_vec())
}
