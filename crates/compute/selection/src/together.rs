//! Hosts for many servers at once: servers that are alike are looked for once.

use crate::select::{Asked, FIRST_CANDIDATES, MOST_CANDIDATES, ask, count_in, states_of};
use crate::{Choice, Scheduler, SelectError};
use base::ProviderId;
use compute_scheduler::{HostState, Reasons, pick};
use compute_store::instances::Instance;
use placement::Candidate;
use std::collections::{BTreeMap, HashMap};

/// What these servers have been given on each provider: no claim shows it yet.
type Given = HashMap<(ProviderId, String), u64>;

impl Scheduler {
    pub(crate) async fn choose_all(&self, servers: &[Instance]) -> Result<Vec<Option<Choice>>, SelectError> {
        let mut kinds: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (n, s) in servers.iter().enumerate() {
            let kind = (&s.project_id, &s.flavor, &s.image, &s.pinned_availability_zone, &s.trusted_certificates);
            kinds.entry(kind).or_default().push(n);
        }
        let mut choices = vec![None; servers.len()];
        let mut given = Given::new();
        // who came first has the first choice
        let mut kinds: Vec<Vec<usize>> = kinds.into_values().collect();
        kinds.sort_by_key(|alike| alike.first().copied());
        for alike in kinds {
            let Some(server) = alike.first().map(|n| &servers[*n]) else { continue };
            let found = self.choose_alike(server, alike.len(), &mut given).await?;
            alike.into_iter().zip(found).for_each(|(n, choice)| choices[n] = Some(choice));
        }
        Ok(choices)
    }

    /// Hosts for so many servers like this one, or for fewer if there is not room for all.
    async fn choose_alike(
        &self,
        server: &Instance,
        count: usize,
        given: &mut Given,
    ) -> Result<Vec<Choice>, SelectError> {
        let Some(asked) = Asked::by(server, &self.config) else { return Ok(Vec::new()) };
        let hosts = self.view().all().await?;
        let many = hosts.len() > MOST_CANDIDATES;
        let limit = if many { FIRST_CANDIDATES.max(2 * count) } else { MOST_CANDIDATES };
        let found = self.placement.candidates(&ask(&asked.demand, limit)).await?;
        let (candidates, mut states) = states_of(&found.candidates, &hosts);
        let now = self.view().now();
        count_in(&mut states, &candidates, &self.lately.sums(now));
        let request = asked.request(server);
        let mut choices = Vec::with_capacity(count);
        while choices.len() < count {
            let picked = pick(&request, &states, Reasons::new(), &self.config, &mut base::entropy::rng());
            let Some(best) = picked.choices.into_iter().find(|n| has_room(candidates[*n], given)) else { break };
            let choice = self.choice(&states[best].host, candidates[best]);
            for (provider, class, amount) in &choice.wanted {
                *given.entry((*provider, class.clone())).or_default() += amount;
            }
            give(&mut states[best], candidates[best]);
            self.lately.chosen(now, choice.wanted.clone());
            choices.push(choice);
        }
        Ok(choices)
    }
}

/// As far as can be seen: the claim knows.
fn has_room(candidate: &Candidate, given: &Given) -> bool {
    candidate.wanted().into_iter().filter(|(provider, ..)| *provider == candidate.root.id()).all(
        |(provider, class, amount)| {
            let taken = given.get(&(provider, class.to_owned())).copied().unwrap_or(0);
            candidate.root.stock(class).is_none_or(|s| s.free() >= taken.saturating_add(amount))
        },
    )
}

/// The next one sees it there, as Nova's `consume_from_request` has it.
fn give(state: &mut HostState, candidate: &Candidate) {
    for (_, class, amount) in candidate.wanted() {
        match class {
            "VCPU" => state.vcpus.used += amount,
            "MEMORY_MB" => state.ram_mb.used += amount,
            "DISK_GB" => state.disk_gb.used += amount,
            _ => {}
        }
    }
    state.num_instances += 1;
    state.num_io_ops += 1;
}
