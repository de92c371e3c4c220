//! `skyiron up`: the whole cloud in this process.

use crate::cloud::{Cloud, Roles};
use crate::config::{self, Config};
use crate::data::DataDir;
use anyhow::{Context, Result};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Everything the cloud keeps; made at the first start.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    pub data: PathBuf,
    /// Address and port of the listener [default: 127.0.0.1:8700].
    #[arg(long)]
    pub listen: Option<String>,
    /// Simulated hosts instead of a real one.
    #[arg(long, value_name = "N")]
    pub fake_hosts: Option<u32>,
    /// Configuration file; `skyiron config reference` lists its keys.
    #[arg(long)]
    pub config: Option<PathBuf>,
}

impl Options {
    /// The file's configuration with what the command line says on top.
    pub(crate) fn configuration(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(path) => config::load(path)?,
            None => Config::default(),
        };
        if let Some(listen) = &self.listen {
            config.cloud.listen = listen.clone();
        }
        if let Some(n) = self.fake_hosts {
            config.compute.fake_hosts = n;
        }
        Ok(config)
    }
}

pub(crate) fn run(o: Options) -> Result<()> {
    let config = o.configuration()?;
    platform_telemetry::start_logging(config.log.format, &config.log.filter)?;
    let another = config.identity.url.clone();
    runtime()?.block_on(async {
        let cloud = Cloud::start(DataDir::open(&o.data)?, config, Roles::all()).await?;
        cloud.ready().await;
        // programs read the URL from standard output; it comes when the cloud is ready
        println!("{}", cloud.url);
        match another.as_str() {
            "" => eprintln!("skyiron serves; credentials: {}", cloud.data.clouds_yaml().display()),
            url => eprintln!("skyiron serves the users of {url}"),
        }
        until_told_to_stop().await?;
        cloud.stop().await;
        Ok(())
    })
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the async runtime")
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn until_told_to_stop() -> Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping; guests keep running");
    Ok(())
}
