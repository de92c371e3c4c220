//! Real servers, started for a test and ended with it.

use image_backends::{ClientSettings, Clients};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TOOLS: &str = "SKYIRON_TEST_STORES";
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Clients that give up soon.
pub(crate) fn clients() -> Clients {
    Clients::open(&ClientSettings { timeout: Duration::from_secs(10), ca_file: None }).unwrap()
}

/// A port that nobody has.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Returns when it listens.
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let log = std::env::temp_dir().join(format!("skyiron-test-server-{port}.log"));
        let out = std::fs::File::create(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        let mut server = Self { child, port };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "{command:?} does not listen: {ended:?} {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        // what it writes from now on goes to a file without a name
        std::fs::remove_file(&log).unwrap();
        server
    }
}

/// The folder of programs of `./test`'s Python environment with moto and Swift. `None`, and a line that says so: not there.
pub(crate) fn tools() -> Option<PathBuf> {
    match std::env::var_os(TOOLS) {
        Some(path) => Some(Path::new(&path).join("bin")),
        None => {
            eprintln!("skipped: {TOOLS} does not name an environment with moto and swift");
            None
        }
    }
}

/// `false`, and a line that says so: the test is left out.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: mounting takes root");
    }
    root
}

const NGINX: &str = "daemon off; pid DIR/pid; error_log stderr; worker_processes 1;
events { worker_connections 64; }
http {
  access_log off; client_max_body_size 0;
  client_body_temp_path DIR/tmp; proxy_temp_path DIR/tmp; fastcgi_temp_path DIR/tmp; uwsgi_temp_path DIR/tmp;
  scgi_temp_path DIR/tmp;
  SITES
}";

/// nginx on a folder of its own, with these servers of which one listens on `port`; `DIR` in them is the folder. `None`, and a
/// line that says so: it is not there.
pub(crate) fn nginx(folder: &Path, sites: &str, port: u16) -> Option<Server> {
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|p| Path::new(p).exists());
    let Some(program) = program else {
        eprintln!("skipped: nginx is not installed");
        return None;
    };
    // its workers are another user's
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder, open).unwrap();
    std::fs::create_dir(folder.join("tmp")).unwrap();
    let conf = NGINX.replace("SITES", sites).replace("DIR", &folder.display().to_string());
    std::fs::write(folder.join("conf"), conf).unwrap();
    Some(Server::start(Command::new(program).arg("-p").arg(folder).arg("-c").arg(folder.join("conf")), port))
}
