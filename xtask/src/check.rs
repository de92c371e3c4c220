//! `cargo xtask check`: tests about the repository itself. Each rule is data, with its reason beside it, and the
//! reason is printed with whatever breaks it.

mod architecture;
mod dependencies;
mod documents;
mod length;
mod lockfile;
mod migrations;
mod outbound;
mod versions;

use crate::repo::Repo;
use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these; all of them if none is named
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(CHECKS.iter().map(|c| c.name)))]
    checks: Vec<String>,
}

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    /// A file, a crate or a package.
    at: String,
    what: String,
    /// Why the rule exists.
    why: &'static str,
}

impl Problem {
    fn new(at: impl Into<String>, what: impl Into<String>, why: &'static str) -> Self {
        Self { at: at.into(), what: what.into(), why }
    }
}

struct Check {
    name: &'static str,
    run: fn(&Repo) -> Result<Vec<Problem>>,
}

const CHECKS: &[Check] = &[
    Check { name: "dependencies", run: dependencies::check },
    Check { name: "versions", run: versions::check },
    Check { name: "lockfile", run: lockfile::check },
    Check { name: "migrations", run: migrations::check },
    Check { name: "outbound", run: outbound::check },
    Check { name: "length", run: length::check },
    Check { name: "documents", run: documents::check },
    Check { name: "architecture", run: architecture::check },
];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let repo = Repo::here()?;
    let wanted = |check: &&Check| arguments.checks.is_empty() || arguments.checks.iter().any(|c| c == check.name);
    let mut failed = false;
    for check in CHECKS.iter().filter(wanted) {
        let problems = (check.run)(&repo)?;
        println!("{:<13} {}", check.name, if problems.is_empty() { "ok" } else { "FAILED" });
        for Problem { at, what, why } in &problems {
            println!("  {at}: {what}\n    because {why}");
        }
        failed |= !problems.is_empty();
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether `name` fits `pattern`, in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name
            .strip_prefix(start)
            .is_some_and(|rest| (0..=rest.len()).filter_map(|i| rest.get(i..)).any(|tail| fits(end, tail))),
        None => pattern == name,
    }
}

fn fits_any(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|p| fits(p, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(fits("*-model", "compute-model") && !fits("*-model", "model"));
        assert!(fits("compute-driver-*", "compute-driver-qemu") && !fits("compute-driver-*", "compute-drive"));
        assert!(fits("base", "base") && !fits("base", "base64"));
        assert!(fits("*-driver-*", "compute-driver-qemu") && !fits("*-driver-*", "compute-drivers"));
        assert!(!fits("ab*ba", "aba") && fits("ab*ba", "abba"));
    }
}
