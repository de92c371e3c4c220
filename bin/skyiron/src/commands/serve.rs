//! `skyiron serve ROLE…`: chosen roles in this process.

use super::up::{runtime, until_told_to_stop};
use crate::cloud::{Cloud, Role, Roles};
use crate::config;
use crate::data::DataDir;
use anyhow::Result;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The roles to start.
    #[arg(required = true, value_enum)]
    roles: Vec<Role>,
    #[arg(long)]
    config: PathBuf,
    /// Keys, images and guests of this host.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    data: PathBuf,
    /// Address and port of the listener, in place of the file's.
    #[arg(long)]
    listen: Option<String>,
}

pub(crate) fn run(o: Options) -> Result<()> {
    let mut config = config::load(&o.config)?;
    if let Some(listen) = o.listen {
        config.cloud.listen = listen;
    }
    platform_telemetry::start_logging(config.log.format, &config.log.filter)?;
    let roles = Roles::chosen(&o.roles, &config)?;
    runtime()?.block_on(async {
        let cloud = Cloud::start(DataDir::open(&o.data)?, config, roles).await?;
        cloud.ready().await;
        println!("{}", cloud.url);
        until_told_to_stop().await?;
        cloud.stop().await;
        Ok(())
    })
}
