//! The files of one guest, and its stored definition.

use base::InstanceId;
use compute_model::driver::{DriverError, GuestSpec};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What start, hard reboot and resume need to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) guest: GuestSpec,
    /// The versioned machine type of the last cold start (`pc-i440fx-7.2`): memory saved by it fits no other, so resume
    /// uses it even after an upgrade of QEMU.
    pub(crate) machine: Option<String>,
}

/// Names under `<instances_dir>/<uuid>/`.
#[derive(Clone, Debug)]
pub(crate) struct GuestFiles {
    pub(crate) dir: PathBuf,
}

impl GuestFiles {
    pub(crate) fn new(instances_dir: &Path, id: InstanceId) -> Self {
        Self { dir: instances_dir.join(id.to_string()) }
    }
    pub(crate) fn definition(&self) -> PathBuf {
        self.dir.join("guest.json")
    }
    pub(crate) fn console(&self) -> PathBuf {
        self.dir.join("console.log")
    }
    /// Older output, from before the last cut.
    pub(crate) fn console_older(&self) -> PathBuf {
        self.dir.join("console.log.0")
    }
    pub(crate) fn qemu_log(&self) -> PathBuf {
        self.dir.join("qemu.log")
    }
    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }
    pub(crate) fn pid(&self) -> PathBuf {
        self.dir.join("pid")
    }
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("qmp.sock")
    }
    pub(crate) fn suspend(&self) -> PathBuf {
        self.dir.join("suspend.state")
    }
    /// Memory still being written; worthless after an interruption.
    pub(crate) fn suspend_part(&self) -> PathBuf {
        self.dir.join("suspend.state.part")
    }
    pub(crate) fn kernel(&self) -> PathBuf {
        self.dir.join("kernel")
    }
    pub(crate) fn ramdisk(&self) -> PathBuf {
        self.dir.join("ramdisk")
    }

    /// The guest's memory is on disk, whole.
    pub(crate) fn is_suspended(&self) -> bool {
        self.suspend().exists()
    }

    pub(crate) fn create_dir(&self) -> Result<(), DriverError> {
        if self.dir.is_dir() {
            return Ok(());
        }
        match fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir) {
            Ok(()) => sync_dir(self.dir.parent().unwrap_or(&self.dir)),
            Err(e) => Err(io_error("create", &self.dir)(e)),
        }
    }

    /// `None`: no such guest.
    pub(crate) fn load(&self) -> Result<Option<Definition>, DriverError> {
        let path = self.definition();
        let mut text = String::new();
        match File::open(&path).and_then(|mut f| f.read_to_string(&mut text)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error("read", &path)(e)),
            Ok(_) => serde_json::from_str(&text).map(Some).map_err(|e| io_error("read", &path)(e.into())),
        }
    }

    /// Whole or not at all, and there after a power cut.
    pub(crate) fn store(&self, definition: &Definition) -> Result<(), DriverError> {
        let (path, part) = (self.definition(), self.dir.join("guest.json.part"));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            serde_json::to_writer_pretty(&mut file, definition)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&part, &path)
        };
        write().map_err(io_error("write", &path))?;
        sync_dir(&self.dir)
    }

    /// Removes all that the driver made. The definition goes first: without it there is no guest.
    pub(crate) fn forget(&self) -> Result<(), DriverError> {
        remove(&self.definition())?;
        let others = [
            self.suspend(),
            self.suspend_part(),
            self.kernel(),
            self.ramdisk(),
            self.socket(),
            self.pid(),
            self.qemu_log(),
            self.console(),
            self.console_older(),
            self.dir.join("guest.json.part"),
            self.lock(),
        ];
        for path in &others {
            remove(path)?;
        }
        if self.dir.exists() { sync_dir(&self.dir) } else { Ok(()) }
    }
}

/// A directory held open, and names in it that stay short however long its path is: a Unix socket's address has room
/// for 107 bytes only.
pub(crate) struct ShortDir(File);

impl ShortDir {
    pub(crate) fn open(dir: &Path) -> Result<Self, DriverError> {
        File::open(dir).map(Self).map_err(io_error("open", dir))
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}

pub(crate) fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DriverError {
    let path = path.to_owned();
    move |source| DriverError::Io { operation, path, source }
}

/// Gone afterwards, also if it never was.
pub(crate) fn remove(path: &Path) -> Result<(), DriverError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Makes renames and removals in `dir` survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), DriverError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(io_error("sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Mib;

    #[test]
    fn a_definition_survives_and_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let id = InstanceId::random();
        let files = GuestFiles::new(dir.path(), id);
        assert_eq!(files.load().unwrap(), None);
        files.create_dir().unwrap();
        let guest = GuestSpec {
            id,
            name: "a, b".into(),
            vcpus: 1,
            ram: Mib(64),
            disks: Vec::new(),
            direct_kernel: None,
            properties: Default::default(),
        };
        let definition = Definition { guest, machine: Some("pc-i440fx-7.2".into()) };
        files.store(&definition).unwrap();
        assert_eq!(files.load().unwrap(), Some(definition));
        files.forget().unwrap();
        assert_eq!(files.load().unwrap(), None);
        assert_eq!(fs::read_dir(&files.dir).unwrap().count(), 0);
        files.forget().unwrap();
    }

    #[test]
    fn a_broken_definition_is_an_error_not_an_absence() {
        let dir = tempfile::tempdir().unwrap();
        let files = GuestFiles::new(dir.path(), InstanceId::random());
        files.create_dir().unwrap();
        fs::write(files.definition(), "{\"guest\":").unwrap();
        assert!(matches!(files.load(), Err(DriverError::Io { operation: "read", .. })));
    }
}
