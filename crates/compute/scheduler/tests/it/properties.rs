//! What holds for any hosts and any request.

use crate::support::*;
use compute_scheduler::{Config, Group, GroupPolicy, HostState, Reasons, Request, Room, ServiceState, filters, pick};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn any_host() -> impl Strategy<Value = HostState> {
    (0..20_u32, 0..12_u32, 0..60_u32, 0..40_000_u64, 0..3_u64, prop::option::of(0..3_u8)).prop_map(
        |(n, io_ops, instances, ram_used, failed, zone)| {
            let h = HostState {
                num_io_ops: io_ops,
                num_instances: instances,
                failed_builds: failed,
                ..host(&format!("h{n}"))
            };
            let h = HostState { ram_mb: Room { used: ram_used, ..h.ram_mb }, ..h };
            let h = with(h, |h| {
                h.service = match n % 5 {
                    0 => ServiceState::Down,
                    1 => ServiceState::Disabled(None),
                    _ => ServiceState::Up,
                };
            });
            match zone {
                Some(z) => in_aggregate(h, &[("availability_zone", &format!("az{z}")), ("max_io_ops_per_host", "6")]),
                None => h,
            }
        },
    )
}

proptest! {
    /// Every host is chosen or refused, once; what is chosen passes each filter by itself; what is refused does not.
    #[test]
    fn chosen_and_refused_are_all_and_filters_are_obeyed(
        hosts in prop::collection::vec(any_host(), 0..30),
        zone in prop::option::of(0..3_u8),
        members in prop::collection::btree_map("h[0-9]".prop_map(base::HostName::from), 0..3_u32, 0..4),
        subset in 0..5_usize,
        shuffle in any::<bool>(),
    ) {
        let enabled: Vec<&str> = filters::names().filter(|n| !n.contains("Isolated")).collect();
        let config = Config { host_subset_size: subset, shuffle_best_same_weighed_hosts: shuffle, ..config(&enabled) };
        let (project, flavor) = (project(), flavor(&[]));
        let zone = zone.map(|z| format!("az{z}"));
        let request = Request {
            availability_zone: zone.as_deref(),
            group: Some(Group { policy: GroupPolicy::AntiAffinity, max_server_per_host: 1, members }),
            ..Request::new(&project, &flavor, None)
        };
        let picked = pick(&request, &hosts, Reasons::new(), &config, &mut rand::rng());
        let distinct: BTreeSet<usize> = picked.choices.iter().copied().collect();
        prop_assert_eq!(distinct.len(), picked.choices.len());
        prop_assert_eq!(picked.choices.len() + picked.reasons.len(), hosts.len());
        for (n, h) in hosts.iter().enumerate() {
            let refused = filters::FILTERS.iter().filter(|f| enabled.contains(&f.name))
                .any(|f| f.refuses(h, &request, &config).is_some());
            let outside = zone.as_deref().is_some_and(|z| h.host.availability_zone().unwrap_or("nova") != z);
            prop_assert_eq!(distinct.contains(&n), !refused && !outside, "{:?}", h);
        }
        let told: usize = picked.reasons.for_tenants().split(": ").nth(1).map_or(0, |counts| {
            counts.split(", ").filter_map(|part| part.split(' ').next()?.parse::<usize>().ok()).sum()
        });
        prop_assert_eq!(told, picked.reasons.len(), "the counts told are those of the hosts refused");
    }

    /// The ranking does not depend on the order in which hosts are listed, but for equals.
    #[test]
    fn without_chance_the_best_is_the_best(hosts in prop::collection::vec(any_host(), 2..20)) {
        let (project, flavor) = (project(), flavor(&[]));
        let request = Request::new(&project, &flavor, None);
        let weights_of = |hosts: &[HostState]| {
            let picked = pick(&request, hosts, Reasons::new(), &config(&[]), &mut rand::rng());
            picked.choices.iter().map(|n| (hosts[*n].failed_builds, hosts[*n].ram_mb.used, hosts[*n].num_io_ops)).collect::<Vec<_>>()
        };
        let turned: Vec<HostState> = hosts.iter().rev().cloned().collect();
        let (a, b) = (weights_of(&hosts), weights_of(&turned));
        prop_assert_eq!(a.first().map(|w| w.0), b.first().map(|w| w.0));
        prop_assert!(a.windows(2).all(|w| w[0].0 <= w[1].0), "failures come last: {:?}", a);
    }
}
