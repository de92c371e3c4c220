//! One seed's history from beginning to end.

use crate::bus::Net;
use crate::chaos::{Plan, cost, end_faults};
use crate::cloud::Cloud;
use crate::database;
use crate::dice::Dice;
use crate::mutant::Mutant;
use crate::trace::Trace;
use anyhow::{Context, Result};
use platform_db::simulation;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Print every event.
    pub trace: bool,
    pub mutant: Option<Mutant>,
}

/// What a seed's history was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub seed: u64,
    /// Of every event with its moment: equal for equal histories.
    pub hash: u64,
    pub events: u64,
    /// Simulated time.
    pub lasted: Duration,
    /// Statements sent to the database.
    pub statements: u64,
    /// How often what happened to servers, by the names of their histories' events.
    pub reached: BTreeMap<String, i64>,
    /// What must not be; empty if all is well.
    pub broken: Vec<String>,
}

/// Longest time everything may take to come to rest: the longest deadline is 30 minutes from a request, by a clock that
/// may have been five minutes ahead.
const REST: Duration = Duration::from_secs(40 * 60);
/// How often it is looked whether all has.
const LOOK: Duration = Duration::from_secs(5);
/// After the last operation has ended: a look of every agent at its guests, and its report.
const SETTLED: Duration = Duration::from_secs(70);

/// Runs one seed on this thread.
pub fn run(seed: u64, options: Options) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    note_panics();
    panics();
    let outcome = runtime.block_on(history(seed, options));
    // ends every task that is left
    drop(runtime);
    outcome.with_context(|| format!("seed {seed}"))
}

async fn history(seed: u64, options: Options) -> Result<Outcome> {
    let began = Instant::now();
    let mut dice = Dice::new(seed);
    let plan = Plan::draw(&mut dice.split());
    // no pauses while the world is made, nor while it is looked at
    let quiet = Rc::new(Cell::new(true));
    let database = Rc::new(Cell::new(plan.database));
    let (is_quiet, cost_now, mut database_dice) = (quiet.clone(), database.clone(), dice.split());
    let statements = simulation::enter(move |moment| {
        if is_quiet.get() { Duration::ZERO } else { cost(moment, cost_now.get(), &mut database_dice) }
    });
    let _chance = base::entropy::seeded(dice.split().next());
    let (db, _folder) = database::fresh().await?;
    let trace = Trace::new(began, options.trace);
    trace.event(format_args!("SEED {seed}: {plan:?}"));
    let net = Net::new(dice.split(), trace.clone());
    let mut cloud = Cloud::new(&plan.shape, began, db, net, &mut dice.split(), &trace)?;
    cloud.replica.quiet = quiet.clone();
    if let Some(mutant) = options.mutant {
        mutant.infect(&statements, &cloud.net, &cloud.db);
    }
    quiet.set(false);
    for p in 0..cloud.processes.len() {
        cloud.start(p);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    cloud.net.set_weather(plan.weather);
    let mut events = dice.split();
    plan.begin(&cloud, &mut events);
    for _ in 0..plan.events {
        tokio::time::sleep(plan.pause(&mut events)).await;
        plan.happen(&mut cloud, &mut events).await?;
        look(&cloud, &quiet).await?;
        if trace.is_broken() {
            break;
        }
    }
    if !trace.is_broken() {
        database.set(plan.database.without_stalls());
        end_faults(&mut cloud).await?;
        come_to_rest(&cloud, &quiet).await?;
    }
    quiet.set(true);
    cloud.note_state().await?;
    let reached = cloud.reached().await?;
    let (hash, events, broken) = trace.result();
    Ok(Outcome { seed, hash, events, lasted: began.elapsed(), statements: cloud.db.statements(), reached, broken })
}

/// Checks what must be true at every moment. Nothing else runs meanwhile.
async fn look(cloud: &Cloud, quiet: &Cell<bool>) -> Result<()> {
    for panic in panics() {
        cloud.trace.broken(format!("I0: {panic}"));
    }
    quiet.set(true);
    let checked = cloud.check().await;
    quiet.set(false);
    Ok(checked?)
}

async fn come_to_rest(cloud: &Cloud, quiet: &Cell<bool>) -> Result<()> {
    let until = Instant::now() + REST;
    loop {
        tokio::time::sleep(LOOK).await;
        look(cloud, quiet).await?;
        quiet.set(true);
        let left = cloud.unsettled().await?;
        quiet.set(false);
        if left.is_empty() || Instant::now() > until || cloud.trace.is_broken() {
            break;
        }
    }
    tokio::time::sleep(SETTLED).await;
    look(cloud, quiet).await?;
    quiet.set(true);
    cloud.check_at_rest().await?;
    Ok(())
}

thread_local! {
    /// Panics of this thread's tasks: tokio swallows them.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Panics of this thread since the last time this was asked.
pub(crate) fn panics() -> Vec<String> {
    PANICS.take()
}

pub(crate) fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            before(panic);
        }));
    });
}
