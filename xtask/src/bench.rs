//! `cargo xtask bench NAME…`: figures of the release binary, on loopback, in a temporary folder. Each line says what was
//! measured, how often, and the goal it is held against. Where a figure depends on the machine it is a ratio within one run.

mod agents;
mod api;
mod boot;
mod bus;
mod cloud;
mod convert;
mod create;
mod glance;
mod hosts;
mod identity;
mod images;
mod load;
mod race;
mod rows;
mod site;
mod start;
mod upload;

use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[derive(Args)]
pub(crate) struct Arguments {
    /// start, create, hosts, api, identity, upload, images, boot, site, agents, bus, convert; none: all of them
    names: Vec<String>,
    /// Measure this binary instead of building one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Less of everything, so that a debug binary is done soon: shows that a benchmark works, and nothing else. Of `images` only.
    #[arg(long)]
    small: bool,
    #[command(flatten)]
    other: race::Other,
}

pub(crate) struct Setting {
    pub binary: PathBuf,
    pub small: bool,
    pub other: race::Other,
}

/// One measured figure.
pub(crate) fn figure(what: &str, value: &str, goal: &str, met: bool) {
    println!("{} {what}: {value} (goal: {goal})", if met { "met   " } else { "MISSED" });
}

type Bench = fn(&Setting) -> Result<()>;
const BENCHES: &[(&str, Bench)] = &[
    ("start", start::run),
    ("create", create::run),
    ("hosts", hosts::run),
    ("api", api::run),
    ("identity", identity::run),
    ("upload", upload::run),
    ("boot", boot::run),
    ("site", site::run),
    ("agents", agents::run),
    ("bus", bus::run),
    ("convert", convert::run),
    ("images", images::run),
];

pub(crate) fn run(a: &Arguments) -> Result<ExitCode> {
    for name in &a.names {
        if !BENCHES.iter().any(|(n, _)| n == name) {
            let all: Vec<&str> = BENCHES.iter().map(|(n, _)| *n).collect();
            bail!("no benchmark {name}; there are {}", all.join(", "));
        }
    }
    let setting = Setting { binary: a.binary.clone().map_or_else(build, Ok)?, small: a.small, other: a.other.clone() };
    for (name, bench) in BENCHES {
        if a.names.is_empty() || a.names.iter().any(|n| n == name) {
            println!("-- {name}");
            bench(&setting).with_context(|| format!("benchmark {name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The release binary.
pub(crate) fn build() -> Result<PathBuf> {
    let done = Command::new("cargo").args(["build", "--release", "--package", "skyiron"]).status()?;
    if !done.success() {
        bail!("the release binary does not build");
    }
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    Ok(PathBuf::from(target).join("release/skyiron").canonicalize()?)
}
