//! `skyiron catalog register`: tells somebody else's Keystone where this cloud's services are.

use super::up::runtime;
use crate::cloud::Urls;
use crate::config;
use anyhow::{Context, Result, bail};
use base::Secret;
use identity::keystone::{Registered, Registration, Session};
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Makes the catalog of the Keystone at identity.url say where this cloud's services are. Logs in as the
    /// administrator that OS_USERNAME and OS_PASSWORD name (with OS_PROJECT_NAME, OS_USER_DOMAIN_NAME and
    /// OS_PROJECT_DOMAIN_NAME if they are set). Run again, it changes only what is no longer right.
    Register {
        /// The configuration of the processes that clients reach: identity.url, and [endpoints] or cloud.public_url.
        #[arg(long)]
        config: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Register { config } = command;
    let config = config::load(config)?;
    let Some(mut keystone) = config.identity.keystone() else {
        bail!("identity.url is not set: this cloud's own Keystone knows its services already");
    };
    if config.cloud.public_url.is_empty() && config.endpoints.compute.is_empty() {
        bail!("the catalog must say where clients reach this cloud: set cloud.public_url, or [endpoints] one by one");
    }
    keystone.username = std::env::var("OS_USERNAME").context("OS_USERNAME")?;
    keystone.password = Secret::new(std::env::var("OS_PASSWORD").context("OS_PASSWORD")?);
    let or = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    keystone.project = or("OS_PROJECT_NAME", "admin");
    keystone.user_domain = or("OS_USER_DOMAIN_NAME", "Default");
    keystone.project_domain = or("OS_PROJECT_DOMAIN_NAME", "Default");
    let urls = Urls::of(&config, &format!("http://{}", config.cloud.listen));
    let session = Session::new(&keystone)?;
    let services = urls.services();
    let registration = Registration { session: &session, region: &config.cloud.region, services: &services };
    let Registered { services_made, endpoints_made, endpoints_changed, endpoints_right } =
        runtime()?.block_on(registration.run())?;
    println!(
        "{}: {services_made} services made; endpoints: {endpoints_made} made, {endpoints_changed} changed, \
         {endpoints_right} were right",
        keystone.url
    );
    Ok(())
}
