//! Starting a process: everything opened here, nothing by QEMU.

use crate::args::{Access, CommandLine, FileUse, Handover, handover_args, qemu_args};
use crate::driver::Inner;
use crate::guest::{Guest, Op};
use crate::host::{Accelerator, User};
use crate::layout::{Definition, GuestFiles, ShortDir, io_error, remove};
use crate::process::{self, Process};
use crate::running::Running;
use base::InstanceId;
use command_fds::CommandFdExt;
use compute_model::driver::DriverError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// How much of QEMU's last words goes into an error.
const LOG_TAIL_BYTES: u64 = 2000;

impl Inner {
    /// Starts the guest's process; returns when its monitor answers. `saved`: memory to go on from, the guest then waits
    /// for `cont`. The caller has found no process, and puts the result into the guest's slot.
    pub(crate) async fn launch(
        &self,
        guest: &Guest,
        op: &Op,
        definition: &mut Definition,
        saved: Option<File>,
    ) -> Result<Arc<Running>, DriverError> {
        let host = self.host().await?;
        let fixed = definition.machine.as_deref().filter(|_| saved.is_some());
        let line = qemu_args(&definition.guest, host, &guest.files.console(), fixed)?;
        if definition.machine.as_deref() != Some(&line.machine) {
            definition.machine = Some(line.machine.clone());
            guest.files.store(definition)?;
        }
        let mut plan = Plan {
            binary: self.binary()?,
            user: self.user.clone(),
            kvm: host.accel == Accelerator::Kvm,
            files: guest.files.clone(),
            line,
            saved,
        };
        let (id, held) = (guest.id, op.clone());
        // once begun this runs to its end, whatever becomes of us: so no process is left unnoted or unreaped
        let start = move || {
            let child = plan.start()?;
            let process = note_and_reap(id, &plan.files, child);
            drop(held);
            process
        };
        let process = tokio::task::spawn_blocking(start)
            .await
            .map_err(|e| starting_failed(&guest.files, format!("the thread that starts it: {e}")))??;
        let running = self.running(guest, process);
        let expecting = running.expecting_end();
        self.wait_until_it_answers(guest, &running).await?;
        drop(expecting);
        tracing::info!(instance = %guest.id, pid = running.process.pid, "guest {}: started", guest.id);
        Ok(Arc::new(running))
    }

    async fn wait_until_it_answers(&self, guest: &Guest, running: &Running) -> Result<(), DriverError> {
        let limit = self.config.start_limit;
        let answers = async {
            loop {
                match running.monitor().await {
                    Ok(_) => return,
                    // under load the first greeting may take longer than any later answer
                    Err(e) => tracing::debug!(instance = %guest.id, "guest {}: not answering yet: {e}", guest.id),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            biased;
            () = running.process.ended() => Err(starting_failed(&guest.files, "it ended at once".to_owned())),
            answered = tokio::time::timeout(limit, answers) => match answered {
                Ok(()) => Ok(()),
                Err(_) => {
                    running.process.kill().map_err(io_error("kill process of", &guest.files.pid()))?;
                    Err(DriverError::Silent { operation: "starting qemu", limit })
                }
            },
        }
    }
}

/// Sees to it that the process is reaped when it ends, however long that takes.
fn note_and_reap(id: InstanceId, files: &GuestFiles, mut child: Child) -> Result<Process, DriverError> {
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    let path = files.pid();
    // a convenience for operators: the process is found without it
    if let Err(e) = fs::write(&path, format!("{pid}\n")) {
        tracing::warn!("{}: {e}", path.display());
    }
    let open = || Process::open(pid).map_err(io_error("open process of", &path));
    let (Some(theirs), Some(ours)) = (open()?, open()?) else {
        // cannot be: it is our child and not reaped
        return Err(starting_failed(files, "it vanished".to_owned()));
    };
    tokio::spawn(async move {
        ours.ended().await;
        match child.wait() {
            Ok(status) => tracing::debug!(instance = %id, "guest {id}: qemu {status}"),
            Err(e) => tracing::warn!(instance = %id, "guest {id}: reaping qemu: {e}"),
        }
    });
    Ok(theirs)
}

pub(crate) fn starting_failed(files: &GuestFiles, what: String) -> DriverError {
    let words = tail(&files.qemu_log(), LOG_TAIL_BYTES).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    let message = if words.is_empty() { format!("{what} and said nothing") } else { format!("{what}: {words}") };
    DriverError::Hypervisor { operation: "starting qemu".to_owned(), message }
}

/// The last `limit` bytes of a file.
pub(crate) fn tail(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All that the start needs, so that it can happen on a thread that may block.
struct Plan {
    binary: PathBuf,
    user: Option<User>,
    kvm: bool,
    files: GuestFiles,
    line: CommandLine,
    saved: Option<File>,
}

impl Plan {
    fn start(&mut self) -> Result<Child, DriverError> {
        let lock_path = self.files.lock();
        let Some(lock) = process::lock_exclusive(&lock_path).map_err(io_error("lock", &lock_path))? else {
            return Err(starting_failed(&self.files, format!("{} is held by another process", lock_path.display())));
        };
        let mut open: Vec<(Handover, OwnedFd)> = vec![(Handover::Lock, lock.into())];
        for file in &self.line.files {
            open.push((file.handover, self.open(file)?));
        }
        open.push((Handover::Monitor, self.listen()?.into()));
        if let Some(saved) = self.saved.take() {
            open.push((Handover::Incoming, saved.into()));
        }
        let log_path = self.files.qemu_log();
        let log = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&log_path);
        let log = log.and_then(|log| Ok((log.try_clone()?, log))).map_err(io_error("open", &log_path))?;

        let mut command = Command::new(&self.binary);
        command.args(&self.line.args);
        command.args(handover_args(open.iter().map(|(handover, fd)| (*handover, fd.as_raw_fd()))));
        command.stdin(Stdio::null()).stdout(log.0).stderr(log.1).current_dir("/");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
        // a group of its own: Ctrl-C in our terminal is not for guests
        command.process_group(0);
        if let Some(user) = &self.user {
            let gid = if self.kvm { crate::host::kvm_group(Some(user)) } else { None };
            command.uid(user.uid).gid(gid.unwrap_or(user.gid));
        }
        command.preserved_fds(open.into_iter().map(|(_, fd)| fd).collect());
        command.spawn().map_err(io_error("run", &self.binary))
        // our copies of the files close here: the lock and the socket now live and die with the process
    }

    fn open(&self, file: &FileUse) -> Result<OwnedFd, DriverError> {
        let mut options = OpenOptions::new();
        match file.access {
            Access::Read => options.read(true),
            Access::ReadWrite => options.read(true).write(true),
            Access::Append => options.append(true).create(true).mode(0o600),
        };
        let opened = options.open(&file.path).map_err(io_error("open", &file.path))?;
        match file.handover {
            Handover::Kernel => self.openable_again(opened, &file.path, &self.files.kernel()),
            Handover::Ramdisk => self.openable_again(opened, &file.path, &self.files.ramdisk()),
            _ => Ok(opened.into()),
        }
    }

    /// QEMU opens kernels a second time, so the user it runs as must be allowed to: else it gets a copy of its own.
    fn openable_again(&self, mut opened: File, path: &Path, copy: &Path) -> Result<OwnedFd, DriverError> {
        let mode = opened.metadata().map_err(io_error("look at", path))?.permissions().mode();
        let Some(user) = self.user.as_ref().filter(|_| mode & 0o004 == 0) else { return Ok(opened.into()) };
        remove(copy)?;
        let mut duplicate = || -> io::Result<OwnedFd> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(copy)?;
            io::copy(&mut opened, &mut file)?;
            fchown(&file, Some(user.uid), None)?;
            Ok(File::open(copy)?.into())
        };
        duplicate().map_err(io_error("copy for the guest", copy))
    }

    fn listen(&self) -> Result<UnixListener, DriverError> {
        let path = self.files.socket();
        remove(&path)?;
        let dir = ShortDir::open(&self.files.dir)?;
        UnixListener::bind(dir.path("qmp.sock")).map_err(io_error("listen on", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_end_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(tail(&path, 4).unwrap(), b"6789");
        assert_eq!(tail(&path, 40).unwrap(), b"0123456789");
        assert_eq!(tail(&path, 0).unwrap(), b"");
        assert!(tail(&dir.path().join("none"), 1).is_err());
    }
}
