//! One scheduling run for one server.

use crate::weighers;
use crate::{Cause, Config, HostState, Reasons, Request, filters};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// What came of it.
#[derive(Clone, Debug)]
pub struct Picked {
    /// Positions in the list of hosts, the best first: claim on the first, then on the next.
    pub choices: Vec<usize>,
    /// Every host that was refused, those of placement included.
    pub reasons: Reasons,
}

/// Ranks the hosts that pass all filters. `refused`: what placement has refused already.
///
/// Hosts that are not meant at all (another one was asked for by name) are neither chosen nor refused.
pub fn pick(
    request: &Request<'_>,
    hosts: &[HostState],
    refused: Reasons,
    config: &Config,
    random: &mut impl Rng,
) -> Picked {
    let mut reasons = refused;
    let enabled = config.filters();
    let mut passing: Vec<usize> = Vec::new();
    for (n, h) in hosts.iter().enumerate().filter(|(_, h)| is_meant(request, h)) {
        let ignored = request.ignore_hosts.contains(&h.host.host).then_some(Cause::Ignored);
        let cause = ignored.or_else(|| match request.is_forced() {
            true => filters::refuse_forced(h, request, config),
            false => filters::refuse(&enabled, h, request, config),
        });
        match cause {
            Some(cause) => reasons.add(h.host.host.clone(), cause),
            None => passing.push(n),
        }
    }
    let choices = rank(request, hosts, passing, config, random);
    Picked { choices, reasons }
}

fn is_meant(request: &Request<'_>, h: &HostState) -> bool {
    let is = |wanted: Option<&base::HostName>| wanted.is_none_or(|w| *w == h.host.host);
    let is_node = |wanted: Option<&str>| wanted.is_none_or(|w| w == h.host.hypervisor_hostname);
    is(request.force_host)
        && is(request.destination)
        && is_node(request.force_node)
        && is_node(request.destination_node)
}

fn rank(
    request: &Request<'_>,
    hosts: &[HostState],
    mut passing: Vec<usize>,
    config: &Config,
    random: &mut impl Rng,
) -> Vec<usize> {
    if passing.len() < 2 {
        return passing;
    }
    if config.shuffle_best_same_weighed_hosts {
        passing.shuffle(random);
    }
    let states: Vec<&HostState> = passing.iter().map(|n| &hosts[*n]).collect();
    let weights = weighers::weigh(&states, request, config);
    let mut ranked: Vec<(f64, usize)> = weights.into_iter().zip(passing).collect();
    // stable: equal hosts stay in the order they came
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut choices: Vec<usize> = ranked.into_iter().map(|(_, n)| n).collect();
    let subset = config.host_subset_size.clamp(1, choices.len());
    let chosen = choices.remove(random.random_range(0..subset));
    choices.insert(0, chosen);
    choices
}
