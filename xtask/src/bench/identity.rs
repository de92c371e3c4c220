//! Tokens: validations in process and by HTTP, and what others notice while a hundred log in.

use super::cloud::Cloud;
use super::load::{Connection, get, percentile, post, rate};
use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LOGINS: usize = 100;
const TIME: Duration = Duration::from_secs(5);

pub(crate) fn run(s: &Setting) -> Result<()> {
    in_process()?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cloud");
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", "1"], Some(0))?;
    let both = [("x-auth-token", cloud.token.as_str()), ("x-subject-token", cloud.token.as_str())];
    let tokens = rate(&cloud.address, &get(&cloud.address, "/identity/v3/auth/tokens", &both), 16, TIME)?;
    figure("token validation by HTTP, on one core", &format!("{tokens:.0}/s"), "over 5,000/s", tokens > 5000.0);
    cloud.stop()?;
    // hashing has threads of its own, so it is given the whole machine
    let cloud = Cloud::start(&s.binary, &data, &["--fake-hosts", "1"], None)?;
    during_logins(&cloud)?;
    cloud.stop()
}

/// An example of identity's crate: nobody else may name its parts.
fn in_process() -> Result<()> {
    let arguments = ["run", "--quiet", "--release", "--package", "identity", "--example", "validate"];
    let done = Command::new("cargo").args(arguments).output()?;
    let output = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        bail!("the validations failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    for (name, what) in [("one", "one token"), ("thousand", "a thousand tokens")] {
        let line = output.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        let n: f64 = line.with_context(|| format!("no figure of {name}"))?.parse()?;
        figure(&format!("validations in process, {what}"), &format!("{n:.0}/s"), "over 20,000/s", n > 20000.0);
    }
    Ok(())
}

/// The latency of somebody who only shows a token, alone and while a hundred log in again and again.
fn during_logins(cloud: &Cloud) -> Result<()> {
    let auth = [("x-auth-token", cloud.token.as_str())];
    let ask = get(&cloud.address, "/identity/v3/auth/projects", &auth);
    let alone = latencies(&cloud.address, &ask)?;
    let (stop, logins) = (AtomicBool::new(false), AtomicU64::new(0));
    let log_in = post(&cloud.address, "/identity/v3/auth/tokens", &[], &login(cloud)?);
    let beside = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..LOGINS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut c = Connection::open(&cloud.address)?;
                    while !stop.load(Ordering::Relaxed) {
                        let answer = c.send(&log_in)?;
                        if answer.status != 201 {
                            bail!("a login was answered {}", answer.status);
                        }
                        logins.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        let beside = latencies(&cloud.address, &ask);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        beside
    })?;
    let p99 = |times: &[Duration]| percentile(times, 99.0);
    let ratio = p99(&beside).as_secs_f64() / p99(&alone).as_secs_f64();
    let shown = format!("p99 {:.1?}, alone {:.1?}, ratio {ratio:.1}", p99(&beside), p99(&alone));
    figure(&format!("a request with a token while {LOGINS} log in"), &shown, "at most 3 times", ratio <= 3.0);
    println!("       logins in the meantime: {}", logins.into_inner());
    Ok(())
}

fn login(cloud: &Cloud) -> Result<String> {
    let password = std::fs::read_to_string(cloud.data.join("admin-password"))?;
    let user = json!({"name": "admin", "domain": {"id": "default"}, "password": password.trim()});
    Ok(json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}).to_string())
}

/// Sorted, of one connection.
fn latencies(address: &str, request: &[u8]) -> Result<Vec<Duration>> {
    let mut c = Connection::open(address)?;
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < TIME {
        let sent = Instant::now();
        let answer = c.send(request)?;
        if answer.status != 200 {
            bail!("answered {}", answer.status);
        }
        times.push(sent.elapsed());
    }
    times.sort();
    Ok(times)
}
