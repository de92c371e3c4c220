//! A virtual machine for one test, its disks, and the tools they take.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use guest::console::{FIRST_KERNEL_LINE, Line};
use guest::{Guest, Kernel, Options};
use tempfile::TempDir;

/// For one thing to show on the console. Generous: other tests want the processor too.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether `tools` are all installed; if not, says which one the test is skipped for.
pub(crate) fn have(tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        !std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
    });
    if let Some(tool) = missing {
        eprintln!("SKIPPED: {tool} is not installed");
    }
    missing.is_none()
}

pub(crate) const BUILD_TOOLS: &[&str] = &["apt-get", "apt-cache", "dpkg-deb", "qemu-img"];
pub(crate) const TOOLS: &[&str] =
    &["apt-get", "apt-cache", "dpkg-deb", "qemu-img", "qemu-system-x86_64", "genisoimage"];

pub(crate) fn guest(kernel: Kernel) -> Guest {
    guest::build(&Options { kernel, ..Options::default() }, &mut |_| ()).unwrap()
}

/// A machine being described; `start` switches it on.
pub(crate) struct Plan {
    folder: TempDir,
    args: Vec<String>,
    disks: usize,
}

impl Plan {
    pub(crate) fn new(machine: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let qmp = format!("unix:{},server=on,wait=off", folder.path().join("qmp").display());
        let fixed = ["-accel", "tcg", "-m", "128", "-nodefaults", "-display", "none", "-serial", "stdio"];
        let mut args: Vec<String> = fixed.map(str::to_owned).to_vec();
        args.extend(["-machine".to_owned(), machine.to_owned(), "-qmp".to_owned(), qmp]);
        Self { folder, args, disks: 0 }
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Attaches an image by `device`, such as `virtio-blk-pci` or `ide-cd`. The first one is booted from.
    pub(crate) fn disk(mut self, path: &Path, format: &str, device: &str) -> Self {
        let id = format!("disk{}", self.disks);
        let read_only = if device.contains("-cd") { "on" } else { "off" };
        let drive = format!("file={},format={format},if=none,id={id},readonly={read_only}", path.display());
        let device = format!("{device},drive={id},bootindex={}", self.disks + 1);
        self.disks += 1;
        self.args(&["-drive", &drive, "-device", &device])
    }

    /// A disk of its own over `base`, grown to `size` bytes as a flavor would.
    pub(crate) fn overlay(&self, base: &Path, format: &str, size: u64) -> PathBuf {
        let path = self.folder.path().join(format!("overlay{}", self.disks));
        let status = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", format, "-b"])
            .arg(base)
            .arg(&path)
            .arg(size.to_string())
            .status();
        assert!(status.unwrap().success());
        path
    }

    /// A disk with these contents.
    pub(crate) fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    pub(crate) fn start(self) -> Vm {
        let started = Instant::now();
        let mut child = Command::new("qemu-system-x86_64")
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut console = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while console.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Vm { child, started, lines, output: String::new(), folder: self.folder }
    }
}

/// A machine that is on; switched off when dropped.
pub(crate) struct Vm {
    child: Child,
    started: Instant,
    lines: Receiver<String>,
    /// All the console has shown so far.
    pub(crate) output: String,
    folder: TempDir,
}

impl Vm {
    /// Waits for a line of the console for which `wanted` is true. Gives the seconds since the machine was switched on.
    pub(crate) fn wait(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> f32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.output.push_str(&line);
                    if wanted(&line) {
                        return self.started.elapsed().as_secs_f32();
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {what} within {PATIENCE:?} in:\n{}", self.output),
                Err(RecvTimeoutError::Disconnected) => panic!("QEMU ended before {what}:\n{}", self.output),
            }
        }
    }

    /// Waits for the last milestone and reports how long it took.
    pub(crate) fn wait_ready(&mut self) {
        let kernel = self.wait("first kernel line", |line| line.contains(FIRST_KERNEL_LINE));
        let ready = self.wait("ready", |line| matches!(Line::parse(line), Some(Line::Milestone { name: "ready", .. })));
        eprintln!("first kernel line after {kernel:.2} s, ready after {ready:.2} s");
    }

    /// Types on the guest's console.
    pub(crate) fn send(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Gives QEMU a command, as JSON.
    pub(crate) fn qmp(&self, command: &str) {
        let mut socket = UnixStream::connect(self.folder.path().join("qmp")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answers = BufReader::new(socket.try_clone().unwrap()).lines();
        for request in [r#"{"execute": "qmp_capabilities"}"#, command] {
            writeln!(socket, "{request}").unwrap();
            let answer = answers.find_map(|line| {
                let line = line.unwrap();
                (line.contains(r#""return""#) || line.contains(r#""error""#)).then_some(line)
            });
            assert!(answer.as_ref().is_some_and(|line| line.contains(r#""return""#)), "{request}: {answer:?}");
        }
    }

    /// Waits until QEMU has ended by itself.
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.output.push_str(&line);
        }
        assert!(Instant::now() < deadline, "QEMU still runs:\n{}", self.output);
        self.child.wait().unwrap()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // Both fail only if it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
