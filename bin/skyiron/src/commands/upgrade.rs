//! `skyiron upgrade check`: whether this version may be started on a database, told without changing anything.

use super::db::{Place, described};
use super::up::runtime;
use anyhow::{Result, bail};
use platform_db::{Change, Contracts, Schema};
use serde_json::json;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Says what a start of this version would change, and what stands against it. Fails if something does.
    Check {
        #[command(flatten)]
        place: Place,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Check { place, json } = command;
    runtime()?.block_on(check(place, *json))
}

async fn check(place: &Place, as_json: bool) -> Result<()> {
    let db = place.open().await?;
    let (schema, connected) = (db.schema().await?, db.versions_connected().await?);
    db.close().await;
    let too_old: Vec<&String> = connected.iter().flatten().filter(|v| !may_run_beside(v, VERSION)).collect();
    let against = objections(&schema, &too_old);
    if as_json {
        let mut said = described(&schema);
        said["version"] = json!(VERSION);
        said["connected"] = json!(connected);
        said["too_old"] = json!(too_old);
        said["against"] = json!(against);
        println!("{said:#}");
    } else {
        println!("this is      skyiron {VERSION}");
        for m in &schema.pending {
            println!("to apply     {}{}", m.name, if m.change() == Change::Contract { "  contract" } else { "" });
        }
        for (name, _) in &schema.unknown {
            println!("newer        {name}");
        }
        match &connected {
            Some(versions) => println!("connected    {}", versions.join(", ")),
            None => println!("connected    cannot be told on SQLite; one process uses it at a time"),
        }
        if schema.pending.iter().any(|m| m.change() == Change::Contract) {
            println!("contracts wait for `skyiron db migrate --contract`, once no older skyiron runs");
        }
    }
    if !against.is_empty() {
        bail!("not yet: {}", against.join("; "));
    }
    Ok(())
}

fn objections(schema: &Schema, too_old: &[&String]) -> Vec<String> {
    let mut all = Vec::new();
    if let Err(e) = schema.plan(Contracts::Leave) {
        all.push(e.to_string());
    }
    for version in too_old {
        all.push(format!("skyiron {version} is still connected: it is more than one version behind {VERSION}"));
    }
    all
}

/// Whether `theirs` is not more than one version behind `ours`. What cannot be read is.
fn may_run_beside(theirs: &str, ours: &str) -> bool {
    let number = |v: &str| -> Option<(u32, u32)> {
        let mut parts = v.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let (Some(theirs), Some(ours)) = (number(theirs), number(ours)) else { return false };
    let next = [(theirs.0, theirs.1 + 1), (theirs.0 + 1, 0)];
    theirs >= ours || next.contains(&ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_apart_is_near_enough() {
        for (theirs, ours, want) in [
            ("0.3.0", "0.3.9", true),
            ("0.3.0", "0.4.0", true),
            ("0.3.0", "0.5.0", false),
            ("0.9.0", "1.0.0", true),
            ("0.9.0", "1.1.0", false),
            ("1.2.0", "1.1.0", true),
            ("", "1.1.0", false),
        ] {
            assert_eq!(may_run_beside(theirs, ours), want, "{theirs} beside {ours}");
        }
    }
}
