//! `compute_services` and `hypervisors`: the hosts, what they offer, and whether they live.
