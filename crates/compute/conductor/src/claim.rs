//! Taking one of the hosts that the scheduler has chosen, inside the transaction that gives the server to it.

use crate::Conductor;
use base::HostName;
use compute_selection::{Choice, NoHost};
use compute_store::instances::Instance;
use compute_store::neighbours;
use platform_db::Tx;
use platform_engine::StepError;

impl Conductor {
    /// The choices that the server's group, and the servers that its hints name, still allow. They are held from here on:
    /// of two that were scheduled at the same moment, the second sees where the first one went. `server`: as it was
    /// scheduled. `force`: no filter was asked; the group holds all the same.
    pub(crate) async fn still_admitted(
        &self,
        tx: &mut Tx,
        server: &Instance,
        force: bool,
        mut choices: Vec<Choice>,
    ) -> Result<Vec<Choice>, StepError> {
        let config = &self.settings.scheduler;
        if let Some(group) = server.server_group.as_deref() {
            let now = neighbours::group_hold(tx, group, &server.uuid).await?.and_then(compute_selection::group);
            if let Some(now) = now.filter(|g| g.is_binding(config)) {
                choices.retain(|c| now.admits(&c.host));
            }
            if choices.is_empty() {
                return Err(StepError::Changed("other members of its group went there meanwhile".into()));
            }
        }
        if !force && server.scheduler_hints != "{}" && compute_scheduler::Hints::may_bind(config) {
            let hints = compute_selection::neighbours_hold(tx, server).await?;
            choices.retain(|c| hints.admit(&c.host, config));
            if choices.is_empty() {
                return Err(StepError::Changed("servers that its hints name went elsewhere meanwhile".into()));
            }
        }
        Ok(choices)
    }

    /// Why the server's group keeps it from a host that is forced, if it does. Such a host is asked nothing but this:
    /// Nova's new host looks at the group itself, and refuses.
    pub(crate) async fn group_forbids(&self, server: &Instance, host: &HostName) -> Result<Option<NoHost>, StepError> {
        let group = compute_selection::group_of(&self.store, server).await?;
        let forbids = group.is_some_and(|g| g.is_binding(&self.settings.scheduler) && !g.admits(host));
        let message = "No valid host was found. The server's group does not allow the host that was asked for.";
        Ok(forbids.then(|| NoHost {
            message: message.to_owned(),
            details: format!("the group of the server does not allow {host}"),
            some_are_silent: false,
        }))
    }

    /// Claims the best of the choices that still has room, in the order given.
    pub(crate) async fn claim_one(
        &self,
        tx: &mut Tx,
        consumer: &placement::Consumer,
        choices: Vec<Choice>,
    ) -> Result<Choice, StepError> {
        for choice in choices {
            let wanted: Vec<(base::ProviderId, &str, u64)> =
                choice.wanted.iter().map(|(p, class, n)| (*p, class.as_str(), *n)).collect();
            match placement::claim(tx, consumer, &wanted, None).await {
                Ok(()) => return Ok(choice),
                Err(placement::ClaimError::Db(e)) => return Err(e.into()),
                Err(placement::ClaimError::ConsumerExists(id)) => {
                    return Err(StepError::Changed(format!("{id} holds a claim already")));
                }
                Err(taken) => {
                    tracing::debug!(host = %choice.host, %taken, "the next host then");
                    // seen with room that it has not: the next look must not see the same
                    self.placement.touched(choice.providers);
                }
            }
        }
        Err(StepError::Changed("every host chosen was taken by others meanwhile".into()))
    }
}
