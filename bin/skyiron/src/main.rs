//! `skyiron`: a whole cloud in one binary, or the roles of a large one. Reads configuration, starts the chosen roles,
//! and holds the operator's commands. No service's logic lives here.

mod client;
mod cloud;
mod commands;
mod config;
mod data;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "skyiron", version, about = "A private cloud for virtual machines that speaks OpenStack's APIs")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a whole cloud in this process and serves until SIGTERM or Ctrl-C. Guests outlive it.
    Up(commands::up::Options),
    /// Starts chosen roles only.
    Serve(commands::serve::Options),
    /// Like `up`; then imports the tiny guest image, boots a server and follows its console.
    Demo(commands::demo::Options),
    /// Prints what a shell needs to reach the cloud: eval "$(skyiron openrc)".
    Openrc(commands::openrc::Options),
    /// Says whether the cloud answers, and what is in it.
    Status(commands::status::Options),
    /// Looks whether everything that must hold in the cloud holds, and mends what can be mended.
    Doctor(commands::doctor::Options),
    /// Writes the running cloud, as of one moment, into one file.
    Backup(commands::backup::Options),
    /// Makes a cloud of a backup.
    Restore(commands::restore::Options),
    /// The tiny guest image.
    #[command(subcommand)]
    Guest(commands::guest::Command),
    /// The catalog of another Keystone.
    #[command(subcommand)]
    Catalog(commands::catalog::Command),
    /// Disk images: what they are, and making others of them.
    #[command(subcommand)]
    Image(commands::image::Command),
    /// Metadata definitions: what properties of images and flavors mean.
    #[command(subcommand)]
    Metadefs(commands::metadefs::Command),
    /// Who may do what: the services' rules.
    #[command(subcommand)]
    Policy(commands::policy::Command),
    /// The configuration file.
    #[command(subcommand)]
    Config(commands::config::Command),
    /// The database: its schema, and a copy of it elsewhere.
    #[command(subcommand)]
    Db(commands::db::Command),
    /// Keys of tokens and of stored secrets.
    #[command(subcommand)]
    Keys(commands::keys::Command),
    /// Moving to another version.
    #[command(subcommand)]
    Upgrade(commands::upgrade::Command),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Up(o) => commands::up::run(o),
        Command::Serve(o) => commands::serve::run(o),
        Command::Demo(o) => commands::demo::run(o),
        Command::Openrc(o) => commands::openrc::run(&o),
        Command::Status(o) => commands::status::run(&o),
        Command::Doctor(o) => return commands::doctor::run(&o),
        Command::Backup(o) => commands::backup::run(&o),
        Command::Restore(o) => commands::restore::run(&o),
        Command::Guest(c) => commands::guest::run(c),
        Command::Catalog(c) => commands::catalog::run(&c),
        Command::Image(c) => return commands::image::run(&c),
        Command::Metadefs(c) => commands::metadefs::run(&c),
        Command::Policy(c) => return commands::policy::run(&c),
        Command::Config(c) => commands::config::run(&c),
        Command::Db(c) => commands::db::run(c),
        Command::Keys(c) => commands::keys::run(&c),
        Command::Upgrade(c) => commands::upgrade::run(&c),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("skyiron: {e:#}");
            ExitCode::FAILURE
        }
    }
}
