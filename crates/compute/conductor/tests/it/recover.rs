//! Hosts that stay silent are fenced and evacuated, if that is wanted, and never many at once.

use crate::evacuate::active_on;
use crate::host::Obeying;
use crate::world::{World, settings};
use base::{Clock, SystemClock};
use compute_conductor::{ConductorSettings, Recovery};
use platform_db::args;
use platform_db::testing::on_each_engine;
use std::path::Path;
use std::time::Duration;

fn recovering(fence_command: &[String]) -> ConductorSettings {
    let recovery = Recovery {
        // it is silent when it is down: for longer than `service_down_time`
        after: Some(Duration::from_millis(1)),
        fence_command: fence_command.to_vec(),
        fence_timeout: Duration::from_secs(20),
        most_hosts: 1,
    };
    ConductorSettings {
        recovery,
        seen_interval: Duration::from_millis(50),
        service_down_time: Duration::from_secs(3),
        ..settings()
    }
}

/// Notes the host in a file, and ends well.
fn noting(file: &Path) -> Vec<String> {
    // appends its argument: no shell is needed for it
    ["sed", "-i", "$ a {host}"].map(str::to_owned).into_iter().chain([file.display().to_string()]).collect()
}

/// Hosts that live.
async fn living(w: &World, names: &[&str]) -> Vec<Obeying> {
    let mut living = Vec::new();
    for name in names {
        living.push(w.host(name).await.obey_well());
    }
    living
}

async fn silent(w: &World, host: &str) {
    // what it has asked last is written down
    tokio::time::sleep(Duration::from_millis(200)).await;
    let long_ago = SystemClock.now().minus(Duration::from_secs(3600));
    let mut tx = w.db.begin().await.unwrap();
    tx.execute("UPDATE compute_services SET last_seen = $2 WHERE host = $1", args![host, long_ago]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn history(w: &World, host: &str) -> Vec<(String, String)> {
    w.db.fetch_all("SELECT what, detail FROM events WHERE subject = $1 ORDER BY at", args![host]).await.unwrap()
}

async fn said(w: &World, host: &str, what: &str) -> String {
    w.until(what, async || history(w, host).await.into_iter().find(|(w, _)| w == what).map(|(_, detail)| detail)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_host_is_fenced_once_and_evacuated() {
    on_each_engine(|db| async move {
        let dir = tempfile::tempdir().unwrap();
        let fenced = dir.path().join("fenced");
        std::fs::write(&fenced, "first line\n").unwrap();
        let settings = recovering(&noting(&fenced));
        let mut w = World::with(&db, settings.clone());
        w.add_conductor(settings);
        let a = w.host("a").await;
        let mut ids = Vec::new();
        for _ in 0..13 {
            ids.push(active_on(&w, &a).await);
        }
        let _living = living(&w, &["b", "c"]).await;
        silent(&w, "a").await;
        let done = said(&w, "a", "recover.done").await;
        assert_eq!(done, "13 evacuations; 0 servers are left");
        for id in ids {
            assert_ne!(w.settled(id, "active").await.host.as_deref(), Some("a"));
        }
        w.sums_are_right().await;
        assert_eq!(std::fs::read_to_string(&fenced).unwrap(), "first line\na\n", "by one of the two conductors");
        let services = w.store.service_list(Some("a"), Some("nova-compute")).await.unwrap();
        assert!(services[0].forced_down && services[0].disabled);
        assert!(services[0].disabled_reason.as_deref().unwrap().starts_with("switched off and its servers evacuated"));
        let whats: Vec<_> = history(&w, "a").await.into_iter().map(|(what, _)| what).collect();
        assert_eq!(whats, ["recover.begun", "recover.fenced", "recover.done"]);
        w.no_deadlocks().await;
    })
    .await;
}

async fn is_not_moved(w: &World, what: &str, why: &str) {
    let _living = living(w, &["b", "c", "d"]).await;
    let a = w.host("a").await;
    let id = active_on(w, &a).await;
    silent(w, "a").await;
    let detail = said(w, "a", what).await;
    assert!(detail.contains(why), "{detail}");
    // and it is not said again and again, nor tried at once
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(history(w, "a").await.iter().filter(|(w, _)| w == what).count(), 1);
    let server = w.server(id).await;
    assert_eq!((server.host.as_deref(), server.vm_state.as_str()), (Some("a"), "active"));
    assert!(w.moves(id).await.is_empty());
    assert!(!w.store.host_find("a").await.unwrap().unwrap().forced_down);
}

#[tokio::test]
async fn without_a_fence_nothing_is_moved() {
    on_each_engine(|db| async move {
        let w = World::with(&db, recovering(&[]));
        is_not_moved(&w, "recover.refused", "no compute.fence_command is set").await;
    })
    .await;
}

#[tokio::test]
async fn with_a_fence_that_fails_nothing_is_moved() {
    on_each_engine(|db| async move {
        let w = World::with(&db, recovering(&["false".to_owned()]));
        is_not_moved(&w, "recover.failed", "exit status: 1").await;
    })
    .await;
}

#[tokio::test]
async fn many_silent_hosts_are_the_network_and_not_the_hosts() {
    on_each_engine(|db| async move {
        let dir = tempfile::tempdir().unwrap();
        let fenced = dir.path().join("fenced");
        std::fs::write(&fenced, "first line\n").unwrap();
        let w = World::with(&db, recovering(&noting(&fenced)));
        let mut living = living(&w, &["a", "b", "c"]).await;
        living.drain(..2);
        for name in ["a", "b"] {
            silent(&w, name).await;
        }
        let why = said(&w, "b", "recover.refused").await;
        assert_eq!(why, "2 of 3 hosts are silent at once: that is more likely the network than the hosts");
        assert_eq!(std::fs::read_to_string(&fenced).unwrap(), "first line\n");
        // one of them is back: now it is the other one
        living.push(w.host("b").await.obey_well());
        said(&w, "a", "recover.done").await;
        assert_eq!(std::fs::read_to_string(&fenced).unwrap(), "first line\na\n");
        assert_eq!(w.count("SELECT COUNT(*) FROM operations WHERE kind = 'compute.recover_host'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn hosts_are_recovered_one_after_the_other() {
    on_each_engine(|db| async move {
        let w = World::with(&db, recovering(&["sleep".to_owned(), "0.5".to_owned()]));
        let mut living = living(&w, &["a", "b", "c", "d"]).await;
        living.drain(..2);
        for name in ["a", "b"] {
            silent(&w, name).await;
        }
        said(&w, "a", "recover.begun").await;
        let why = said(&w, "b", "recover.refused").await;
        assert_eq!(why, "1 at once are being recovered already");
        said(&w, "b", "recover.done").await;
        let most = "SELECT COUNT(*) FROM events WHERE what = 'recover.done'";
        assert_eq!(w.count(most).await, 2);
        let times: Vec<(String, i64)> =
            w.db.fetch_all(
                "SELECT what, at FROM events WHERE what IN ('recover.begun', 'recover.done') ORDER BY at",
                args![],
            )
            .await
            .unwrap();
        let whats: Vec<_> = times.iter().map(|(w, _)| w.as_str()).collect();
        assert_eq!(whats, ["recover.begun", "recover.done", "recover.begun", "recover.done"]);
    })
    .await;
}

#[tokio::test]
async fn a_host_that_is_back_in_time_is_left_alone() {
    on_each_engine(|db| async move {
        let dir = tempfile::tempdir().unwrap();
        // a named pipe: who opens it waits for somebody to write
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let w = World::with(&db, recovering(&["cat".to_owned(), pipe.display().to_string()]));
        let _living = living(&w, &["b", "c"]).await;
        let a = w.host("a").await;
        silent(&w, "a").await;
        w.until("the fence to wait", async || {
            let waits = "SELECT COUNT(*) FROM operations WHERE waiting_for = 'waiting for the fence command to end'";
            (w.count(waits).await == 1).then_some(())
        })
        .await;
        a.fetch().await;
        assert_eq!(said(&w, "a", "recover.failed").await, "it is back");
        assert!(!w.store.host_find("a").await.unwrap().unwrap().forced_down);
        w.until("the command to be ended", async || {
            let open = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
            // nobody reads it any more
            nix::fcntl::open(&pipe, open, nix::sys::stat::Mode::empty()).is_err().then_some(())
        })
        .await;
    })
    .await;
}
