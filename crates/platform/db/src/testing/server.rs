//! A PostgreSQL server of a test's own: one that it may stop, start again, and freeze.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Listens on loopback, trusts everybody, ends with its test.
pub struct Server {
    dir: TempDir,
    bin: PathBuf,
    pub port: u16,
}

impl Server {
    /// `None`, said on standard error, where PostgreSQL is not installed. `settings`: further `-c NAME=VALUE`.
    pub fn start(settings: &[&str]) -> Option<Self> {
        Self::with_files(&[], settings)
    }

    /// With a certificate and its key, in PEM.
    pub fn with_tls(certificate: &str, key: &str) -> Option<Self> {
        Self::with_files(&[("server.crt", certificate), ("server.key", key)], &["ssl=on"])
    }

    fn with_files(files: &[(&str, &str)], settings: &[&str]) -> Option<Self> {
        let Some(bin) = newest_bin() else {
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let server = Self::empty(bin);
        let data = server.data();
        server.run("initdb", &["-D", &data, "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8", "--no-sync"]);
        for (name, text) in files {
            let path = Path::new(&data).join(name);
            fs::write(&path, text).expect("a file of the server");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a private file");
            server.give(&path);
        }
        server.configure(settings);
        server.start_again();
        Some(server)
    }

    fn empty(bin: PathBuf) -> Self {
        let dir = tempfile::Builder::new().prefix("skyiron-pg-").tempdir().expect("a temporary folder");
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let server = Self { dir, bin, port };
        server.give(server.dir.path());
        server
    }

    /// What stands last in the file counts.
    fn configure(&self, settings: &[&str]) {
        let mut lines = format!("port = {}\nlisten_addresses = '127.0.0.1'\nfsync = off\n", self.port);
        lines.push_str(&format!("unix_socket_directories = '{}'\n", self.dir.path().display()));
        settings.iter().for_each(|s| lines.push_str(&format!("{s}\n")));
        let path = Path::new(&self.data()).join("postgresql.conf");
        let text = fs::read_to_string(&path).expect("postgresql.conf") + &lines;
        fs::write(&path, text).expect("postgresql.conf");
    }

    /// A replica that follows it as far behind as it happens to be, and is read from only.
    pub fn replica(&self) -> Self {
        let replica = Self::empty(self.bin.clone());
        let from = format!("host=127.0.0.1 port={} user=postgres", self.port);
        replica.run("pg_basebackup", &["-d", &from, "-D", &replica.data(), "-R", "-c", "fast", "--no-sync"]);
        replica.configure(&[]);
        replica.start_again();
        replica
    }

    /// A replica follows no more: what its primary stores from now on is lost with it. The replica has what was stored
    /// before.
    pub fn cut_off(&self, primary: &Self) {
        let stored = primary.sql("SELECT pg_current_wal_flush_lsn()");
        let has = format!("SELECT pg_last_wal_replay_lsn() >= '{stored}'");
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.sql(&has) != "t" {
            assert!(Instant::now() < deadline, "the replica does not follow");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.sql("ALTER SYSTEM SET primary_conninfo = ''");
        self.sql("SELECT pg_reload_conf()");
        while self.sql("SELECT COUNT(*) FROM pg_stat_wal_receiver") != "0" {
            assert!(Instant::now() < deadline, "the replica still follows");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A replica becomes the primary, with what it has.
    pub fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "promote"]);
    }

    /// What a statement answers, in the database `postgres`.
    pub fn sql(&self, statement: &str) -> String {
        let url = self.url("postgres");
        let done = Command::new(self.bin.join("psql")).args(["-qAtX", &url, "-c", statement]).output().expect("psql");
        assert!(done.status.success(), "{statement}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    pub fn start_again(&self) {
        let log = self.dir.path().join("log").display().to_string();
        self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "start"]);
    }

    /// As a crash: sessions are cut off, nothing is put in order.
    pub fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    /// SIGSTOP to all its processes, or SIGCONT: it is there, and says nothing.
    pub fn freeze(&self, frozen: bool) {
        let text = fs::read_to_string(Path::new(&self.data()).join("postmaster.pid")).expect("it runs");
        let postmaster = text.lines().next().expect("its pid").to_owned();
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let send = |pid: &str| Command::new("kill").args([signal, pid]).status().expect("kill").success();
        assert!(send(&postmaster), "kill {signal} {postmaster}");
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            if status.lines().any(|l| l.strip_prefix("PPid:").is_some_and(|p| p.trim() == postmaster)) {
                // a session may end meanwhile
                let _there = send(&entry.file_name().to_string_lossy());
            }
        }
    }

    /// PostgreSQL refuses to run as root.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut c = Command::new("runuser");
            c.args(["-u", "postgres", "--"]).arg(&program);
            c
        } else {
            Command::new(&program)
        };
        // pg_ctl's server would hold a pipe open for ever
        let log = fs::File::create(self.dir.path().join("commands")).expect("a file");
        let done = command.args(arguments).stdout(log.try_clone().expect("a file")).stderr(log).status();
        let said = fs::read_to_string(self.dir.path().join("commands")).unwrap_or_default();
        assert!(done.expect("PostgreSQL's programs run").success(), "{}: {said}", program.display());
    }

    fn give(&self, path: &Path) {
        if is_root() {
            let id = |flag| {
                let out = Command::new("id").args([flag, "postgres"]).output().expect("id").stdout;
                String::from_utf8_lossy(&out).trim().parse::<u32>().expect("the user postgres")
            };
            chown(path, Some(id("-u")), Some(id("-g"))).expect("root may give files away");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if Path::new(&self.data()).join("postmaster.pid").exists() {
            self.freeze(false);
            self.stop();
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn newest_bin() -> Option<PathBuf> {
    let version = |p: &PathBuf| p.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let all = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|e| e.path().join("bin"));
    all.filter(|p| p.join("initdb").exists()).max_by_key(version)
}
