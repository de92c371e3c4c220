//! The power of the whole site goes: the cloud and its guests die at once, and are started again.

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use skyiron_tests::{SOON, Setup, World, until};

/// Nothing runs any more.
fn power_cut(w: &mut World, servers: &[&str]) -> Result<()> {
    w.kill()?;
    for server in servers {
        let pids = w.qemus(server);
        assert_eq!(pids.len(), 1, "{server} ran until now");
        kill(Pid::from_raw(pids[0]), Signal::SIGKILL)?;
    }
    Ok(())
}

async fn world(config: &str) -> Result<(World, String)> {
    let w = World::start(Setup { config: config.to_owned(), ..Setup::default() }).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 1 << 20]).await?;
    Ok((w, image))
}

#[tokio::test]
async fn what_is_to_run_is_started_again_in_order_and_what_was_stopped_is_not() -> Result<()> {
    let (mut w, image) = world("[compute]\nresume_guests_on_boot = true\n").await?;
    let mut ids = Vec::new();
    for name in ["first", "second", "stopped"] {
        let id = w.server(name, &image, json!({})).await?;
        w.until_status(&id, "ACTIVE").await?;
        ids.push(id);
    }
    // by itself, as by a user who has logged in
    kill(Pid::from_raw(w.qemus(&ids[2])[0]), Signal::SIGKILL)?;
    w.until_status(&ids[2], "SHUTOFF").await?;
    power_cut(&mut w, &[&ids[0], &ids[1]])?;
    w.restart("").await?;
    for id in &ids[..2] {
        until(SOON, async || Ok(w.qemus(id).len() == 1)).await?;
        w.until_status(id, "ACTIVE").await?;
    }
    let log = w.log();
    let again = |id: &str| log.find(&format!("guest {id} was off and is to run"));
    assert!(again(&ids[0]).is_some() && again(&ids[0]) < again(&ids[1]), "the older one first: {log}");
    assert_eq!(w.qemus(&ids[2]), Vec::<i32>::new());
    assert_eq!(w.show(&ids[2]).await?["status"], "SHUTOFF");
    Ok(())
}

#[tokio::test]
async fn a_guest_whose_image_has_changed_stays_off_and_it_is_told_why() -> Result<()> {
    let (mut w, image) = world("[compute]\nresume_guests_on_boot = true\n").await?;
    let id = w.server("rotten", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    power_cut(&mut w, &[&id])?;
    let base = w.data().join("instances").join(&id).join("base");
    // the disk has lost a bit while the power was off
    std::fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    let mut bytes = std::fs::read(&base)?;
    bytes[4711] ^= 1;
    std::fs::write(&base, bytes)?;
    w.restart("").await?;
    w.until_status(&id, "SHUTOFF").await?;
    assert_eq!(w.qemus(&id), Vec::<i32>::new());
    until(SOON, async || Ok(w.log().contains(&format!("the copy of image {image} under its disk has changed")))).await
}

#[tokio::test]
async fn unless_it_is_asked_for_guests_stay_off() -> Result<()> {
    let (mut w, image) = world("").await?;
    let id = w.server("off", &image, json!({})).await?;
    w.until_status(&id, "ACTIVE").await?;
    power_cut(&mut w, &[&id])?;
    w.restart("").await?;
    w.until_status(&id, "SHUTOFF").await?;
    assert_eq!(w.qemus(&id), Vec::<i32>::new());
    Ok(())
}
