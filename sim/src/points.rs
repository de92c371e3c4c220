//! Every fault point, struck in every way. The points are those that the engine's flows and the agent name themselves; a story
//! is told once undisturbed, which says the points it passes and how it ends, and then once for each of them and each fault.

use crate::bus::Net;
use crate::chaos::{Database, cost};
use crate::cloud::{Cloud, LEASE, Shape};
use crate::database;
use crate::dice::Dice;
use crate::process::Life;
use crate::stories::Story;
use crate::tale::Tale;
use crate::trace::Trace;
use crate::world::{note_panics, panics};
use anyhow::{Context, Result, anyhow};
use compute_conductor::{Conductor, ConductorSettings};
use compute_store::Store;
use placement::Placement;
use platform_faults::simulation::{Strike, enter};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// All processes of the kind that passes the point die there, and are started again.
    Kill,
    /// The step is done twice.
    Repeat,
    /// Whoever passes the point stays there until its lease is over and another one has the work; for an agent, until
    /// nobody waits for it any more.
    Delay,
}

impl Fault {
    /// The faults that a point can have. A step is done twice from its beginning.
    pub fn of(point: &str) -> &'static [Self] {
        if point.ends_with(".before") { &[Self::Kill, Self::Repeat, Self::Delay] } else { &[Self::Kill, Self::Delay] }
    }
}

/// What came of a story.
#[derive(Clone, Debug)]
pub struct Told {
    pub story: Story,
    /// Where it was disturbed.
    pub fault: Option<(String, Fault)>,
    /// Every point that the code names.
    pub listed: BTreeSet<String>,
    /// Those that were passed.
    pub passed: BTreeSet<String>,
    pub struck: bool,
    /// How the servers stood each time that all was at rest.
    pub log: Vec<String>,
    /// Simulated time.
    pub lasted: Duration,
    /// What must not be; empty if all is well.
    pub broken: Vec<String>,
}

/// How far it is with the stories that are to be told next: the undisturbed ones, and then all others.
#[derive(Clone, Copy, Debug)]
pub struct Far {
    pub told: usize,
    pub of: usize,
}

/// Longer than any host is waited for.
const NOBODY_WAITS: Duration = Duration::from_secs(130);

/// Tells a story on this thread.
pub fn run_story(story: Story, fault: Option<(String, Fault)>, shown: bool) -> Result<Told> {
    // hosts are fenced by a real command
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    note_panics();
    panics();
    let about = format!("{story:?}, {fault:?}");
    let told = runtime.block_on(tell(story, fault, shown));
    drop(runtime);
    told.context(about)
}

#[derive(Default)]
struct Seen {
    passed: BTreeSet<String>,
    struck: bool,
    /// Of conductors and of agents.
    lives: [Vec<Life>; 2],
}

impl Seen {
    fn pass(&mut self, name: &str, fault: Option<&(String, Fault)>, trace: &Trace) -> Strike {
        self.passed.insert(name.to_owned());
        let Some((_, fault)) = fault.filter(|(point, _)| !self.struck && point == name) else { return Strike::No };
        self.struck = true;
        trace.event(format_args!("STRIKE {fault:?} at {name}"));
        let is_agent = name.starts_with("agent.");
        match fault {
            Fault::Kill => {
                self.lives[usize::from(is_agent)].iter().for_each(Life::end);
                Strike::Dies
            }
            Fault::Repeat => Strike::Repeat,
            Fault::Delay => Strike::Delay(if is_agent { NOBODY_WAITS } else { LEASE + LEASE / 2 }),
        }
    }
}

async fn tell(story: Story, fault: Option<(String, Fault)>, shown: bool) -> Result<Told> {
    let began = Instant::now();
    let mut dice = Dice::new(1);
    let mut database_dice = dice.split();
    let _statements = platform_db::simulation::enter(move |moment| cost(moment, Database::QUICK, &mut database_dice));
    let _chance = base::entropy::seeded(dice.split().next());
    let (db, _folder) = database::fresh().await?;
    let trace = Trace::new(began, shown);
    trace.event(format_args!("STORY {story:?}, {fault:?}"));
    let net = Net::new(dice.split(), trace.clone());
    let shape = Shape { conductors: 2, agents: vec![vec![8]; 3], recovery: story.recovery() };
    let mut cloud = Cloud::new(&shape, began, db, net, &mut dice.split(), &trace)?;
    let listed = listed(&cloud);
    let seen = Rc::new(RefCell::new(Seen::default()));
    let (told, fault_told, trace_told) = (seen.clone(), fault.clone(), trace.clone());
    let _faults = enter(move |name| told.borrow_mut().pass(name, fault_told.as_ref(), &trace_told));
    cloud.on_start({
        let seen = seen.clone();
        move |is_agent, life| seen.borrow_mut().lives[usize::from(is_agent)].push(life)
    });
    for p in 0..cloud.processes.len() {
        cloud.start(p);
    }
    let mut tale = Tale::new(cloud);
    tale.pass(Duration::from_secs(5)).await;
    // what ends early is broken; what is broken is told
    if let Err(error) = story.tell(&mut tale).await {
        trace.broken(format!("I4: {error:#}"));
    } else if let Err(error) = tale.end().await {
        trace.broken(format!("I4: at the end: {error:#}"));
    }
    panics().into_iter().for_each(|panic| trace.broken(format!("I0: {panic}")));
    let (_, _, broken) = trace.result();
    let Seen { passed, struck, .. } = seen.take();
    Ok(Told { story, fault, listed, passed, struck, log: tale.log, lasted: began.elapsed(), broken })
}

fn listed(cloud: &Cloud) -> BTreeSet<String> {
    let (db, clock) = (cloud.db.clone(), Arc::new(cloud.api_clock.clone()));
    let bus = cloud.net.of("nobody", &Life::begin());
    let store = Store::new(db.clone(), clock.clone());
    let conductor = Conductor::new(store, Placement::new(db), bus, clock, ConductorSettings::default());
    let flows = conductor.flows();
    flows.iter().flat_map(|flow| platform_engine::fault_points(&**flow)).chain(compute_agent::fault_points()).collect()
}

/// How much of all that could be struck is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Each point in one story and in one way, so that the ways take turns.
    Sample,
    /// Each point in every story that passes it, in every way.
    Everything,
}

/// Tells each story undisturbed, and then with faults at the points that it passes. What a killed or repeated step leaves must
/// be what the undisturbed story left. `hear` is told of each at once.
pub fn every_fault(jobs: usize, extent: Extent, hear: impl Fn(&Told, Far) + Sync) -> Result<Vec<Told>> {
    let undisturbed: Vec<Telling> = Story::ALL.iter().map(|s| (*s, None)).collect();
    let plain = in_turn(jobs, &undisturbed, |_| (), &hear)?;
    let mut taken = BTreeSet::new();
    let mut all = Vec::new();
    for told in &plain {
        for point in &told.passed {
            let faults = Fault::of(point);
            let turn = taken.len() % faults.len();
            let faults = match extent {
                Extent::Everything => faults,
                Extent::Sample if taken.insert(point) => &faults[turn..=turn],
                Extent::Sample => &[],
            };
            all.extend(faults.iter().map(|fault| (told.story, Some((point.clone(), *fault)))));
        }
    }
    let compare = |told: &mut Told| {
        if let Some(plain) = plain.iter().find(|p| p.story == told.story) {
            told.compare(plain);
        }
    };
    let disturbed = in_turn(jobs, &all, compare, &hear)?;
    Ok(plain.into_iter().chain(disturbed).collect())
}

impl Told {
    fn compare(&mut self, undisturbed: &Self) {
        let Some((point, fault)) = &self.fault else { return };
        if !self.struck {
            self.broken.push(format!("{fault:?} at {point} did not strike"));
        }
        if *fault != Fault::Delay && self.broken.is_empty() && self.log != undisturbed.log {
            self.broken.push(format!("it ends otherwise: {:#?}, and not {:#?}", self.log, undisturbed.log));
        }
    }
}

type Telling = (Story, Option<(String, Fault)>);

fn in_turn(
    jobs: usize,
    all: &[Telling],
    judge: impl Fn(&mut Told) + Sync,
    hear: &(impl Fn(&Told, Far) + Sync),
) -> Result<Vec<Told>> {
    let (next, told) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            while let Some((story, fault)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut one = run_story(*story, fault.clone(), false)?;
                judge(&mut one);
                let mut told = told.lock().map_err(|_| anyhow!("another thread has panicked"))?;
                hear(&one, Far { told: told.len() + 1, of: all.len() });
                told.push(one);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|t| t.join().ok().context("a thread has panicked")?)
    })?;
    let mut told = told.into_inner().ok().context("a thread has panicked")?;
    told.sort_by(|a, b| (a.story, &a.fault).cmp(&(b.story, &b.fault)));
    Ok(told)
}
