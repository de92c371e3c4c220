//! A cloud in which something of everything has been done, and what it has in its database then.

use anyhow::{Context, Result, bail, ensure};
use platform_db::{Db, contents, dump, migrations};
use reqwest::Method;
use serde_json::{Value, json};
use skyiron_tests::{Setup, World};
use std::path::Path;

/// Remembers old passwords, so that there are some.
const CONFIG: &str = "[identity]\nunique_last_password_count = 2\n";

/// Writes `NNNN.sql`: the content under the newest schema, which nobody may change afterwards.
pub(crate) async fn write(folder: &str) -> Result<()> {
    let mut w = World::start(Setup { fake_hosts: 3, config: CONFIG.into(), ..Setup::default() }).await?;
    let project = identity(&w).await?;
    let image = images(&w, &project).await?;
    compute(&w, &project, &image).await?;
    w.terminate().await?;

    let password = std::fs::read_to_string(w.data().join("admin-password"))?;
    let db = Db::open(&format!("sqlite:{}", w.data().join("skyiron.db").display())).await?;
    for (table, content) in contents(&db).await? {
        ensure!(content.rows > 0, "nothing has been done that {table} remembers");
    }
    let newest = migrations().last().context("a migration")?.name;
    let head = format!("-- Made by write_a_fixture at {newest}; never edited. The admin's password: {password}\n");
    let number = newest.split('_').next().unwrap_or_default();
    let path = Path::new(folder).join(format!("{number}.sql"));
    std::fs::write(&path, head + &dump(&db).await?).with_context(|| path.display().to_string())
}

async fn made(w: &World, path: &str, key: &str, body: Value) -> Result<String> {
    let answer = w.post(path, json!({ key: body })).await?;
    Ok(answer[key]["id"].as_str().with_context(|| format!("{path}: {answer}"))?.to_owned())
}

async fn put(w: &World, path: &str, body: Value) -> Result<()> {
    call(w, Method::PUT, path, Some(&body)).await
}

async fn call(w: &World, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
    let a = w.call(method, path, body).await?;
    if !a.status.is_success() {
        bail!("{path}: {}: {}", a.status, a.body);
    }
    Ok(())
}

/// The project in which the rest is.
async fn identity(w: &World) -> Result<String> {
    const V3: &str = "/identity/v3";
    let at = |path: &str| format!("{V3}{path}");
    let all = w.get(&at("/users?name=admin")).await?;
    let admin = all["users"][0]["id"].as_str().context("the admin")?.to_owned();
    let all = w.get(&at("/projects?name=admin")).await?;
    let admins = all["projects"][0]["id"].as_str().context("the admin's project")?.to_owned();
    let all = w.get(&at("/roles?name=member")).await?;
    let member = all["roles"][0]["id"].as_str().context("a role")?.to_owned();

    let domain = made(w, &at("/domains"), "domain", json!({"name": "Größe"})).await?;
    put(w, &at(&format!("/domains/{domain}/config")), json!({"config": {"ldap": {"url": "ldap://x"}}})).await?;
    let project = made(w, &at("/projects"), "project", json!({"name": "web", "tags": ["o'clock"]})).await?;
    made(w, &at("/projects"), "project", json!({"name": "below", "parent_id": project})).await?;
    let user = json!({"name": "alice", "password": "first of hers", "default_project_id": project});
    let user = made(w, &at("/users"), "user", user).await?;
    let change = json!({"user": {"original_password": "first of hers", "password": "second of hers"}});
    call(w, Method::POST, &at(&format!("/users/{user}/password")), Some(&change)).await?;
    let group = made(w, &at("/groups"), "group", json!({"name": "ops", "domain_id": "default"})).await?;
    put(w, &at(&format!("/groups/{group}/users/{user}")), Value::Null).await?;
    put(w, &at(&format!("/projects/{project}/users/{user}/roles/{member}")), Value::Null).await?;
    made(w, &at("/roles"), "role", json!({"name": "own", "domain_id": domain})).await?;

    let region = made(w, &at("/regions"), "region", json!({"id": "Below", "parent_region_id": "RegionOne"})).await?;
    let service = made(w, &at("/services"), "service", json!({"type": "dns", "name": "designate"})).await?;
    let endpoint = json!({"service_id": service, "region_id": region, "interface": "public", "url": "http://dns"});
    let endpoint = made(w, &at("/endpoints"), "endpoint", endpoint).await?;
    let filter = json!({"name": "dns", "filters": {"service_id": service}});
    let endpoints = made(w, &at("/OS-EP-FILTER/endpoint_groups"), "endpoint_group", filter).await?;
    put(w, &at(&format!("/OS-EP-FILTER/endpoint_groups/{endpoints}/projects/{project}")), Value::Null).await?;
    put(w, &at(&format!("/OS-EP-FILTER/projects/{project}/endpoints/{endpoint}")), Value::Null).await?;
    let limit = json!({"registered_limits": [{"service_id": service, "resource_name": "zones", "default_limit": 3}]});
    w.post(&at("/registered_limits"), limit).await?;
    let limit = json!({"limits": [{"service_id": service, "resource_name": "zones", "resource_limit": 2, "project_id": project}]});
    w.post(&at("/limits"), limit).await?;

    let blob = json!({"type": "cert", "blob": "{}", "user_id": user, "project_id": project});
    made(w, &at("/credentials"), "credential", blob).await?;
    let rule = json!({"service": "compute", "method": "GET", "path": "/v2.1/servers"});
    let app = json!({"name": "reader", "roles": [{"name": "member"}], "access_rules": [rule]});
    made(w, &at(&format!("/users/{admin}/application_credentials")), "application_credential", app).await?;
    let trust = json!({"trustor_user_id": admin, "trustee_user_id": user, "project_id": admins, "impersonation": true,
        "roles": [{"name": "member"}]});
    made(w, &at("/OS-TRUST/trusts"), "trust", trust).await?;
    made(w, &at("/policies"), "policy", json!({"type": "text/plain", "blob": "two\nlines \\ and a backslash"})).await?;
    made(w, &at("/OS-OAUTH1/consumers"), "consumer", json!({"description": null})).await?;
    Ok(project)
}

async fn images(w: &World, project: &str) -> Result<String> {
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let patch = json!([{"op": "add", "path": "/os_distro", "value": "debian"},
                       {"op": "replace", "path": "/visibility", "value": "shared"}]);
    let kind = [("content-type", "application/openstack-images-v2.1-json-patch")];
    let path = format!("/image/v2/images/{image}");
    w.call_as(w.token(), Method::PATCH, &path, Some(&patch), &kind).await?;
    put(w, &format!("/image/v2/images/{image}/tags/golden"), Value::Null).await?;
    w.post(&format!("/image/v2/images/{image}/members"), json!({"member": project})).await?;
    w.post("/image/v2/metadefs/namespaces", json!({"namespace": "Own::Names", "visibility": "private"})).await?;
    w.post("/image/v2/images", json!({"name": "queued", "disk_format": "qcow2", "container_format": "bare"})).await?;
    Ok(image)
}

async fn compute(w: &World, project: &str, image: &str) -> Result<()> {
    let at = |path: &str| format!("/compute/v2.1{path}");
    let flavor = json!({"name": "own", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": false});
    let flavor = made(w, &at("/flavors"), "flavor", flavor).await?;
    let access = json!({"addTenantAccess": {"tenant": project}});
    call(w, Method::POST, &at(&format!("/flavors/{flavor}/action")), Some(&access)).await?;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGt3GgjYbXPhdZ8Wbp7mGLHMMuqjnmAynCE4k2KPcNEW alice";
    w.post(&at("/os-keypairs"), json!({"keypair": {"name": "key", "public_key": key}})).await?;
    let group = json!({"name": "apart", "policies": ["anti-affinity"]});
    let group = made(w, &at("/os-server-groups"), "server_group", group).await?;
    let aggregate = w.post(&at("/os-aggregates"), json!({"aggregate": {"name": "fast"}})).await?;
    let aggregate = aggregate["aggregate"]["id"].to_string();
    let hosts = w.get(&at("/os-services?binary=nova-compute")).await?;
    let add = json!({"add_host": {"host": hosts["services"][0]["host"]}});
    call(w, Method::POST, &at(&format!("/os-aggregates/{aggregate}/action")), Some(&add)).await?;
    put(w, &at(&format!("/os-quota-sets/{project}")), json!({"quota_set": {"cores": 7}})).await?;
    put(w, &at("/os-quota-class-sets/default"), json!({"quota_class_set": {"cores": 40}})).await?;

    let key = json!({"key_name": "key", "metadata": {"n": "1"}});
    let first = w.server("first", image, key).await?;
    let grouped = json!({"server": {"name": "grouped", "imageRef": image, "flavorRef": w.flavor("m1.tiny").await?},
        "os:scheduler_hints": {"group": group}});
    let second = w.post(&at("/servers"), grouped).await?;
    let second = second["server"]["id"].as_str().context("a server")?.to_owned();
    let third = w.server("gone", image, json!({})).await?;
    for server in [&first, &second, &third] {
        w.until_status(server, "ACTIVE").await?;
    }
    w.action(&first, json!({"os-stop": null})).await?;
    w.until_status(&first, "SHUTOFF").await?;
    call(w, Method::DELETE, &at(&format!("/servers/{third}")), None).await?;
    w.until_gone(&third).await?;

    // last, for the token is gone then
    let token = w.token().to_owned();
    let headers = [("x-subject-token", token.as_str())];
    w.call_as(&token, Method::DELETE, "/identity/v3/auth/tokens", None, &headers).await?;
    Ok(())
}
