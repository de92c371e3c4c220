//! What an operator does beside the API.

use anyhow::Result;
use reqwest::Method;
use skyiron_tests::{Setup, World, binary};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[tokio::test]
async fn status_openrc_and_a_clean_stop() -> Result<()> {
    let mut w = World::start(Setup { fake_hosts: 3, ..Setup::default() }).await?;
    let run = |arguments: &[&str]| Command::new(binary()).args(arguments).arg("--data").arg(w.data()).output();
    let status = run(&["status", "--json"])?;
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
    assert_eq!(status["hosts"], serde_json::json!({"up": 3, "down": 0}));
    let openrc = run(&["openrc"])?;
    assert!(String::from_utf8(openrc.stdout)?.contains(&format!("OS_AUTH_URL={}/identity/v3", w.url)));
    let second = run(&["up", "--listen", "127.0.0.1:0"])?;
    assert!(String::from_utf8_lossy(&second.stderr).contains("another skyiron runs"));
    let took = w.terminate().await?;
    assert!(took.as_secs() < 10, "{took:?}");
    let status = Command::new(binary()).args(["status", "--data"]).arg(w.data()).output()?;
    assert!(!status.status.success() && String::from_utf8_lossy(&status.stderr).contains("does not answer"));
    Ok(())
}

#[tokio::test]
async fn metadata_definitions_are_loaded_beside_a_running_cloud() -> Result<()> {
    let w = World::start(Setup { fake_hosts: 1, ..Setup::default() }).await?;
    let load = |arguments: &[&str]| -> Result<String> {
        let ran = Command::new(binary()).args(["metadefs", "load", "--data"]).arg(w.data()).args(arguments).output()?;
        Ok(String::from_utf8([ran.stdout, ran.stderr].concat())?)
    };
    assert!(load(&[])?.contains("0 made, 0 replaced, 33 were there"));
    let signatures = "/image/v2/metadefs/namespaces/OS::Glance::Signatures";
    assert!(w.call(Method::DELETE, signatures, None).await?.status.is_success());
    assert!(load(&[])?.contains("1 made, 0 replaced, 32 were there"));
    assert_eq!(w.get(signatures).await?["display_name"], "Image Signature Verification");
    let folder = tempfile::tempdir()?;
    let of = folder.path().to_str().unwrap_or_default();
    assert!(load(&["--folder", of])?.contains("there is no .json file"));
    std::fs::write(folder.path().join("own.json"), r#"{"namespace": "Own", "visibility": "public"}"#)?;
    assert!(load(&["--folder", of, "--replace"])?.contains("1 made"));
    assert!(load(&["--folder", of, "--replace"])?.contains("1 replaced"));
    assert_eq!(w.get("/image/v2/metadefs/namespaces/Own").await?["visibility"], "public");
    std::fs::write(folder.path().join("zero.json"), "{}")?;
    let refused = load(&["--folder", of])?;
    assert!(refused.contains("nothing was loaded") && refused.contains("it has no `namespace`"), "{refused}");
    Ok(())
}

#[test]
fn the_configuration_explains_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("skyiron.toml");
    let reference = Command::new(binary()).args(["config", "reference"]).output()?;
    std::fs::write(&file, &reference.stdout)?;
    let check = Command::new(binary()).args(["config", "check"]).arg(&file).output()?;
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    std::fs::write(&file, "[compute]\nfake_host = 3\n")?;
    let check = Command::new(binary()).args(["config", "check"]).arg(&file).output()?;
    assert!(!check.status.success() && String::from_utf8_lossy(&check.stderr).contains("compute.fake_hosts"));
    Ok(())
}

#[tokio::test]
async fn keys_rotate_beside_a_running_cloud() -> Result<()> {
    let w = World::start(Setup { fake_hosts: 1, ..Setup::default() }).await?;
    let run = |what: &str| Command::new(binary()).args(["keys", what, "--data"]).arg(w.data()).output();
    let refused = run("rotate")?;
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("the staged key is too new")
    );
    for folder in ["fernet-keys", "credential-keys"] {
        let staged = std::fs::File::options().write(true).open(w.data().join("keys").join(folder).join("0"))?;
        staged.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(120))?;
    }
    w.get("/identity/v3/auth/projects").await?;
    for what in ["rotate", "rotate-credentials"] {
        let done = run(what)?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && said.contains("the primary key is 2 now"), "{what}: {said}");
    }
    // with the token of before
    w.get("/identity/v3/auth/projects").await?;
    let done = run("migrate-credentials")?;
    assert!(done.status.success() && String::from_utf8_lossy(&done.stdout).contains("0 encrypted anew"));
    let nowhere = Command::new(binary()).args(["keys", "rotate", "--data", "/nonexistent"]).output()?;
    assert!(!nowhere.status.success() && String::from_utf8_lossy(&nowhere.stderr).contains("there are no keys"));
    Ok(())
}

/// As systemd gives it: a folder with a file that the unit's credential is in.
#[tokio::test]
async fn keys_of_stored_secrets_from_systemd() -> Result<()> {
    let credentials = tempfile::tempdir()?;
    let key = Command::new(binary()).args(["keys", "generate"]).output()?.stdout;
    let file = credentials.path().join("key");
    std::fs::write(&file, key)?;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o400))?;
    let config = "[identity]\ncredential_key_file = \"$CREDENTIALS_DIRECTORY/key\"\n";
    let folder = ("CREDENTIALS_DIRECTORY".to_owned(), credentials.path().display().to_string());
    let environment = vec![folder.clone()];
    let mut w = World::start(Setup { fake_hosts: 1, config: config.into(), environment, ..Setup::default() }).await?;
    let me = w.get("/identity/v3/users?name=admin").await?["users"][0]["id"].clone();
    let body = serde_json::json!({"credential": {"type": "cert", "user_id": me, "blob": "secret"}});
    let made = w.post("/identity/v3/credentials", body).await?["credential"]["id"].clone();
    assert!(!w.data().join("keys/credential-keys").exists());
    let elsewhere = tempfile::tempdir()?;
    let config_file = elsewhere.path().join("skyiron.toml");
    std::fs::write(&config_file, config)?;
    let run = |what: &str, environment: Option<&(String, String)>| {
        let mut command = Command::new(binary());
        command.args(["keys", what, "--data"]).arg(w.data()).arg("--config").arg(&config_file);
        command.env_remove("CREDENTIALS_DIRECTORY").envs(environment.cloned()).output()
    };
    let done = run("migrate-credentials", Some(&folder))?;
    assert!(String::from_utf8_lossy(&done.stdout).contains("0 encrypted anew, 1 were right"), "{done:?}");
    let refused = run("rotate-credentials", Some(&folder))?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("skyiron keys generate"), "{refused:?}");
    let without = run("migrate-credentials", None)?;
    assert!(String::from_utf8_lossy(&without.stderr).contains("systemd has given no credentials"), "{without:?}");
    w.terminate().await?;
    w.restart("").await?;
    let id = made.as_str().unwrap_or_default();
    assert_eq!(w.get(&format!("/identity/v3/credentials/{id}")).await?["credential"]["blob"], "secret");
    Ok(())
}

#[tokio::test]
async fn guests_keep_running_through_a_clean_stop() -> Result<()> {
    let mut w = World::start(Setup::default()).await?;
    // it need not boot: what matters is its process
    let image = w.image("blank", "raw", "bare", vec![0; 1 << 20]).await?;
    let id = w.server("stays", &image, serde_json::json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    let before = w.qemus(&id);
    assert_eq!(before.len(), 1);
    w.terminate().await?;
    assert_eq!(w.qemus(&id), before, "the cloud is gone, the guest is not");
    w.restart("").await?;
    w.until_status(&id, "ACTIVE").await?;
    assert_eq!(w.qemus(&id), before);
    Ok(())
}

#[test]
fn rules_are_shown_and_tried_before_they_are_in_force() -> Result<()> {
    let run = |arguments: &[&str]| Command::new(binary()).arg("policy").args(arguments).output();
    let said = |arguments: &[&str]| -> Result<(bool, String)> {
        let done = run(arguments)?;
        Ok((done.status.success(), String::from_utf8(done.stdout)? + &String::from_utf8(done.stderr)?))
    };
    const CREATE: &str = "os_compute_api:servers:create";
    let (allowed, text) = said(&["check", "compute", CREATE, "--role", "member"])?;
    assert!(allowed && text.starts_with("allowed"), "{text}");
    let (allowed, text) = said(&["check", "compute", CREATE, "--role", "reader"])?;
    assert!(!allowed && text.starts_with("refused"), "{text}");
    // somebody else's
    let (allowed, _) = said(&["check", "compute", CREATE, "--role", "member", "--target", "project_id=other"])?;
    assert!(!allowed);
    let (allowed, text) = said(&["check", "image", "all", "--role", "reader"])?;
    assert!(allowed && text.contains("allowed  get_image\n") && text.contains("refused  delete_image\n"), "{text}");

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, format!("\"{CREATE}\": \"role:reader\"\n\"mine\": \"@\"\n"))?;
    let file = file.display().to_string();
    let (allowed, text) = said(&["check", "compute", CREATE, "--role", "reader", "--file", &file])?;
    assert!(allowed && text.contains("role:reader"), "{text}");
    let (_, text) = said(&["list", "compute", "--changed", "--file", &file])?;
    assert!(
        text.contains("# POST /servers\n") && text.contains("# default: ") && text.matches("\n\"").count() == 2,
        "{text}"
    );
    let (found, text) = said(&["check", "compute", "os_compute_api:no_such_thing"])?;
    assert!(!found && text.contains("no rule"), "{text}");
    std::fs::write(folder.path().join("token.json"), r#"{"token": {"user": {"id": "u"}}}"#)?;
    let token = folder.path().join("token.json").display().to_string();
    let (allowed, text) = said(&["check", "compute", CREATE, "--token", &token])?;
    assert!(!allowed && text.contains("not what GET /v3/auth/tokens answers"), "{text}");
    // every list is a file that may be put in force
    for service in ["identity", "compute", "image", "placement"] {
        let (listed, text) = said(&["list", service])?;
        assert!(listed, "{text}");
        std::fs::write(folder.path().join("all.yaml"), text)?;
        if service != "placement" {
            let all = folder.path().join("all.yaml").display().to_string();
            let (read, text) = said(&["list", service, "--changed", "--file", &all])?;
            assert!(read && text.is_empty(), "{text}");
        }
    }
    Ok(())
}
