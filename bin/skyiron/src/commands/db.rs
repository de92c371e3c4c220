//! `skyiron db migrate`, `db status`, `db copy`.

use super::guest::{progress, say};
use super::up::runtime;
use crate::config::{self, Config};
use crate::data::DataDir;
use anyhow::{Context, Result, bail};
use base::Timestamp;
use nix::fcntl::Flock;
use platform_db::{Change, Contracts, Db, Schema, Settings, TimelineSeen, migrations};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Brings the schema up to this version, as every start does; prints what was applied.
    Migrate {
        #[command(flatten)]
        place: Place,
        /// Also what takes something away from older versions: none of them may run any more.
        #[arg(long)]
        contract: bool,
    },
    /// What of the schema is there, and what is still to come.
    Status {
        #[command(flatten)]
        place: Place,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Copies everything into another, empty database, and compares the two. Nothing may run on either meanwhile.
    Copy {
        /// sqlite:PATH or postgresql://…
        #[arg(long, value_name = "URL")]
        from: String,
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

/// Which database.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// Configuration file that names it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The data folder it is in, unless the configuration says otherwise.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    data: PathBuf,
}

impl Place {
    fn settings(&self) -> Result<Settings> {
        let config = self.config.as_deref().map_or_else(|| Ok(Config::default()), config::load)?;
        Ok(config.database.settings(&self.data))
    }

    /// To look at; must be there.
    pub(crate) async fn open(&self) -> Result<Db> {
        let settings = self.settings()?;
        if let Some(file) = sqlite_file(&settings.url) {
            must_exist(&file)?;
        }
        open(&settings).await
    }
}

pub(crate) fn run(command: Command) -> Result<()> {
    runtime()?.block_on(async {
        match command {
            Command::Migrate { place, contract } => migrate(&place, contract).await,
            Command::Status { place, json } => status(&place, json).await,
            Command::Copy { from, to } => copy(&from, &to).await,
        }
    })
}

async fn migrate(place: &Place, contract: bool) -> Result<()> {
    let settings = place.settings()?;
    let _lock = sqlite_file(&settings.url).map(|file| lock(&file)).transpose()?;
    let db = open(&settings).await?;
    let contracts = if contract { Contracts::Apply } else { Contracts::Leave };
    let done = db.migrate_to(&migrations(), contracts).await?;
    db.close().await;
    for name in &done.applied {
        println!("applied {name}");
    }
    if done.applied.is_empty() && done.left.is_empty() {
        println!("nothing to apply");
    }
    for name in &done.left {
        println!(
            "left    {name}: it takes something away; once no older skyiron runs, `skyiron db migrate --contract`"
        );
    }
    Ok(())
}

async fn status(place: &Place, as_json: bool) -> Result<()> {
    let db = place.open().await?;
    let schema = db.schema().await?;
    let has_timelines = schema.applied.iter().any(|name| name.ends_with("_timelines"));
    let timelines = if has_timelines { db.timelines().await? } else { Vec::new() };
    db.close().await;
    if as_json {
        let mut said = described(&schema);
        let shown = |t: &TimelineSeen| json!({"system": t.system, "timeline": t.timeline, "since": Timestamp(t.since).seconds_z()});
        said["timelines"] = timelines.iter().map(shown).collect();
        println!("{said:#}");
        return Ok(());
    }
    for name in &schema.applied {
        println!("applied {name}");
    }
    for (name, change) in &schema.unknown {
        println!("applied {name}  by a newer skyiron{}", if *change == Change::Contract { ", contract" } else { "" });
    }
    for m in &schema.pending {
        println!("pending {}{}", m.name, if m.change() == Change::Contract { "  contract" } else { "" });
    }
    for t in &timelines {
        println!("on timeline {} of PostgreSQL {} since {}", t.timeline, t.system, Timestamp(t.since).seconds_z());
    }
    if let Some(why) = schema.unusable {
        bail!("this skyiron cannot use the database: {why}");
    }
    Ok(())
}

pub(super) fn described(schema: &Schema) -> Value {
    let word = |change| match change {
        Change::Expand => "expand",
        Change::Contract => "contract",
    };
    let pending: Vec<Value> =
        schema.pending.iter().map(|m| json!({"name": m.name, "change": word(m.change())})).collect();
    let unknown: Vec<Value> =
        schema.unknown.iter().map(|(name, change)| json!({"name": name, "change": word(*change)})).collect();
    json!({"applied": schema.applied, "pending": pending, "unknown": unknown, "unusable": schema.unusable})
}

async fn copy(from: &str, to: &str) -> Result<()> {
    if from == to {
        bail!("--from and --to are the same database");
    }
    if let Some(file) = sqlite_file(from) {
        must_exist(&file)?;
    }
    let _locks = locks(&[from, to])?;
    let source = open(&Settings::new(from)).await.context("--from")?;
    let target = open(&Settings::new(to)).await.context("--to")?;
    let bar = progress(1);
    let copied = platform_db::copy(&source, &target, |p| {
        bar.set_length(p.of as u64);
        bar.set_position(p.number as u64);
        say(&bar, &format!("{:>3}/{} {}", p.number, p.of, p.table));
    })
    .await;
    bar.finish_and_clear();
    source.close().await;
    target.close().await;
    let copied = copied?;
    let rows: u64 = copied.iter().map(|t| t.rows).sum();
    println!("{} tables, {rows} rows copied; both sides hold the same", copied.len());
    Ok(())
}

async fn open(settings: &Settings) -> Result<Db> {
    Db::open_with(settings).await.context("the database cannot be opened")
}

fn sqlite_file(url: &str) -> Option<PathBuf> {
    url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).map(PathBuf::from)
}

fn must_exist(file: &Path) -> Result<()> {
    if file.is_file() { Ok(()) } else { bail!("there is no database {}", file.display()) }
}

/// Of the folder the file is in: a cloud that runs on it holds it.
fn lock(file: &Path) -> Result<Flock<File>> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DataDir::open(folder)?.lock()
}

/// Each folder once.
fn locks(urls: &[&str]) -> Result<Vec<Flock<File>>> {
    let mut folders: Vec<Option<PathBuf>> = Vec::new();
    let mut held = Vec::new();
    for file in urls.iter().filter_map(|url| sqlite_file(url)) {
        let folder = file.parent().map(Path::to_owned);
        if !folders.contains(&folder) {
            held.push(lock(&file)?);
            folders.push(folder);
        }
    }
    Ok(held)
}
