//! A private PostgreSQL on one host.

use super::documented::{Documented, PASSWORD};
use super::net::Host;
use anyhow::{Context, Result, bail};
use std::os::unix::fs::PermissionsExt;
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
    /// Without TLS and passwords; or as the documentation has it.
    pub(super) fn start(host: &Host, folder: &Path, documented: Option<&Documented>) -> Result<Self> {
        let folder = folder.join("postgres");
        std::fs::create_dir(&folder)?;
        let programs = newest()?;
        let user =
            nix::unistd::User::from_name("postgres")?.context("no user postgres (apt-get install postgresql)")?;
        nix::unistd::chown(&folder, Some(user.uid), Some(user.gid))?;
        let mut me = Self {
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
        let mut who = "host all all 10.0.0.0/8 trust".to_owned();
        if let Some(documented) = documented {
            me.options.push_str(" -c ssl=on");
            for (from, to) in [(&documented.certificate, "server.crt"), (&documented.key, "server.key")] {
                let to = me.folder.join("data").join(to);
                std::fs::copy(from, &to)?;
                std::fs::set_permissions(&to, PermissionsExt::from_mode(0o600))?;
                nix::unistd::chown(&to, Some(user.uid), Some(user.gid))?;
            }
            who = "hostssl skyiron skyiron 10.0.0.0/8 scram-sha-256".to_owned();
        }
        let access = me.folder.join("data/pg_hba.conf");
        std::fs::write(&access, format!("{}\n{who}\n", std::fs::read_to_string(&access)?))?;
        me.start_again()?;
        let socket = me.folder.display().to_string();
        let at = ["-h", &socket, "-p", &PORT.to_string(), "-U", "postgres"];
        if documented.is_some() {
            me.run("createuser", &[&at[..], &["skyiron"]].concat())?;
            me.ask(&format!("ALTER USER skyiron PASSWORD '{PASSWORD}'"))?;
            let documented = ["-O", "skyiron", "-T", "template0", "--lc-collate=C", "skyiron"];
            me.run("createdb", &[&at[..], &documented].concat())?;
        } else {
            me.run("createdb", &[&at[..], &["-T", "template0", "skyiron"]].concat())?;
        }
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

    /// What a statement answers, asked by the server's own admin on the server's own host.
    pub fn ask(&self, statement: &str) -> Result<String> {
        let out = Command::new("ip")
            .args(["netns", "exec", &self.space])
            .arg(self.programs.join("psql"))
            .args(["-qAtX", "-h", &self.folder.display().to_string(), "-p", &PORT.to_string(), "-U", "postgres", "-c"])
            .arg(statement)
            .current_dir("/")
            .output()
            .context("psql")?;
        if !out.status.success() {
            bail!("{statement}: {}", String::from_utf8_lossy(&out.stderr));
        }
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    }

    /// As after a crash of the server.
    pub fn crash(&self) -> Result<()> {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"])
    }

    /// After everything of it was killed: its first process may still be waited for by its parent, and PostgreSQL would take that
    /// for another server at work. After a power cut there is no such process.
    pub(super) fn is_dead(&self) -> Result<()> {
        for lock in ["data/postmaster.pid".to_owned(), format!(".s.PGSQL.{PORT}.lock")] {
            let lock = self.folder.join(lock);
            if lock.exists() {
                std::fs::remove_file(&lock).with_context(|| lock.display().to_string())?;
            }
        }
        Ok(())
    }

    pub fn start_again(&self) -> Result<()> {
        let log = self.folder.join("server.log").display().to_string();
        let started = self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-o", &self.options, "start"]);
        started.with_context(|| std::fs::read_to_string(log).unwrap_or_default())
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
