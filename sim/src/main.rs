//! `cargo xtask sim`: runs seeds, on as many threads as there are processors, and says how to replay those that fail.

use anyhow::Result;
use clap::{Parser, ValueEnum};
use sim::{Extent, Fault, Mutant, Options, Story, Told, every_fault, run_all, run_story};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask sim",
    about = "Simulated clouds, each from a seed, or with every fault at every point"
)]
struct Arguments {
    /// Run this one only
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run these: FROM..TO, without TO
    #[arg(long, default_value = "0..2000", value_parser = range)]
    seeds: Range<u64>,
    /// Print every event (with --seed or --story)
    #[arg(long)]
    trace: bool,
    /// No seeds: strike every fault point in every way, in every story that passes it
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    points: bool,
    /// No seeds: tell this story, with --fault at --point if they are given
    #[arg(long, conflicts_with_all = ["seed", "seeds", "points"])]
    story: Option<Story>,
    #[arg(long, requires = "story", requires = "fault")]
    point: Option<String>,
    #[arg(long, requires = "point")]
    fault: Option<Fault>,
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
    let jobs = a.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let began = Instant::now();
    if let Some(story) = a.story {
        let told = run_story(story, a.point.zip(a.fault), a.trace)?;
        say_broken(&told);
        return Ok(result(&[told], began));
    }
    if a.points {
        return every_point(jobs, began);
    }
    let seeds = a.seed.map_or(a.seeds.clone(), |one| one..one + 1);
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

/// How often it is said how far it is.
const MINUTE: Duration = Duration::from_secs(60);

fn every_point(jobs: usize, began: Instant) -> Result<ExitCode> {
    let said = Mutex::new(began);
    let all = every_fault(jobs, Extent::Everything, |told, far| {
        say_broken(told);
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= MINUTE {
            println!("{} of {} stories told", far.told, far.of);
            *said = Instant::now();
        }
    })?;
    let passed: BTreeSet<_> = all.iter().flat_map(|t| &t.passed).collect();
    let listed: BTreeSet<_> = all.iter().flat_map(|t| &t.listed).collect();
    listed.difference(&passed).for_each(|point| println!("no story passes {point}"));
    Ok(result(&all, began))
}

/// Says what is broken, and how to see it again.
fn say_broken(told: &Told) {
    let Some(first) = told.broken.first() else { return };
    let fault = told.fault.as_ref();
    let fault = fault.map(|(point, fault)| format!(" --point {point} --fault {}", name(*fault))).unwrap_or_default();
    println!("{first}\n    cargo xtask sim --story {}{fault} --trace", name(told.story));
}

fn result(told: &[Told], began: Instant) -> ExitCode {
    let points: BTreeSet<_> = told.iter().flat_map(|t| &t.passed).collect();
    let struck = told.iter().filter(|t| t.struck).count();
    let fail = told.iter().filter(|t| !t.broken.is_empty()).count();
    let hours = told.iter().map(|t| t.lasted).sum::<Duration>().as_secs_f64() / 3600.0;
    println!(
        "{} stories told, {} points passed, {struck} faults struck, {fail} fail; {hours:.0} simulated hours in {:.1} s",
        told.len(),
        points.len(),
        began.elapsed().as_secs_f64()
    );
    if fail == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

fn show_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sqlx=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).without_time().with_target(false).init();
}
