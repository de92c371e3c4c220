//! A private PostgreSQL on one host.

use super::net::Host;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Postgres {
    /// What `database.url` is.
    pub url: String,
    space: String,
    programs: PathBuf,
    folder: PathBuf,
    options: String,
}

const PORT: u16 = 5432;

impl Postgres {
    pub(super) fn start(host: &Host, folder: &Path) -> Result<Self> {
        let folder = folder.join("postgres");
        std::fs::create_dir(&folder)?;
        let programs = newest()?;
        let user =
            nix::unistd::User::from_name("postgres")?.context("no user postgres (apt-get install postgresql)")?;
        nix::unistd::chown(&folder, Some(user.uid), Some(user.gid))?;
        let me = Self {
            url: format!("postgresql://postgres@{}:{PORT}/skyiron?sslmode=disable", host.address),
            space: host.space.clone(),
            programs,
            options: format!(
                // fsync off: nobody cuts the power of a namespace
                "-p {PORT} -k {} -c listen_addresses={} -c fsync=off -c max_connections=400",
                folder.display(),
                host.address
            ),
            folder,
        };
        let data = me.data();
        me.run("initdb", &["-D", &data, "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8"])?;
        let access = std::fs::read_to_string(me.folder.join("data/pg_hba.conf"))?;
        std::fs::write(me.folder.join("data/pg_hba.conf"), format!("{access}\nhost all all 10.0.0.0/8 trust\n"))?;
        me.start_again()?;
        let socket = me.folder.display().to_string();
        me.run("createdb", &["-h", &socket, "-p", &PORT.to_string(), "-U", "postgres", "-T", "template0", "skyiron"])?;
        Ok(me)
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        // output to a file: a daemon that inherits a pipe would keep it open
        let log = self.folder.join("commands.log");
        let file = std::fs::File::options().create(true).append(true).open(&log)?;
        let done = Command::new("ip")
            .args(["netns", "exec", &self.space, "runuser", "-u", "postgres", "--"])
            .arg(self.programs.join(program))
            .args(arguments)
            .current_dir("/")
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .with_context(|| program.to_owned())?;
        if !done.success() {
            bail!("{program}: {}", std::fs::read_to_string(log).unwrap_or_default());
        }
        Ok(())
    }

    /// As after a crash of the server.
    pub fn crash(&self) -> Result<()> {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"])
    }

    pub fn start_again(&self) -> Result<()> {
        let log = self.folder.join("server.log").display().to_string();
        self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-o", &self.options, "start"])
    }

    pub(super) fn stop(&self) {
        if let Err(error) = self.crash() {
            eprintln!("PostgreSQL of the cluster: {error:#}");
        }
    }
}

fn newest() -> Result<PathBuf> {
    let all = std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL (apt-get install postgresql)")?;
    let mut versions: Vec<(u32, PathBuf)> =
        all.flatten().filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path().join("bin")))).collect();
    versions.sort();
    versions.pop().map(|(_, path)| path).context("a version of PostgreSQL")
}
