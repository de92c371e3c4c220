//! Many seeds on several threads. Each has a thread of its own while it runs, and nothing in common with the others.

use crate::{Options, Outcome, run};
use anyhow::{Context, Result, anyhow, bail};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What came of each seed, in order; `hear` is told at once. `twice`: each is run twice, and it is an error if the
/// histories differ.
pub fn run_all(
    seeds: Range<u64>,
    options: Options,
    jobs: usize,
    twice: bool,
    hear: impl Fn(&Outcome) + Sync,
) -> Result<Vec<Outcome>> {
    let next = AtomicU64::new(seeds.start);
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return Ok(());
                }
                let outcome = run(seed, options)?;
                if twice && run(seed, options)? != outcome {
                    bail!("seed {seed} has two histories");
                }
                hear(&outcome);
                all.lock().map_err(|_| anyhow!("another thread has panicked"))?.push(outcome);
            }
        };
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|t| t.join().ok().context("a thread has panicked")?)
    })?;
    let mut all = all.into_inner().ok().context("a thread has panicked")?;
    all.sort_by_key(|o| o.seed);
    Ok(all)
}
