//! `skyiron doctor`: whether what must hold holds, beside a running cloud or without one.

use super::up::runtime;
use crate::cloud::{clock_of, stores_from_outside};
use crate::config::{self, Config};
use crate::data::DataDir;
use anyhow::{Context, Result, bail};
use doctor::{Doctor, Outcome, Report, Settings};
use image_model::Stores;
use platform_db::Db;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The cloud's data folder.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    data: PathBuf,
    /// The cloud's configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Mend what can be mended safely. Each repair looks again first, and leaves a line of history.
    #[arg(long)]
    repair: bool,
    /// Read the data of all images and hash it.
    #[arg(long)]
    deep: bool,
    /// For programs.
    #[arg(long)]
    json: bool,
    /// Only this check; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// 0: everything holds. 1: something does not. 2: it could not be looked at.
pub(crate) fn run(o: &Options) -> ExitCode {
    match runtime().and_then(|r| r.block_on(examine(o))) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(e) => {
            eprintln!("skyiron doctor: {e:#}");
            ExitCode::from(2)
        }
    }
}

/// A cloud's database and image store, opened beside whoever else has them open.
pub(crate) struct Opened {
    pub db: Db,
    pub images: Option<Stores>,
    pub data: DataDir,
    /// Where the keys of its tokens are. `None`: another Keystone has them.
    pub keys: Option<PathBuf>,
}

pub(crate) async fn open(data: &Path, config: Option<&PathBuf>) -> Result<Opened> {
    let config = config.map_or_else(|| Ok(Config::default()), |path| config::load(path))?;
    if !data.is_dir() {
        bail!("there is no data folder {}", data.display());
    }
    let data = DataDir::open(data)?;
    let db = open_schema(&config, &data).await?;
    let images = stores_from_outside(&config.image, &data)?;
    let identity = &config.identity;
    let keys = identity.url.is_empty().then(|| data.folder(&identity.keys_dir, "keys"));
    Ok(Opened { db, images, data, keys })
}

/// Its database only.
pub(crate) async fn open_database(data: &Path, config: Option<&Path>) -> Result<Db> {
    let config = config.map_or_else(|| Ok(Config::default()), config::load)?;
    open_schema(&config, &DataDir { path: data.to_owned() }).await
}

async fn open_schema(config: &Config, data: &DataDir) -> Result<Db> {
    let settings = config.database.settings(&data.path);
    // opening would make an empty one
    if let Some(path) = settings.url.strip_prefix("sqlite:")
        && !std::path::Path::new(path).exists()
    {
        bail!("there is no database {path}");
    }
    let db = Db::open_with(&settings).await.context("the database cannot be opened")?;
    let schema = db.schema().await.context("the database's schema cannot be read")?;
    if let Some(why) = schema.unusable {
        bail!("the database belongs to another version of skyiron: {why}");
    }
    if let Some(first) = schema.pending.first() {
        bail!("the database is of an older skyiron: {} is still to be applied (skyiron db migrate)", first.name);
    }
    Ok(db)
}

async fn examine(o: &Options) -> Result<usize> {
    let checks = Doctor::checks(&o.only)?;
    let opened = open(&o.data, o.config.as_ref()).await?;
    if opened.images.is_none() {
        eprintln!("no image data here: it is not looked at");
    }
    let settings = Settings { repair: o.repair, deep: o.deep, ..Settings::default() };
    let doctor = Doctor::new(opened.db.clone(), opened.images, clock_of(&opened.db).await?, settings);
    let mut reports = Vec::new();
    for check in checks {
        let report = doctor.examine(&*check).await.with_context(|| check.name())?;
        if !o.json {
            tell(&report);
        }
        reports.push(report);
    }
    opened.db.close().await;
    if o.json {
        println!("{:#}", Value::Array(reports.iter().map(as_json).collect()));
    }
    Ok(reports.iter().map(Report::left).sum())
}

/// One line if all is well; else what must hold, each proof, and what can be done.
pub(crate) fn tell(report: &Report) {
    if report.findings.is_empty() {
        println!("ok      {}", report.check);
        return;
    }
    println!("BROKEN  {}: {}", report.check, report.holds);
    for (_, proof, outcome) in &report.findings {
        println!("        {proof}");
        match outcome {
            Outcome::Mended => println!("          mended"),
            Outcome::Changed => println!("          it has changed meanwhile: not touched"),
            Outcome::Mendable(what) => println!("          --repair: {what}"),
            Outcome::ForAPerson(what) => println!("          to do: {what}"),
        }
    }
    if report.findings.len() >= doctor::MOST {
        println!("        … and perhaps more");
    }
}

fn as_json(report: &Report) -> Value {
    let outcome = |o: &Outcome| match o {
        Outcome::Mended => json!({"outcome": "mended"}),
        Outcome::Changed => json!({"outcome": "changed"}),
        Outcome::Mendable(what) => json!({"outcome": "mendable", "how": what}),
        Outcome::ForAPerson(what) => json!({"outcome": "for_a_person", "how": what}),
    };
    let finding = |(subject, proof, o): &(String, String, Outcome)| {
        let mut finding = outcome(o);
        finding["subject"] = json!(subject);
        finding["proof"] = json!(proof);
        finding
    };
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    json!({"check": report.check, "holds": report.holds, "findings": findings})
}
