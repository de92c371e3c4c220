//! The connection: how it is made, made again, and what is known about it while it is not there.

use super::settings::{Login, OpenError, Plan, Settings};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Between attempts: from `FIRST_PAUSE` doubling to `LONGEST_PAUSE`, each by chance between half of it and all of it, so
/// that the clients of a restarted server do not come back in step.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How soon a dead connection is noticed when nothing is sent: two of these.
const PING: Duration = Duration::from_secs(10);
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Messages that may wait for one subscription's task.
const QUEUE: usize = 16 * 1024;

/// What is known about the connection.
#[derive(Default)]
pub(super) struct Link {
    failure: Mutex<Option<String>>,
    changed: Notify,
}

impl Link {
    /// Why there is no connection.
    pub(super) fn why(&self) -> String {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().unwrap_or_else(|| "not connected yet".to_owned())
    }

    fn failed(&self, why: String) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub(super) async fn until(&self, reached: impl Fn() -> bool + Send) {
        while !reached() {
            // the event may come a little before the state, and may be dropped under load
            let _look_again = tokio::time::timeout(Duration::from_millis(50), self.changed.notified()).await;
        }
    }
}

/// Returns at once; the connection is made behind.
pub(super) async fn start(settings: &Settings) -> Result<(Client, Arc<Link>), OpenError> {
    let plan = settings.plan()?;
    let link = Arc::new(Link::default());
    let servers = plan.servers.iter().cloned().map(ServerAddr::from_url).collect::<Result<Vec<_>, _>>();
    let servers = servers.map_err(|e| OpenError::Url(e.to_string()))?;
    let options = watched(options(&plan)?, link.clone()).name(&settings.name);
    let client = options.connect(servers).await.map_err(|e| OpenError::Client(Box::new(e)))?;
    Ok((client, link))
}

fn options(plan: &Plan) -> Result<ConnectOptions, OpenError> {
    let mut options = ConnectOptions::new()
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(pause)
        .connection_timeout(CONNECT_PATIENCE)
        .ping_interval(PING)
        .subscription_capacity(QUEUE)
        // what is configured is what is used: a name that a server tells may be one its certificate does not have
        .ignore_discovered_servers()
        .require_tls(plan.tls);
    if let Some(path) = &plan.root_cert {
        certificates(path)?;
        options = options.add_root_certificates(path.clone());
    }
    if let Some((cert, key)) = &plan.client_cert {
        certificates(cert)?;
        pem(key, "PRIVATE KEY-----", "there is no private key in it")?;
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    Ok(match &plan.login {
        Login::Nobody => options,
        Login::Password(user, password) => options.user_and_password(user.clone(), password.expose().to_owned()),
        Login::Token(token) => options.token(token.expose().to_owned()),
        Login::Credentials(path) => options.credentials(&read(path)?).map_err(|source| OpenError::File {
            path: path.clone(),
            what: "not credentials of NATS",
            source,
        })?,
        Login::Nkey(path) => {
            let seed = read(path)?;
            // a user's seed is told by its first two letters
            let line = seed.lines().map(str::trim).find(|l| l.starts_with("SU"));
            options.nkey(line.ok_or_else(|| unfit(path, "there is no user's seed in it"))?.to_owned())
        }
    })
}

fn read(path: &Path) -> Result<String, OpenError> {
    std::fs::read_to_string(path).map_err(|source| OpenError::File {
        path: path.to_owned(),
        what: "it cannot be read",
        source,
    })
}

/// A file that the client would stumble over at every attempt, with less of a reason, is refused at once.
fn pem(path: &Path, has: &str, what: &'static str) -> Result<(), OpenError> {
    if read(path)?.contains(has) { Ok(()) } else { Err(unfit(path, what)) }
}

fn certificates(path: &Path) -> Result<(), OpenError> {
    pem(path, "-----BEGIN CERTIFICATE-----", "there is no certificate in it")
}

fn unfit(path: &Path, what: &'static str) -> OpenError {
    OpenError::File { path: path.to_owned(), what, source: std::io::ErrorKind::InvalidData.into() }
}

fn pause(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let longest = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

/// Has the link told what happens. Each failed attempt is logged by the client only at its own debug level and with less
/// said, so its reason is read when the next attempt begins.
fn watched(options: ConnectOptions, link: Arc<Link>) -> ConnectOptions {
    let failures = link.clone();
    options
        .event_callback(move |event| {
            let link = link.clone();
            async move {
                match event {
                    Event::Connected => tracing::info!("connected to the bus"),
                    Event::Disconnected => {
                        link.failed("the connection was lost".to_owned());
                        tracing::warn!("the bus is away");
                    }
                    Event::SlowConsumer(_) => tracing::warn!("a message of the bus was dropped: too many wait"),
                    Event::ServerError(error) => tracing::warn!(error = %error, "the bus complains"),
                    Event::LameDuckMode => tracing::info!("a server of the bus is about to stop"),
                    Event::ClientError(_) | Event::Draining | Event::Closed => {}
                }
                link.changed.notify_waiters();
            }
        })
        .reconnect_to_server_callback(move |servers, _| {
            let told =
                servers.iter().find_map(|s| Some(format!("{}: {}", s.addr.as_url_str(), s.last_error.as_ref()?)));
            if let Some(why) = told {
                tracing::warn!(reason = why, "no connection to the bus");
                failures.failed(why);
            }
            async { None }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        for attempt in 0..100 {
            let pause = pause(attempt);
            assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{attempt}: {pause:?}");
        }
        assert!(pause(1) <= FIRST_PAUSE);
        assert!(pause(50) >= LONGEST_PAUSE / 2);
    }
}
