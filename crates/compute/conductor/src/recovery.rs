//! Hosts that stay silent: which of them are to be recovered, if the operator wants that at all. Every conductor looks;
//! that each host is recovered once, and not too many at a time, is decided in the database.

use crate::Conductor;
use base::Timestamp;
use compute_model::work;
use compute_store::hosts::Host;
use platform_db::DbError;
use platform_engine::{NewOperation, WAKE, enqueue, recent, record};
use serde_json::json;
use std::sync::PoisonError;
use std::time::Duration;

/// What to do about hosts that stay silent.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// A host silent for longer is recovered. `None`: never.
    pub after: Option<Duration>,
    /// Program and arguments; `{host}` in an argument is the host's name. Exit 0: the host is surely off. May be run twice.
    pub fence_command: Vec<String>,
    pub fence_timeout: Duration,
    /// Hosts recovered at once.
    pub most_hosts: usize,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { after: None, fence_command: Vec::new(), fence_timeout: Duration::from_secs(60), most_hosts: 1 }
    }
}

/// How long the recovery of one host may take.
const DEADLINE: Duration = Duration::from_secs(6 * 3600);
/// A host whose recovery has ended, by a fence that failed for example, is not tried again sooner.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);

/// What is seen of all hosts at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// Silent for longer than the operator bears, the longest first; and for how long.
    pub dead: Vec<(String, Duration)>,
    /// Of the hosts that no operator has declared down: silent ones, and all.
    pub silent: usize,
    pub all: usize,
}

impl Silence {
    fn of(hosts: &[Host], now: Timestamp, down_after: Duration, dead_after: Duration) -> Self {
        let judged = hosts.iter().filter(|h| !h.forced_down);
        let ages: Vec<(String, Duration)> =
            judged.filter_map(|h| Some((h.host.clone(), now.since(Timestamp(h.last_seen?))))).collect();
        let mut dead: Vec<_> = ages.iter().filter(|(_, age)| *age > dead_after.max(down_after)).cloned().collect();
        dead.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Self { dead, silent: ages.iter().filter(|(_, age)| *age > down_after).count(), all: ages.len() }
    }

    /// More than half of the hosts at once: that is the network, or this machine, and not the hosts.
    pub(crate) fn is_general(&self) -> bool {
        self.silent * 2 > self.all
    }

    pub(crate) fn why_general(&self) -> String {
        let Self { silent, all, .. } = self;
        format!("{silent} of {all} hosts are silent at once: that is more likely the network than the hosts")
    }
}

impl Conductor {
    pub(crate) async fn silence(&self, dead_after: Duration) -> Result<Silence, DbError> {
        Ok(Silence::of(&self.store.hosts_all().await?, self.now(), self.settings.service_down_time, dead_after))
    }

    pub(crate) async fn look_for_dead_hosts(&self) -> Result<(), DbError> {
        let recovery = &self.settings.recovery;
        let Some(after) = recovery.after else { return Ok(()) };
        // what happened while no conductor listened is not the hosts' silence
        if self.now().since(self.started) < after {
            return Ok(());
        }
        let silence = self.silence(after).await?;
        let refusal = if silence.is_general() {
            Some(silence.why_general())
        } else {
            recovery.fence_command.is_empty().then(|| "no compute.fence_command is set".to_owned())
        };
        if let Some(why) = refusal {
            return self.say_unrecovered(silence.dead.into_iter().map(|(host, _)| (host, why.clone())).collect()).await;
        }
        let mut waiting = Vec::new();
        for (host, age) in silence.dead {
            if let Some(why) = self.begin_recovery(&host, age, after).await? {
                waiting.push((host, why));
            }
        }
        self.say_unrecovered(waiting).await
    }

    /// `Some`: why not now, in words. Who looks holds a row that all lookers need, so that two never begin together.
    async fn begin_recovery(&self, host: &str, age: Duration, after: Duration) -> Result<Option<String>, DbError> {
        let mut tx = self.store.db().begin().await?;
        tx.next_id("host_recoveries").await?;
        let known = recent(&mut tx, work::RECOVER, self.now().minus(after.max(SHORTEST_PAUSE))).await?;
        if known.iter().any(|(subject, _)| subject == host) {
            tx.undo().await?;
            return Ok(None);
        }
        let most = self.settings.recovery.most_hosts;
        if known.iter().filter(|(_, running)| *running).count() >= most {
            tx.undo().await?;
            return Ok(Some(format!("{most} at once are being recovered already")));
        }
        let silent_secs = age.as_secs();
        // read after the look: histories show the end of one recovery before the begin of the next
        let now = self.now();
        let operation = NewOperation {
            kind: work::RECOVER,
            subject: host.to_owned(),
            project_id: None,
            request_id: None,
            step: work::first::RECOVER,
            data: json!(work::Recover { silent_secs, begun: 0 }),
            deadline: now.plus(DEADLINE),
        };
        let operation = enqueue(&mut tx, now, operation).await?;
        let detail = format!("silent for {silent_secs} s");
        record(&mut tx, host, Some(operation), now, "recover.begun", &detail).await?;
        tx.commit().await?;
        tracing::warn!(
            host,
            silent_secs,
            "host {host} has been silent for {silent_secs} s: it is fenced and its servers are evacuated"
        );
        self.bus.hint(WAKE);
        Ok(None)
    }

    /// In the log and in the hosts' history, once for each reason.
    async fn say_unrecovered(&self, hosts: Vec<(String, String)>) -> Result<(), DbError> {
        let said =
            std::mem::replace(&mut *self.unrecovered.lock().unwrap_or_else(PoisonError::into_inner), hosts.clone());
        let news: Vec<_> = hosts.into_iter().filter(|h| !said.contains(h)).collect();
        if news.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.db().begin().await?;
        for (host, why) in &news {
            tracing::warn!(host, why, "host {host} is silent and is not recovered: {why}");
            record(&mut tx, host, None, self.now(), "recover.refused", why).await?;
        }
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, last_seen: Option<i64>, forced_down: bool) -> Host {
        Host {
            host: name.into(),
            service_id: 1,
            disabled: false,
            disabled_reason: None,
            forced_down,
            last_seen: last_seen.map(|secs| secs * 1_000_000),
            uuid: String::new(),
            hypervisor_hostname: String::new(),
            hypervisor_type: String::new(),
            hypervisor_version: 0,
            host_ip: String::new(),
            cpu_info: String::new(),
            failed_builds: 0,
        }
    }

    fn silence(hosts: &[Host]) -> Silence {
        Silence::of(hosts, Timestamp(1_000_000_000), Duration::from_secs(60), Duration::from_secs(300))
    }

    #[test]
    fn the_longest_silent_come_first_and_who_is_declared_down_does_not_count() {
        let hosts = [
            host("up", Some(990), false),
            host("quiet", Some(900), false),
            host("dead", Some(600), false),
            host("longer", Some(100), false),
            host("declared", Some(0), true),
            host("up2", Some(1000), false),
            host("up3", Some(1000), false),
            host("new", None, false),
        ];
        let seen = silence(&hosts);
        let dead: Vec<_> = seen.dead.iter().map(|(h, age)| (h.as_str(), age.as_secs())).collect();
        assert_eq!(dead, [("longer", 900), ("dead", 400)]);
        assert_eq!((seen.silent, seen.all, seen.is_general()), (3, 6, false));
    }

    #[test]
    fn more_than_half_is_not_the_hosts() {
        let (up, dead) = (host("up", Some(1000), false), host("dead", Some(1), false));
        assert!(!silence(&[up.clone(), dead.clone()]).is_general());
        assert!(silence(&[up, dead.clone(), dead.clone()]).is_general());
        assert!(silence(&[dead]).is_general(), "the only host there is cannot be told from the network");
        assert!(!silence(&[]).is_general());
    }
}
