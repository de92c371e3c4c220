//! A compute host as the conductor sees it: messages on the bus.

use base::{HostName, InstanceId, Mib};
use compute_model::assignment::{
    Assignment, Fetch, Fetched, Outcome, Register, Registered, Report, Reported, Want, subject,
};
use compute_model::driver::HostFacts;
use compute_model::states::PowerState;
use platform_bus::{Bus, BusError, LocalBus, call};
use std::collections::HashSet;
use std::slice;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const LIMIT: Duration = Duration::from_secs(10);

/// One process of a host's agent.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) name: HostName,
    bus: LocalBus,
    facts: HostFacts,
    pub(crate) incarnation: Option<u64>,
}

/// Answers until it is dropped.
pub(crate) struct Obeying(JoinHandle<()>);

impl Drop for Obeying {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn done(power: PowerState) -> Outcome {
    Outcome::Done { power }
}

pub(crate) fn failed(message: &str, worth_retrying_elsewhere: bool, power: PowerState) -> Outcome {
    Outcome::Failed { message: message.to_owned(), worth_retrying_elsewhere, power, looked: false }
}

/// It has failed because there is no guest.
pub(crate) fn no_guest() -> Outcome {
    let message = "there is no guest".to_owned();
    Outcome::Failed { message, worth_retrying_elsewhere: true, power: PowerState::NoState, looked: true }
}

pub(crate) fn running() -> Outcome {
    done(PowerState::Running)
}

impl Host {
    /// With so many processors, and memory enough.
    pub(crate) async fn register(bus: &LocalBus, name: &str, vcpus: u32) -> Self {
        Self::with_traits(bus, name, vcpus, &[]).await
    }

    pub(crate) async fn with_traits(bus: &LocalBus, name: &str, vcpus: u32, traits: &[&str]) -> Self {
        let mut host = Self::unregistered(bus, name, vcpus);
        host.facts.traits = traits.iter().map(|t| (*t).to_owned()).collect();
        host.incarnation = host.register_again().await;
        host
    }

    pub(crate) fn unregistered(bus: &LocalBus, name: &str, vcpus: u32) -> Self {
        let facts = HostFacts {
            hypervisor_hostname: format!("{name}.example"),
            hypervisor_type: "fake".into(),
            hypervisor_version: 1000,
            host_ip: "127.0.0.1".into(),
            vcpus,
            ram: Mib(1 << 20),
            disk_gib: 1000,
            cpu_info: serde_json::json!({"arch": "x86_64"}),
            traits: Vec::new(),
            booted_at: None,
        };
        Self { name: name.into(), bus: bus.clone(), facts, incarnation: None }
    }

    /// Not registered yet, and its hypervisor has the name of this one's.
    pub(crate) fn impostor(&self, name: &str) -> Self {
        Self { name: name.into(), incarnation: None, ..self.clone() }
    }

    /// What its facts have it do at any time. The number it is told.
    pub(crate) async fn register_again(&self) -> Option<u64> {
        Self::register_all(slice::from_ref(self)).await.unwrap().incarnation
    }

    /// As hosts of one agent: the first one's.
    pub(crate) async fn register_all(hosts: &[Self]) -> Result<Registered, BusError> {
        let facts = hosts.iter().map(|h| (h.name.clone(), h.facts.clone())).collect();
        let q = Register { hosts: facts, incarnation: hosts[0].incarnation };
        call(&hosts[0].bus, subject::REGISTER, &q, LIMIT).await
    }

    /// Another process of the same host, which has not asked for anything yet.
    pub(crate) async fn successor(&self) -> Self {
        let incarnation = Self { incarnation: None, ..self.clone() }.register_again().await;
        Self { incarnation, ..self.clone() }
    }

    /// The same as a process of a version that knows no incarnations.
    pub(crate) fn of_before(&self) -> Self {
        Self { incarnation: None, ..self.clone() }
    }

    pub(crate) async fn fetch(&self) -> Vec<Assignment> {
        self.ask(false).await.assignments
    }

    pub(crate) async fn ask(&self, all: bool) -> Fetched {
        let q = Fetch { hosts: vec![self.name.clone()], all, incarnation: self.incarnation };
        call(&self.bus, subject::FETCH, &q, LIMIT).await.unwrap()
    }

    /// The next thing to do, waited for.
    pub(crate) async fn next(&self) -> Assignment {
        let asking = async {
            loop {
                if let Some(a) = self.fetch().await.pop() {
                    return a;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("{} has nothing to do", self.name))
    }

    /// Whether the report was accepted.
    pub(crate) async fn report(&self, instance: InstanceId, generation: Option<u64>, outcome: Outcome) -> bool {
        self.send(Report { generation, ..self.unasked(instance, outcome) }).await.accepted
    }

    /// Tells what was noticed when `after` was the last thing done.
    pub(crate) async fn notice(&self, instance: InstanceId, after: u64, outcome: Outcome) -> Reported {
        self.send(Report { after: Some(after), ..self.unasked(instance, outcome) }).await
    }

    fn unasked(&self, instance: InstanceId, outcome: Outcome) -> Report {
        let (host, incarnation) = (self.name.clone(), self.incarnation);
        Report { host, instance, generation: None, after: None, outcome, incarnation }
    }

    async fn send(&self, r: Report) -> Reported {
        call(&self.bus, subject::REPORT, &r, LIMIT).await.unwrap()
    }

    pub(crate) async fn answer(&self, a: &Assignment, outcome: Outcome) -> bool {
        self.report(a.instance, Some(a.generation), outcome).await
    }

    /// Does all it is given, once: what comes of it is what `script` says.
    pub(crate) fn obey(&self, script: impl Fn(&Assignment) -> Outcome + Send + Sync + 'static) -> Obeying {
        let host = self.clone();
        Obeying(tokio::spawn(async move {
            let woken = Arc::new(Notify::new());
            let wake = woken.clone();
            let _hints = host.bus.listen(&subject::wake(host.name.as_str()), Arc::new(move || wake.notify_one()));
            let mut seen = HashSet::new();
            loop {
                for a in host.fetch().await {
                    if seen.insert((a.instance, a.generation)) {
                        if a.want == Want::Spawn {
                            let said = Outcome::Progress { task: "spawning".into(), why: "starting the guest".into() };
                            host.answer(&a, said).await;
                        }
                        host.answer(&a, script(&a)).await;
                    }
                }
                let _looks_anyway = tokio::time::timeout(Duration::from_millis(50), woken.notified()).await;
            }
        }))
    }

    /// Does all of it well.
    pub(crate) fn obey_well(&self) -> Obeying {
        self.obey(|a| {
            done(match a.want {
                Want::Destroy => PowerState::NoState,
                Want::Stop { .. } => PowerState::Shutdown,
                _ => PowerState::Running,
            })
        })
    }
}
