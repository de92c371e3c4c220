//! The scheduler as a role of its own: asked over the bus.

use crate::{Choice, NoHost, Scheduler, Select, SelectError, Whither};
use async_trait::async_trait;
use base::InstanceId;
use compute_store::instances::Instance;
use platform_bus::{Bus, BusError, Subscription};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

const SUBJECT: &str = "compute-scheduler.select";
const ALL: &str = "compute-scheduler.select_all";
/// Longest wait for an answer; a step that gets none is tried again.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    server: InstanceId,
    whither: Whither,
}

#[derive(Debug, Serialize, Deserialize)]
struct Many {
    servers: Vec<InstanceId>,
}

/// Answers until the subscriptions are dropped.
pub fn serve(bus: &dyn Bus, scheduler: Arc<Scheduler>) -> Vec<Subscription> {
    let many = scheduler.clone();
    vec![
        platform_bus::serve(bus, SUBJECT, move |q: Question| {
            let scheduler = scheduler.clone();
            async move { answer(&scheduler, &q).await }
        }),
        platform_bus::serve(bus, ALL, move |q: Many| {
            let scheduler = many.clone();
            async move { answer_all(&scheduler, &q).await }
        }),
    ]
}

async fn answer_all(scheduler: &Scheduler, q: &Many) -> Result<Vec<Option<Choice>>, String> {
    let servers = scheduler.servers(&q.servers).await.map_err(|e| e.to_string())?;
    if servers.len() != q.servers.len() {
        return Err(format!("{} of {} servers are there", servers.len(), q.servers.len()));
    }
    scheduler.select_all(&servers).await.map_err(|e| e.to_string())
}

async fn answer(scheduler: &Scheduler, q: &Question) -> Result<Result<Vec<Choice>, NoHost>, String> {
    let server = scheduler.server(q.server).await.map_err(|e| e.to_string())?;
    let server = server.ok_or_else(|| format!("there is no server {}", q.server))?;
    let chosen = scheduler.select(&server, &q.whither).await.map_err(|e| e.to_string())?;
    if chosen.is_ok() {
        return Ok(chosen);
    }
    // nobody told this process of a host that has registered a moment ago: before a server is refused, look again
    scheduler.view().forget();
    scheduler.select(&server, &q.whither).await.map_err(|e| e.to_string())
}

/// Asks whichever scheduler is there.
pub struct BusScheduler(Arc<dyn Bus>);

impl BusScheduler {
    pub fn on(bus: Arc<dyn Bus>) -> Self {
        Self(bus)
    }
}

#[async_trait]
impl Select for BusScheduler {
    async fn select(&self, server: &Instance, whither: &Whither) -> Result<Result<Vec<Choice>, NoHost>, SelectError> {
        let away = |e: &dyn std::fmt::Display| SelectError::Away(e.to_string());
        let server: InstanceId = server.uuid.parse().map_err(|e| away(&e))?;
        let question = Question { server, whither: whither.clone() };
        platform_bus::call_retrying(&*self.0, SUBJECT, &question, PATIENCE).await.map_err(|e: BusError| away(&e))
    }

    /// A scheduler of an older version does not know the question: that is an error at once.
    async fn select_all(&self, servers: &[Instance]) -> Result<Vec<Option<Choice>>, SelectError> {
        let away = |e: &dyn std::fmt::Display| SelectError::Away(e.to_string());
        let servers: Result<_, SelectError> = servers.iter().map(|s| s.uuid.parse().map_err(|e| away(&e))).collect();
        let question = Many { servers: servers? };
        platform_bus::call(&*self.0, ALL, &question, PATIENCE).await.map_err(|e: BusError| away(&e))
    }
}
