//! `cargo xtask sim`: runs seeds, on as many threads as there are processors, and says how to replay those that fail.

use anyhow::Result;
use clap::Parser;
use sim::{Mutant, Options, run_all};
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(bin_name = "cargo xtask sim", about = "Simulated clouds, each from a seed")]
struct Arguments {
    /// Run this one only
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run these: FROM..TO, without TO
    #[arg(long, default_value = "0..2000", value_parser = range)]
    seeds: Range<u64>,
    /// Print every event (with --seed)
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Switch a known protection off; then it is an error if no seed fails
    #[arg(long)]
    mutant: Option<Mutant>,
    /// Say how often what happened to servers
    #[arg(long)]
    reached: bool,
    /// Run each seed twice and compare
    #[arg(long)]
    twice: bool,
    /// Seeds at once; one a processor if not said
    #[arg(long)]
    jobs: Option<usize>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("FROM..TO")?;
    let number = |t: &str| t.parse().map_err(|e| format!("{t}: {e}"));
    Ok(number(from)?..number(to)?)
}

fn main() -> Result<ExitCode> {
    let a = Arguments::parse();
    let options = Options { trace: a.trace, mutant: a.mutant };
    if a.trace {
        show_logs();
    }
    let seeds = a.seed.map_or(a.seeds.clone(), |one| one..one + 1);
    let began = Instant::now();
    let jobs = a.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mutant = a.mutant.map(|m| format!(" --mutant {}", name(m))).unwrap_or_default();
    let outcomes = run_all(seeds, options, jobs, a.twice, |outcome| {
        if let Some(first) = outcome.broken.first() {
            let seed = outcome.seed;
            println!("seed {seed} fails: {first}\n    cargo xtask sim --seed {seed} --trace{mutant}");
        }
    })?;
    let fails = outcomes.iter().filter(|o| !o.broken.is_empty()).count();
    let lasted: Duration = outcomes.iter().map(|o| o.lasted).sum();
    let statements: u64 = outcomes.iter().map(|o| o.statements).sum();
    let (n, took) = (outcomes.len(), began.elapsed().as_secs_f64());
    let hours = lasted.as_secs_f64() / 3600.0;
    println!("{n} seeds, {fails} fail; {hours:.0} simulated hours, {statements} statements in {took:.1} s");
    if a.reached {
        let mut all: BTreeMap<&str, i64> = BTreeMap::new();
        for (what, n) in outcomes.iter().flat_map(|o| &o.reached) {
            *all.entry(what).or_default() += n;
        }
        all.iter().for_each(|(what, n)| println!("{n:>8} {what}"));
    }
    if let [one] = outcomes.as_slice() {
        println!("hash {:016x} of {} events", one.hash, one.events);
    }
    let good = if a.mutant.is_some() { fails > 0 } else { fails == 0 };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn name(mutant: Mutant) -> String {
    use clap::ValueEnum;
    mutant.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

fn show_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sqlx=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).without_time().with_target(false).init();
}
