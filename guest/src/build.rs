//! From packages to images.

use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::command::run;
use crate::packages::{self, Package, only_file};
use crate::{COMMAND_LINE, disk, initramfs, modules};

/// Raised when the layout changes in a way that neither the packages nor the scripts show.
const RECIPE: &str = "1";

/// Busybox, the boot loader, and the tools that the boot loader's installer calls.
const PACKAGES: &[&str] = &["busybox-static", "syslinux", "syslinux-common", "mtools"];

/// Which of Debian's kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernel {
    /// `linux-image-cloud-amd64`: small and quick. Knows virtio and IDE, but not AHCI.
    #[default]
    Cloud,
    /// `linux-image-amd64`: also AHCI, which is how machine type q35 has a SATA disk or CD-ROM.
    Generic,
}

impl Kernel {
    fn metapackage(self) -> &'static str {
        match self {
            Self::Cloud => "linux-image-cloud-amd64",
            Self::Generic => "linux-image-amd64",
        }
    }
}

/// What to build, and where downloads and finished images are kept.
#[derive(Clone, Debug)]
pub struct Options {
    pub cache: PathBuf,
    pub kernel: Kernel,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache: default_cache(), kernel: Kernel::default() }
    }
}

/// `/var/cache/skyiron/guest` for root; else under `XDG_CACHE_HOME` or `~/.cache`.
#[must_use]
pub fn default_cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("HOME");
    let for_root = home.as_deref().is_none_or(|home| home == Path::new("/root"));
    let base = match (set("XDG_CACHE_HOME"), home) {
        (Some(base), _) => base,
        (None, Some(home)) if !for_root => home.join(".cache"),
        _ => PathBuf::from("/var/cache"),
    };
    base.join("skyiron/guest")
}

/// A part of the work, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Resolve,
    Download,
    Unpack,
    Initramfs,
    Disk,
    Convert,
}

pub const STEPS: &[Step] = &[Step::Resolve, Step::Download, Step::Unpack, Step::Initramfs, Step::Disk, Step::Convert];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "asking apt for the packages' versions",
            Self::Download => "downloading packages",
            Self::Unpack => "unpacking packages",
            Self::Initramfs => "packing the initramfs",
            Self::Disk => "laying out the disk",
            Self::Convert => "converting to qcow2",
        })
    }
}

/// Told of each step as it begins. A build found in the cache skips most of them.
pub trait Progress {
    fn begin(&mut self, step: Step);
}

impl<F: FnMut(Step)> Progress for F {
    fn begin(&mut self, step: Step) {
        self(step);
    }
}

/// The finished images. They lie in the cache: copy them, never write to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The whole disk, raw (sparse).
    pub raw: PathBuf,
    /// The same as qcow2.
    pub qcow2: PathBuf,
    /// The kernel alone: an `aki` image. Pass it [`COMMAND_LINE`].
    pub kernel: PathBuf,
    /// The initramfs alone: an `ari` image.
    pub initramfs: PathBuf,
    /// The root disk for the two above, raw: an `ami` image.
    pub root_disk: PathBuf,
    /// The names of the package files it was built from.
    pub packages: Vec<String>,
}

impl Guest {
    fn in_folder(folder: &Path, packages: &[Package]) -> Self {
        Self {
            raw: folder.join("disk.raw"),
            qcow2: folder.join("disk.qcow2"),
            kernel: folder.join("vmlinuz"),
            initramfs: folder.join("initrd"),
            root_disk: folder.join("root.raw"),
            packages: packages.iter().map(|package| package.file.clone()).collect(),
        }
    }
}

/// Builds the guest from the packages that apt gives today, or finds it in the cache.
///
/// Needs apt-get, apt-cache, dpkg-deb and qemu-img, but no root. Several processes may share a cache: they take turns.
///
/// # Errors
/// What apt, dpkg-deb, syslinux or qemu-img said; a cache that cannot be written.
pub fn build(options: &Options, progress: &mut dyn Progress) -> Result<Guest> {
    let cache = &options.cache;
    fs::create_dir_all(cache).with_context(|| format!("cannot create the cache {}", cache.display()))?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;

    progress.begin(Step::Resolve);
    let packages = resolve(options)?;
    let folder = cache.join(format!("guest-{}", recipe(&packages)));
    let guest = Guest::in_folder(&folder, &packages);
    if folder.exists() {
        return Ok(guest);
    }

    progress.begin(Step::Download);
    let debs = cache.join("packages");
    packages::download(&packages, &debs)?;

    progress.begin(Step::Unpack);
    let work = work_folder(cache)?;
    let root = work.path().join("root");
    packages::unpack(&packages, &debs, &root)?;

    let products = work.path().join("products");
    fs::create_dir(&products)?;
    let made = Guest::in_folder(&products, &packages);
    make_images(&root, &made, progress)?;
    // Renamed as one, so that a folder under its final name is always complete.
    fs::rename(&products, &folder)?;
    Ok(guest)
}

/// An empty folder for this build, in place of those that killed builds have left. The caller holds the lock.
fn work_folder(cache: &Path) -> Result<TempDir> {
    const PREFIX: &str = "build-";
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(tempfile::Builder::new().prefix(PREFIX).tempdir_in(cache)?)
}

/// The packages' versions, asked of apt only when its lists have changed since the last time.
fn resolve(options: &Options) -> Result<Vec<Package>> {
    let metapackage = options.kernel.metapackage();
    let remembered = options.cache.join(format!("{metapackage}.versions"));
    let lists = packages::lists_state(Path::new(packages::LISTS))?;
    let state = fingerprint(&[RECIPE, &lists, &PACKAGES.join(" ")]);
    if let Some(known) = fs::read_to_string(&remembered).ok().and_then(|text| recall(&text, &state)) {
        return Ok(known);
    }
    let kernel = packages::kernel_behind(metapackage)?;
    let mut names = vec![kernel.as_str()];
    names.extend(PACKAGES);
    let found = packages::resolve(&names)?;
    let lines: String = found.iter().map(|package| format!("{} {}\n", package.name, package.file)).collect();
    fs::write(&remembered, format!("{state}\n{lines}"))?;
    Ok(found)
}

/// What `resolve` wrote down, if apt's lists are still in `state`.
fn recall(text: &str, state: &str) -> Option<Vec<Package>> {
    let packages = text.strip_prefix(state)?.strip_prefix('\n')?;
    let package = |line: &str| {
        let (name, file) = line.split_once(' ')?;
        Some(Package { name: name.to_owned(), file: file.to_owned() })
    };
    let packages: Option<Vec<_>> = packages.lines().map(package).collect();
    packages.filter(|packages| packages.len() == PACKAGES.len() + 1)
}

/// Stands for everything the images depend on.
fn recipe(packages: &[Package]) -> String {
    let mut parts = vec![RECIPE, COMMAND_LINE];
    parts.extend(packages.iter().map(|package| package.file.as_str()));
    parts.extend(initramfs::SCRIPTS.iter().flat_map(|(path, _, text)| [*path, *text]));
    fingerprint(&parts)
}

fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn make_images(root: &Path, guest: &Guest, progress: &mut dyn Progress) -> Result<()> {
    progress.begin(Step::Initramfs);
    let kernel = fs::read(only_file(&root.join("boot"), "vmlinuz-")?)?;
    let release_folder = only_file(&root.join("lib/modules"), "")?;
    let release = release_folder.file_name().and_then(|name| name.to_str()).context("odd name of the kernel")?;
    let busybox = fs::read(root.join("bin/busybox")).context("busybox-static has no bin/busybox")?;
    let entries = initramfs::contents(busybox, release, &modules::select(&release_folder)?);
    let initramfs = initramfs::pack(&entries)?;
    fs::write(&guest.kernel, &kernel)?;
    fs::write(&guest.initramfs, &initramfs)?;

    progress.begin(Step::Disk);
    let config = disk::syslinux_config(COMMAND_LINE);
    let files: [(&str, &[u8]); 3] = [("vmlinuz", &kernel), ("initrd", &initramfs), ("syslinux.cfg", config.as_bytes())];
    let boot_code = fs::read(root.join("usr/lib/syslinux/mbr/mbr.bin")).context("syslinux-common has no mbr.bin")?;
    write_sparse(&guest.raw, &disk::whole_disk(&boot_code, &disk::boot_volume(&files)?)?)?;
    write_sparse(&guest.root_disk, &disk::root_volume()?)?;
    install_syslinux(root, &guest.raw)?;

    progress.begin(Step::Convert);
    run(Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&guest.raw).arg(&guest.qcow2))?;
    Ok(())
}

/// Puts SYSLINUX and its boot sector into the partition. It is the one that works on an image file without root, by
/// way of mtools, which therefore come first in its path.
fn install_syslinux(root: &Path, disk: &Path) -> Result<()> {
    let mut path = root.join("usr/bin").into_os_string();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    run(Command::new(root.join("usr/bin/syslinux"))
        .args(["--install", "--offset", &disk::PARTITION_START.to_string()])
        .arg(disk)
        .env("PATH", path)
        .env("TMPDIR", root))?;
    Ok(())
}

/// Leaves holes where `bytes` are zero.
fn write_sparse(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    const BLOCK: usize = 4096;
    let mut file = File::create(path)?;
    file.set_len(bytes.len() as u64)?;
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, (number * BLOCK) as u64)?;
        }
    }
    file.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, file: &str) -> Package {
        Package { name: name.to_owned(), file: file.to_owned() }
    }

    #[test]
    fn another_version_of_any_package_is_another_guest() {
        let old = [package("a", "a_1_amd64.deb"), package("b", "b_1_amd64.deb")];
        let new = [package("a", "a_1_amd64.deb"), package("b", "b_2_amd64.deb")];
        assert_eq!(recipe(&old), recipe(&old.clone()));
        assert_ne!(recipe(&old), recipe(&new));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
    }

    #[test]
    fn remembered_versions_count_only_while_the_lists_are_the_same() {
        let lines: String = (0..=PACKAGES.len()).map(|n| format!("p{n} p{n}_1_amd64.deb\n")).collect();
        let text = format!("state1\n{lines}");
        assert_eq!(recall(&text, "state1").unwrap()[1], package("p1", "p1_1_amd64.deb"));
        assert_eq!(recall(&text, "state2"), None);
        assert_eq!(recall("state1\np0 p0_1_amd64.deb\n", "state1"), None, "written in part");
    }

    #[test]
    fn what_a_killed_build_left_is_swept_up() {
        let cache = tempfile::tempdir().unwrap();
        let left = cache.path().join("build-dead/root");
        fs::create_dir_all(&left).unwrap();
        fs::create_dir(cache.path().join("guest-finished")).unwrap();
        let work = work_folder(cache.path()).unwrap();
        assert!(work.path().exists() && !left.exists() && cache.path().join("guest-finished").exists());
    }

    #[test]
    fn holes_read_as_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let mut bytes = vec![0; 3 * 4096 + 5];
        bytes[4096] = 7;
        bytes[3 * 4096 + 4] = 9;
        write_sparse(&path, &bytes).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}
