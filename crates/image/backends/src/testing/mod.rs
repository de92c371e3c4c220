//! Real servers, started for a test and ended with it.

mod swift;

pub use swift::{Swift, Tokens};

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TOOLS: &str = "SKYIRON_TEST_STORES";
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its own address").port()
}

impl Server {
    /// Returns when it listens.
    pub fn start(command: &mut Command, port: u16) -> Self {
        let log = std::env::temp_dir().join(format!("skyiron-test-server-{port}.log"));
        let out = std::fs::File::create(&log).expect("a log");
        let err = out.try_clone().expect("the log again");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("a program that is there");
        let mut server = Self { child, port };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().expect("a child");
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "{command:?} does not listen: {ended:?} {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        // what it writes from now on goes to a file without a name
        std::fs::remove_file(&log).expect("the log is there");
        server
    }
}

/// The folder of programs of `./test`'s Python environment with moto, Swift and fusepy. `None`, and a line that says so: not there.
pub fn tools() -> Option<PathBuf> {
    match std::env::var_os(TOOLS) {
        Some(path) => Some(Path::new(&path).join("bin")),
        None => {
            eprintln!("skipped: {TOOLS} does not name an environment with moto, swift and fusepy");
            None
        }
    }
}
