//! Which hosts a server may go to, best first: placement's candidates, what compute knows of their hosts, the scheduler's
//! choice, and the reasons when there is none.

use crate::hosts::{HostView, Known};
use crate::lately::Lately;
use crate::wishes::{group_of, hints_of};
use crate::{Select, SelectError};
use async_trait::async_trait;
use base::{HostName, InstanceId, ProjectId, ProviderId};
use compute_model::spec::{FlavorSpec, ImageSpec};
use compute_scheduler::reasons::Cause;
use compute_scheduler::{Demand, HostState, Reasons, Request, Room, ServiceState, pick};
use compute_store::Store;
use compute_store::instances::Instance;
use placement::Placement;
use placement::{Candidate, Member};
use platform_db::{Db, DbError};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Where a server may go, beyond what it asks for itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Whither {
    /// Not there: they have failed, or must not have it.
    pub ignore: Vec<HostName>,
    /// Only there.
    pub host: Option<HostName>,
    pub node: Option<String>,
    /// The host is not asked the filters, only whether it has room.
    pub force: bool,
}

/// A host that may have the server, and what to claim there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choice {
    pub host: HostName,
    pub address: String,
    pub node: String,
    pub zone: String,
    pub wanted: Vec<(ProviderId, String, u64)>,
    pub providers: Vec<ProviderId>,
}

/// No host: what the tenant is told, and what the operator is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NoHost {
    pub message: String,
    pub details: String,
    /// Some hosts were left out because they do not ask for work.
    pub some_are_silent: bool,
}

/// Hosts looked at for one server. More would only be ranked and thrown away.
pub(crate) const MOST_CANDIDATES: usize = 1000;
/// Hosts looked at first where there are more than [`MOST_CANDIDATES`], drawn by chance: the best of these is nearly as
/// good as the best of a thousand, for a tenth of the work.
pub(crate) const FIRST_CANDIDATES: usize = 100;
/// Hosts handed to the claim: as many as a burst of other servers may take meanwhile.
const ALTERNATES: usize = 16;

/// A scheduler in this process.
pub struct Scheduler {
    store: Store,
    pub(crate) placement: Placement,
    pub(crate) view: Arc<HostView>,
    pub(crate) config: compute_scheduler::Config,
    pub(crate) lately: Lately,
}

impl Scheduler {
    /// `view`: shared with who else in this process looks at hosts.
    pub fn new(store: Store, placement: Placement, view: Arc<HostView>, config: compute_scheduler::Config) -> Self {
        Self { store, placement, view, config, lately: Lately::default() }
    }

    pub(crate) fn db(&self) -> &Db {
        self.store.db()
    }

    pub(crate) fn view(&self) -> &Arc<HostView> {
        &self.view
    }

    pub(crate) async fn server(&self, id: InstanceId) -> Result<Option<Instance>, DbError> {
        self.store.instance_fetch(id).await
    }

    /// Those of these servers that there are, in their order.
    pub(crate) async fn servers(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, DbError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let mut found = self.store.instances_of(ids.iter().map(String::as_str)).await?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }
}

#[async_trait]
impl Select for Scheduler {
    async fn select(&self, server: &Instance, whither: &Whither) -> Result<Result<Vec<Choice>, NoHost>, SelectError> {
        let Some(asked) = Asked::by(server, &self.config) else {
            let message = "The server's flavor cannot be read.".to_owned();
            return Ok(Err(NoHost { message, details: String::new(), some_are_silent: false }));
        };
        let demand = &asked.demand;
        let mut request = asked.request(server);
        request.group = group_of(&self.store, server).await?;
        request.hints = hints_of(&self.store, server).await?;
        request.ignore_hosts = &whither.ignore;
        match whither.force {
            true => (request.force_host, request.force_node) = (whither.host.as_ref(), whither.node.as_deref()),
            false => (request.destination, request.destination_node) = (whither.host.as_ref(), whither.node.as_deref()),
        }
        let (began, moment) = (self.view.now(), Instant::now());
        let hosts = self.view.all().await?;
        if hosts.len() > MOST_CANDIDATES {
            let some = self.placement.candidates(&ask(demand, FIRST_CANDIDATES)).await?;
            if let Ok(choices) = self.choose(&request, &hosts, &some) {
                return Ok(Ok(choices));
            }
        }
        let wanted = ask(demand, MOST_CANDIDATES);
        let remembered = self.choose(&request, &hosts, &self.placement.candidates(&wanted).await?);
        if remembered.is_ok() {
            return Ok(remembered);
        }
        // "no valid host" is said of the cloud as it is now
        let hosts = self.view.as_of(began).await?;
        Ok(self.choose(&request, &hosts, &self.placement.candidates_as_of(&wanted, moment).await?))
    }

    async fn select_all(&self, servers: &[Instance]) -> Result<Vec<Option<Choice>>, SelectError> {
        self.choose_all(servers).await
    }
}

/// What a server asks for, by itself.
pub(crate) struct Asked {
    flavor: FlavorSpec,
    image: Option<ImageSpec>,
    project: ProjectId,
    pub(crate) demand: Demand,
}

impl Asked {
    /// `None`: its flavor cannot be read.
    pub(crate) fn by(server: &Instance, config: &compute_scheduler::Config) -> Option<Self> {
        let (flavor, image) = (server.flavor()?, server.image());
        let demand =
            Demand::of(&flavor, image.as_ref(), image.is_none(), config).trusting(&server.trusted_certificates());
        Some(Self { flavor, image, project: ProjectId(server.project_id.clone()), demand })
    }

    pub(crate) fn request<'a>(&'a self, server: &'a Instance) -> Request<'a> {
        let mut request = Request::new(&self.project, &self.flavor, self.image.as_ref());
        request.availability_zone = server.pinned_availability_zone.as_deref();
        request
    }
}

impl Scheduler {
    fn choose(
        &self,
        request: &Request,
        hosts: &HashMap<ProviderId, Known>,
        found: &placement::Found,
    ) -> Result<Vec<Choice>, NoHost> {
        let config = &self.config;
        let mut reasons = Reasons::new();
        for (member, cause) in &found.refused {
            if let Some(known) = hosts.get(&member.provider.root) {
                // that nobody could use it anyway says more than what it lacks for this server
                let cause = match &known.host.service {
                    ServiceState::Up => translate(cause),
                    ServiceState::Down => Cause::Down,
                    ServiceState::Disabled(reason) => Cause::Disabled { reason: reason.clone() },
                };
                reasons.add(known.host.host.clone(), cause);
            }
        }
        let (candidates, mut states) = states_of(&found.candidates, hosts);
        let now = self.view.now();
        count_in(&mut states, &candidates, &self.lately.sums(now));
        let picked = pick(request, &states, reasons, config, &mut base::entropy::rng());
        if picked.choices.is_empty() {
            return Err(NoHost {
                message: picked.reasons.for_tenants(),
                details: picked.reasons.for_operators(),
                some_are_silent: hosts.values().any(|h| h.silent),
            });
        }
        let choices = picked.choices.into_iter().take(ALTERNATES);
        let choices: Vec<Choice> = choices.map(|n| self.choice(&states[n].host, candidates[n])).collect();
        if let Some(best) = choices.first() {
            self.lately.chosen(now, best.wanted.clone());
        }
        Ok(choices)
    }

    pub(crate) fn choice(&self, host: &compute_scheduler::Host, candidate: &Candidate) -> Choice {
        let wanted: Vec<(ProviderId, String, u64)> =
            candidate.wanted().into_iter().map(|(p, class, n)| (p, class.to_owned(), n)).collect();
        Choice {
            host: host.host.clone(),
            address: host.host_ip.clone(),
            node: host.hypervisor_hostname.clone(),
            zone: host.availability_zone().unwrap_or(&self.config.default_availability_zone).to_owned(),
            providers: wanted.iter().map(|(p, _, _)| *p).collect(),
            wanted,
        }
    }
}

/// The demand in placement's terms, for so many candidates.
pub(crate) fn ask(demand: &Demand, limit: usize) -> placement::Request {
    let group = |g: &compute_scheduler::demand::Group| placement::Group {
        resources: g.resources.iter().map(|(c, n)| (c.clone(), *n)).collect(),
        required: g.required.iter().map(|t| vec![t.clone()]).collect(),
        forbidden: g.forbidden.iter().cloned().collect(),
        ..placement::Group::default()
    };
    placement::Request {
        unnamed: group(&demand.unnamed),
        groups: demand.groups.iter().map(|(suffix, g)| (suffix.clone(), group(g))).collect(),
        isolate: demand.isolate,
        root_required: demand.root_required.iter().cloned().collect(),
        root_forbidden: demand.root_forbidden.iter().cloned().collect(),
        limit: Some(limit),
        // in a larger cloud the first of all hosts would be full before the others had any server
        from: ProviderId(base::entropy::uuid()),
        ..placement::Request::default()
    }
}

/// One state a host: its first candidate. Trees that are no compute host of ours are left out.
pub(crate) fn states_of<'a>(
    candidates: &'a [Candidate],
    hosts: &HashMap<ProviderId, Known>,
) -> (Vec<&'a Candidate>, Vec<HostState>) {
    let mut seen = std::collections::HashSet::new();
    candidates
        .iter()
        .filter(|c| seen.insert(c.root.id()))
        .filter_map(|c| Some((c, state(&c.root, hosts.get(&c.root.id())?))))
        .unzip()
}

/// Adds to what the hosts' claims show.
pub(crate) fn count_in(
    states: &mut [HostState],
    candidates: &[&Candidate],
    sums: &HashMap<ProviderId, HashMap<String, u64>>,
) {
    for (state, candidate) in states.iter_mut().zip(candidates) {
        let Some(sums) = sums.get(&candidate.root.id()) else { continue };
        let of = |class: &str| sums.get(class).copied().unwrap_or(0);
        state.vcpus.used += of("VCPU");
        state.ram_mb.used += of("MEMORY_MB");
        state.disk_gb.used += of("DISK_GB");
    }
}

fn state(root: &Member, known: &Known) -> HostState {
    let room = |class: &str| {
        root.stock(class).map_or(Room::default(), |s| Room {
            total: s.inventory.total,
            reserved: s.inventory.reserved,
            used: s.used,
            allocation_ratio: s.inventory.allocation_ratio,
        })
    };
    HostState {
        host: known.host.clone(),
        vcpus: room("VCPU"),
        ram_mb: room("MEMORY_MB"),
        disk_gb: room("DISK_GB"),
        num_instances: known.instances,
        num_io_ops: known.building,
        failed_builds: known.failed_builds,
    }
}

fn translate(cause: &placement::Cause) -> Cause {
    use placement::Cause as P;
    match cause {
        P::Lacks { class, free, total, .. } => Cause::Lacks { resource: class.clone(), free: *free, total: *total },
        P::Units { class, .. } => Cause::Units { resource: class.clone() },
        P::MissingTrait(names) => Cause::MissingTrait { name: names.join(" or ") },
        P::ForbiddenTrait(name) => Cause::ForbiddenTrait { name: name.clone() },
        P::OutsideAggregates => Cause::OutsideAggregates,
        P::NoCombination => Cause::NoCombination,
    }
}
