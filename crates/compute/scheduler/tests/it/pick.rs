//! Ranking, forced and wished-for hosts, random choice.

use crate::support::*;
use base::HostName;
use compute_scheduler::{Cause, Config, HostState, Reasons, Request, Room, ServiceState, pick};
use rand::SeedableRng;
use std::collections::BTreeSet;

fn with_ram_used(name: &str, used: u64) -> HostState {
    let h = host(name);
    HostState { ram_mb: Room { used, ..h.ram_mb }, ..h }
}

#[test]
fn more_free_memory_wins_and_failures_lose_against_everything() {
    let (project, flavor) = (project(), flavor(&[]));
    let request = Request::new(&project, &flavor, None);
    let hosts = [with_ram_used("full", 30000), with_ram_used("half", 16000), with_ram_used("empty", 0)];
    assert_eq!(chosen(&request, &hosts, &Config::default()), ["empty", "half", "full"]);
    let stacking = Config { ram_weight_multiplier: -1.0, ..Config::default() };
    assert_eq!(chosen(&request, &hosts, &stacking), ["full", "half", "empty"]);
    let failing = HostState { failed_builds: 1, ..with_ram_used("empty", 0) };
    let hosts = [with_ram_used("full", 30000), with_ram_used("half", 16000), failing];
    assert_eq!(chosen(&request, &hosts, &Config::default()), ["half", "full", "empty"]);
}

#[test]
fn an_aggregate_may_set_its_own_multiplier() {
    let (project, flavor) = (project(), flavor(&[]));
    let request = Request::new(&project, &flavor, None);
    let hosts =
        [with_ram_used("half", 16000), in_aggregate(with_ram_used("empty", 0), &[("ram_weight_multiplier", "0.1")])];
    assert_eq!(chosen(&request, &hosts, &Config::default()), ["half", "empty"]);
    let hosts =
        [with_ram_used("half", 16000), in_aggregate(with_ram_used("empty", 0), &[("ram_weight_multiplier", "a lot")])];
    assert_eq!(chosen(&request, &hosts, &Config::default()), ["empty", "half"]);
}

#[test]
fn busy_disks_and_old_hypervisors_weigh_less() {
    let (project, flavor) = (project(), flavor(&[]));
    let request = Request::new(&project, &flavor, None);
    let hosts = [HostState { num_io_ops: 3, ..host("busy") }, host("idle")];
    assert_eq!(chosen(&request, &hosts, &Config::default()), ["idle", "busy"]);
    let hosts = [with(host("old"), |h| h.hypervisor_version = 6_000_000), host("new")];
    assert_eq!(chosen(&request, &hosts, &Config::default()), ["new", "old"]);
}

#[test]
fn a_forced_host_is_hardly_filtered_and_a_wished_one_is() {
    let (project, flavor) = (project(), flavor(&[]));
    let down = with(host("down"), |h| h.service = ServiceState::Down);
    let off = with(host("off"), |h| h.service = ServiceState::Disabled(None));
    let hosts = [down, host("on"), off];
    let [down, off] = [HostName::from("down"), HostName::from("off")];
    let random = &mut rand::rng();
    let plain = Request::new(&project, &flavor, None);
    let forced = Request { force_host: Some(&down), ..plain.clone() };
    let picked = pick(&forced, &hosts, Reasons::new(), &Config::default(), random);
    assert_eq!((picked.choices, picked.reasons.len()), (vec![0], 0));
    let elsewhere = Request { availability_zone: Some("az1"), ..forced };
    let picked = pick(&elsewhere, &hosts, Reasons::new(), &Config::default(), random);
    assert_eq!(picked.reasons.for_tenants(), "No valid host was found. 1 host: 1 is not in availability zone az1");
    for request in
        [Request { force_host: Some(&off), ..plain.clone() }, Request { destination: Some(&off), ..plain.clone() }]
    {
        let picked = pick(&request, &hosts, Reasons::new(), &Config::default(), random);
        assert_eq!(picked.choices, Vec::<usize>::new());
        assert_eq!(picked.reasons.for_tenants(), "No valid host was found. 1 host: 1 is disabled");
    }
    let wished = Request { destination: Some(&down), ..plain.clone() };
    let picked = pick(&wished, &hosts, Reasons::new(), &Config::default(), random);
    assert_eq!(picked.reasons.for_tenants(), "No valid host was found. 1 host: 1 is down");
    let node = Request { force_node: Some("on.example"), ..plain };
    assert_eq!(pick(&node, &hosts, Reasons::new(), &Config::default(), random).choices, [1]);
}

#[test]
fn hosts_that_failed_before_are_told_together_with_those_of_placement() {
    let (project, flavor) = (project(), flavor(&[]));
    let ignored = [HostName::from("a")];
    let request = Request { ignore_hosts: &ignored, ..Request::new(&project, &flavor, None) };
    let mut refused = Reasons::new();
    refused.add("x".into(), Cause::Lacks { resource: "VCPU".into(), free: 1, total: 64 });
    let picked = pick(&request, &[host("a")], refused, &Config::default(), &mut rand::rng());
    assert_eq!(
        picked.reasons.for_tenants(),
        "No valid host was found. 2 hosts: 1 lacks VCPU (best 1 of 64 free), 1 was tried before or is left out"
    );
}

#[test]
fn one_of_the_best_few_is_taken_at_random() {
    let (project, flavor) = (project(), flavor(&[]));
    let request = Request::new(&project, &flavor, None);
    let hosts: Vec<HostState> = (0..5).map(|n| with_ram_used(&format!("h{n}"), n * 1000)).collect();
    let config = Config { host_subset_size: 3, ..Config::default() };
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let firsts: BTreeSet<usize> = (0..100)
        .map(|_| {
            let choices = pick(&request, &hosts, Reasons::new(), &config, &mut random).choices;
            let all: BTreeSet<usize> = choices.iter().copied().collect();
            assert_eq!(all.len(), 5, "every host once");
            choices[0]
        })
        .collect();
    assert_eq!(firsts, BTreeSet::from([0, 1, 2]));
}
