//! Processes: the lock that says there is one, finding it, waiting for it, ending it.

use base::InstanceId;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// Takes the lock a guest's process holds all its life. `None`: there is a process.
pub(crate) fn lock_exclusive(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Is there a process?
pub(crate) fn lock_held(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
        // shared, so that two who ask do not see each other
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(e),
        },
    }
}

/// The process of a guest: the one noted, if that is still it, else whichever is found. A number in a file proves nothing,
/// it may have been given to another program since.
pub(crate) fn find(id: InstanceId, noted: &Path, lock: &Path) -> Option<i32> {
    let wanted = lock.metadata().ok().map(|m| (m.dev(), m.ino()))?;
    let noted = fs::read_to_string(noted).ok().and_then(|t| t.trim().parse::<i32>().ok());
    if let Some(pid) = noted.filter(|pid| is_guest(*pid, id, wanted)) {
        return Some(pid);
    }
    fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .find(|pid| is_guest(*pid, id, wanted))
}

/// Its command line names the guest, and it has the guest's lock open.
fn is_guest(pid: i32, id: InstanceId, lock: (u64, u64)) -> bool {
    let Ok(command_line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let id = id.to_string();
    let args: Vec<&[u8]> = command_line.split(|b| *b == 0).collect();
    if !args.windows(2).any(|w| w[0] == b"-uuid" && w[1] == id.as_bytes()) {
        return false;
    }
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|fd| fs::metadata(fd.path()).is_ok_and(|m| (m.dev(), m.ino()) == lock))
}

/// One process, whatever happens to its number.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    fd: AsyncFd<OwnedFd>,
}

impl Process {
    /// `None`: it is gone already.
    pub(crate) fn open(pid: i32) -> io::Result<Option<Self>> {
        let raw = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(fd) => {
                #[expect(deprecated, reason = "unsound only for types whose number changes; its heir is an unsafe fn")]
                let fd = AsyncFd::with_interest(fd, tokio::io::Interest::READABLE)?;
                Ok(Some(Self { pid, fd }))
            }
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Returns when the process has ended (though its parent may not have looked yet).
    pub(crate) async fn ended(&self) {
        // readiness of a pidfd never goes away again; an error here can only mean that the runtime is shutting down
        if self.fd.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Pulls the plug. Fine if it is gone.
    pub(crate) fn kill(&self) -> io::Result<()> {
        match pidfd_send_signal(self.fd.get_ref(), Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_lock_is_held_by_one_and_seen_by_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!lock_held(&path).unwrap());
        let held = lock_exclusive(&path).unwrap();
        assert!(held.is_some());
        assert!(lock_held(&path).unwrap());
        assert!(lock_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(!lock_held(&path).unwrap());
    }

    #[tokio::test]
    async fn a_noted_number_of_another_program_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (noted, lock) = (dir.path().join("pid"), dir.path().join("lock"));
        let id = InstanceId::random();
        let _held = lock_exclusive(&lock).unwrap();
        // names the guest in its arguments as a QEMU would, but does not have the lock
        let mut other = Command::new("sh")
            .args(["-c", "read x", "-uuid", &id.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = i32::try_from(other.id()).unwrap();
        fs::write(&noted, pid.to_string()).unwrap();
        assert_eq!(find(id, &noted, &lock), None);
        let process = Process::open(pid).unwrap().unwrap();
        process.kill().unwrap();
        process.ended().await;
        other.wait().unwrap();
        process.kill().unwrap();
        assert!(Process::open(pid).unwrap().is_none());
    }
}
