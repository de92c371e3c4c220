//! `skyiron keys`: new keys for tokens and for stored secrets, beside a running cloud.

use super::doctor;
use super::up::runtime;
use crate::config::{self, Config};
use crate::data::DataDir;
use anyhow::{Context, Result, bail};
use identity::Resealed;
use identity::token::{Rotated, Rotation};
use std::path::PathBuf;
use std::time::Duration;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Makes the staged token key the primary one, stages a new one, and drops those whose tokens are all over. Running
    /// processes take it up within a second.
    Rotate(Place),
    /// The same for the keys that stored secrets are encrypted with; encrypts the secrets anew.
    RotateCredentials(Place),
    /// Encrypts stored secrets anew with the primary key.
    MigrateCredentials(Place),
    /// Prints a new key, for a file of keys of one's own (`identity.credential_key_file`).
    Generate,
}

/// Whose keys.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// The data folder of the process that runs the role identity.
    #[arg(long, env = "SKYIRON_DATA", default_value_os_t = DataDir::default_path())]
    data: PathBuf,
    /// Its configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Place {
    /// The configuration, and the folder of the keys, which must be there.
    fn keys(&self) -> Result<(Config, PathBuf)> {
        let config = self.config.as_deref().map_or_else(|| Ok(Config::default()), config::load)?;
        if !config.identity.url.is_empty() {
            bail!("identity.url names another Keystone: its keys are rotated there");
        }
        let dir = DataDir { path: self.data.clone() }.folder(&config.identity.keys_dir, "keys");
        if !dir.is_dir() {
            bail!("there are no keys in {}", dir.display());
        }
        Ok((config, dir))
    }
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Rotate(place) => {
            let (config, dir) = place.keys()?;
            let ttl = Duration::from_secs(config.identity.token_ttl_secs);
            tell(&identity::token::rotate(&dir, ttl).context("the token keys are as they were")?);
        }
        Command::RotateCredentials(place) => {
            let (config, dir) = place.keys()?;
            if config.identity.credential_key_file()?.is_some() {
                bail!(
                    "the keys of stored secrets are in identity.credential_key_file: write a new one (skyiron keys \
                     generate) into its first line, restart the identities, then skyiron keys migrate-credentials"
                );
            }
            let (rotated, done) = runtime()?.block_on(async {
                let db = doctor::open_database(&place.data, place.config.as_deref()).await?;
                let done = identity::rotate_credentials(&db, &dir, Rotation::SETTLE).await;
                db.close().await;
                anyhow::Ok(done?)
            })?;
            tell(&rotated);
            tell_resealed(&done)?;
        }
        Command::MigrateCredentials(place) => {
            let (config, dir) = place.keys()?;
            let keys = identity::credential_keys(&dir, config.identity.credential_key_file()?.as_deref())?;
            let done = runtime()?.block_on(async {
                let db = doctor::open_database(&place.data, place.config.as_deref()).await?;
                let done = identity::migrate_credentials(&db, &keys).await;
                db.close().await;
                anyhow::Ok(done?)
            })?;
            tell_resealed(&done)?;
        }
        Command::Generate => println!("{}", identity::token::new_key().expose()),
    }
    Ok(())
}

fn tell(rotated: &Rotated) {
    let Rotated { primary, dropped, kept } = rotated;
    println!("the primary key is {primary} now; {kept} keys are kept");
    if !dropped.is_empty() {
        println!("dropped {}", dropped.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
}

fn tell_resealed(done: &Resealed) -> Result<()> {
    let Resealed { moved, right, lost } = done;
    println!("secrets: {moved} encrypted anew, {right} were right");
    for (table, id) in lost {
        println!("no key opens {id} in {table}");
    }
    if !lost.is_empty() {
        bail!("{} secrets are opened by no key; all keys are kept", lost.len());
    }
    Ok(())
}
