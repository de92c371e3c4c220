//! `cargo xtask upgrade`: the tests of `tests/site/versions.rs`, with the binary of the schema before this one.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The older version, as git names it; if not said, the newest commit with one migration less.
    #[arg(long, conflicts_with = "binary")]
    from: Option<String>,
    /// The older version's binary, in place of building one.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Sources and builds of other versions: far from ours, so that neither overwrites the other.
const FOLDER: &str = "target/versions";

pub(crate) fn run(a: &Arguments) -> Result<ExitCode> {
    let other = match (&a.binary, &a.from) {
        (Some(path), _) => path.canonicalize().with_context(|| path.display().to_string())?,
        (None, Some(commit)) => build(&git(&["rev-parse", "--short", &format!("{commit}^{{commit}}")])?)?,
        (None, None) => build(&schema_before()?)?,
    };
    println!("the other version is {}", other.display());
    done(Command::new("cargo").args(["build", "--package", "skyiron"]))?;
    let tests =
        ["nextest", "run", "--package", "skyiron-tests", "--no-capture", "-E", "binary(site) & test(/^versions::/)"];
    done(Command::new("cargo").args(tests).env("SKYIRON_TEST_OTHER_BINARY", other))?;
    Ok(ExitCode::SUCCESS)
}

fn git(arguments: &[&str]) -> Result<String> {
    let out = Command::new("git").args(arguments).output().context("git")?;
    if !out.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

fn done(command: &mut Command) -> Result<()> {
    if !command.status().with_context(|| format!("{command:?}"))?.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}

/// The newest commit that has our migrations but the last.
fn schema_before() -> Result<String> {
    let migrations = |commit: &str| git(&["ls-tree", "--name-only", commit, "migrations/"]);
    let now = migrations("HEAD")?;
    let (before, _) = now.rsplit_once('\n').context("a schema before this one")?;
    for commit in git(&["rev-list", "--abbrev-commit", "HEAD"])?.lines() {
        if migrations(commit)? == before {
            return Ok(commit.to_owned());
        }
    }
    bail!("no commit has the migrations up to {before}; name one by --from, or a binary by --binary")
}

fn build(commit: &str) -> Result<PathBuf> {
    let sources = Path::new(FOLDER).join(commit);
    if !sources.exists() {
        std::fs::create_dir_all(&sources)?;
        let mut archive =
            Command::new("git").args(["archive", commit]).stdout(Stdio::piped()).spawn().context("git")?;
        let files = archive.stdout.take().context("a pipe")?;
        done(Command::new("tar").arg("-x").arg("-C").arg(&sources).stdin(files))?;
        if !archive.wait()?.success() {
            bail!("git archive {commit} failed");
        }
    }
    let target = std::path::absolute(FOLDER)?.join("target");
    let mut cargo = Command::new("cargo");
    done(cargo.args(["build", "--package", "skyiron"]).current_dir(&sources).env("CARGO_TARGET_DIR", &target))?;
    Ok(target.join("debug/skyiron"))
}
