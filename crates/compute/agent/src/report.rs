//! Reports: tried until the conductor has taken or refused them.

use crate::agent::Agent;
use crate::fetch::pause;
use crate::slots::Key;
use base::InstanceId;
use compute_model::assignment::{Outcome, Report, Reported, subject};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Accepted,
    /// The conductor has moved on: what it wants now must be fetched, unless it wants nothing under that generation.
    Refused(Option<u64>),
    /// A newer generation has been fetched: this report would be refused.
    Superseded,
    /// The agent stops. The next one reports.
    Stopping,
}

impl Agent {
    /// What came of a generation.
    pub(crate) fn answer(&self, key: Key, generation: u64, outcome: Outcome) -> Report {
        Report { generation: Some(generation), ..self.unasked(key, None, outcome) }
    }

    /// What was noticed; `after`: the generation that was done last.
    pub(crate) fn unasked(&self, key: Key, after: Option<u64>, outcome: Outcome) -> Report {
        let (host, instance) = (self.hosts[key.0].name.clone(), key.1);
        Report { host, instance, generation: None, after, outcome, incarnation: self.incarnation.get().copied() }
    }

    pub(crate) async fn deliver(&self, report: &Report, newer: &CancellationToken) -> Delivered {
        let mut failures = 0;
        loop {
            let answer = tokio::select! {
                biased;
                answer = self.call::<_, Reported>(subject::REPORT, report) => answer,
                () = newer.cancelled() => return Delivered::Superseded,
            };
            match answer {
                Ok(Reported { accepted: true, .. }) => return Delivered::Accepted,
                Ok(Reported { accepted: false, stands }) => return Delivered::Refused(stands),
                Err(error) => {
                    if failures % 10 == 3 {
                        tracing::warn!(instance = %report.instance, %error, "a report does not get through, trying on");
                    }
                }
            }
            tokio::select! {
                biased;
                () = newer.cancelled() => return Delivered::Superseded,
                () = self.stopping.cancelled() => return Delivered::Stopping,
                () = tokio::time::sleep(pause(failures, LONGEST_PAUSE)) => {}
            }
            failures += 1;
        }
    }
}

/// Tells how far a build is. Only the newest word is sent, once: progress that is lost is no loss.
pub(crate) struct Progress {
    words: watch::Sender<(&'static str, String)>,
    sender: JoinHandle<()>,
}

impl Progress {
    pub(crate) fn of(agent: &Arc<Agent>, host: usize, instance: InstanceId, generation: u64) -> Self {
        let (words, mut heard) = watch::channel(("", String::new()));
        let agent = agent.clone();
        let sender = tokio::spawn(async move {
            while heard.changed().await.is_ok() {
                let (task, why) = heard.borrow_and_update().clone();
                let outcome = Outcome::Progress { task: task.to_owned(), why };
                let report = agent.answer((host, instance), generation, outcome);
                if let Err(error) = agent.call::<_, Reported>(subject::REPORT, &report).await {
                    tracing::debug!(%error, "progress not told");
                }
            }
        });
        Self { words, sender }
    }

    /// `task`: what the server's task_state shows. `why`: what it waits for, in words.
    pub(crate) fn say(&self, task: &'static str, why: String) {
        self.words.send_if_modified(|words| {
            let said = words.0 == task && words.1 == why;
            *words = (task, why);
            !said
        });
    }

    /// Nothing of it is under way any more when this returns, so it cannot overtake the report that follows.
    pub(crate) async fn finish(self) {
        drop(self.words);
        if let Err(error) = self.sender.await {
            tracing::error!(%error, "telling progress failed");
        }
    }
}
