//! Named fault points: where a test may kill the process, delay it or have a step done twice.
//!
//! Off unless `SKYIRON_FAULTS` is set, e.g. `compute.build.schedule.after=kill,agent.spawn.before=delay:5000`. A point
//! that strikes appends its name to the file `SKYIRON_FAULTS_LOG`, so that a test can assert that it really did.
//! A name may end in `*`. `kill:3` strikes at the third time only. `note` does nothing but that: `*=note` tells which points
//! are passed.

#[cfg(feature = "simulation")]
pub mod simulation;

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Do {
    /// SIGKILL to this process at the n-th time (from 1).
    Kill(u32),
    /// Waits this long, every time.
    Delay(Duration),
    /// Tells the caller to do its step twice, once.
    Repeat,
    /// Nothing but the line in the log, every time.
    Note,
}

#[derive(Debug)]
struct Point {
    name: String,
    what: Do,
    times: AtomicU32,
}

/// What the caller must do with its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    No,
    /// Do the step once more, as a worker would that died before it could record the first time.
    Repeat,
}

fn points() -> &'static [Point] {
    static POINTS: OnceLock<Vec<Point>> = OnceLock::new();
    POINTS.get_or_init(|| match std::env::var("SKYIRON_FAULTS") {
        Ok(text) => parse(&text),
        Err(_) => Vec::new(),
    })
}

fn parse(text: &str) -> Vec<Point> {
    text.split(',')
        .filter_map(|item| {
            let (name, what) = item.trim().split_once('=')?;
            let (what, number) = what.split_once(':').unwrap_or((what, ""));
            let number: u32 = number.parse().unwrap_or(1);
            let what = match what {
                "kill" => Do::Kill(number),
                "delay" => Do::Delay(Duration::from_millis(number.into())),
                "repeat" => Do::Repeat,
                "note" => Do::Note,
                other => {
                    tracing::error!(other, "SKYIRON_FAULTS: kill, delay:MILLISECONDS, repeat or note");
                    return None;
                }
            };
            Some(Point { name: name.to_owned(), what, times: AtomicU32::new(0) })
        })
        .collect()
}

/// A step boundary. Costs one load when no faults are asked for.
pub async fn at(name: &str) -> Struck {
    #[cfg(feature = "simulation")]
    if let Some(struck) = simulation::at(name).await {
        return struck;
    }
    for point in points() {
        let hit = match point.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => point.name == name,
        };
        if !hit {
            continue;
        }
        let times = point.times.fetch_add(1, Ordering::SeqCst) + 1;
        match point.what {
            Do::Kill(n) if times == n => {
                note(name, "kill");
                let _dies = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
            }
            Do::Kill(_) => {}
            Do::Delay(d) => {
                note(name, "delay");
                tokio::time::sleep(d).await;
            }
            Do::Repeat if times == 1 => {
                note(name, "repeat");
                return Struck::Repeat;
            }
            Do::Repeat => {}
            Do::Note => note(name, "note"),
        }
    }
    Struck::No
}

fn note(name: &str, what: &str) {
    let Ok(path) = std::env::var("SKYIRON_FAULTS_LOG") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    if let Err(error) = file.and_then(|mut f| writeln!(f, "{name} {what}")) {
        tracing::error!(%error, path, "SKYIRON_FAULTS_LOG cannot be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax() {
        let points = parse("a.b=kill, c.*=delay:250,d=repeat,*=note,e=explode,f");
        let all: Vec<_> = points.iter().map(|p| (p.name.as_str(), p.what)).collect();
        let delay = Do::Delay(Duration::from_millis(250));
        assert_eq!(all, [("a.b", Do::Kill(1)), ("c.*", delay), ("d", Do::Repeat), ("*", Do::Note)]);
    }
}
