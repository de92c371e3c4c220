//! The short form: a hundred worlds, that each is the same a second time, and that a protection switched off is noticed.

use sim::{Extent, Mutant, Options, Outcome, every_fault, run_all};
use std::collections::BTreeSet;

fn seeds(seeds: std::ops::Range<u64>, options: Options, twice: bool) -> Vec<Outcome> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    run_all(seeds, options, jobs, twice, |_| ()).expect("the simulation itself works")
}

#[test]
fn nothing_is_broken_in_a_hundred_worlds() {
    let mut failed = 0;
    for outcome in seeds(0..100, Options::default(), false) {
        if let Some(first) = outcome.broken.first() {
            println!("{first}\n    cargo xtask sim --seed {} --trace", outcome.seed);
            failed += 1;
        }
    }
    assert_eq!(failed, 0, "seeds failed: see above how to replay them");
}

#[test]
fn a_seed_has_one_history_and_no_two_seeds_the_same() {
    let outcomes = seeds(1000..1012, Options::default(), true);
    let mut hashes: Vec<u64> = outcomes.iter().map(|o| o.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), outcomes.len());
    assert!(outcomes.iter().all(|o| o.events > 50), "something happens in each");
}

/// Some of the first hundred worlds must fail, and say so by that invariant.
fn is_found(mutant: Mutant, by: &str) {
    let options = Options { mutant: Some(mutant), ..Options::default() };
    let found = (0..10).any(|ten| {
        let outcomes = seeds(ten * 10..(ten + 1) * 10, options, false);
        outcomes.iter().flat_map(|o| &o.broken).any(|b| b.contains(by))
    });
    assert!(found, "{mutant:?} is not found by {by}");
}

#[test]
fn reports_that_count_whatever_their_generation_are_found() {
    is_found(Mutant::StaleReports, "I5");
}

#[test]
fn a_fence_that_does_not_hold_is_found() {
    is_found(Mutant::NoFence, "I");
}

#[test]
fn two_actions_at_once_are_found() {
    is_found(Mutant::NoTurns, "I2");
}

#[test]
fn quota_and_room_that_are_counted_wrongly_are_found() {
    is_found(Mutant::LostQuota, "I3");
    is_found(Mutant::Overcommit, "I1");
}

#[test]
fn numbers_that_do_not_leap_are_found() {
    is_found(Mutant::NoLeap, "I");
}

#[test]
fn a_fault_at_every_point_ends_well() {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let all = every_fault(jobs, Extent::Sample, |_, _| ()).expect("the simulation itself works");
    let listed = all.iter().flat_map(|t| &t.listed).collect::<BTreeSet<_>>();
    for kind in compute_model::work::ALL {
        assert!(listed.iter().any(|point| point.starts_with(kind)), "{kind} has no flow that names its steps");
    }
    // in both directions: a point that is passed and not listed would be struck by nobody else
    let passed = all.iter().filter(|t| t.fault.is_none()).flat_map(|t| &t.passed).collect::<BTreeSet<_>>();
    assert_eq!(passed, listed, "each point is passed by some story: see sim/src/stories.rs");
    let mut failed = 0;
    for told in all.iter().filter(|t| !t.broken.is_empty()) {
        println!("{:?}, {:?}: {}", told.story, told.fault, told.broken[0]);
        failed += 1;
    }
    assert_eq!(failed, 0, "stories failed: see above, and `cargo xtask sim --points`");
    assert_eq!(all.iter().filter(|t| t.struck).count(), listed.len());
}
