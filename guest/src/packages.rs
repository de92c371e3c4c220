//! Debian packages: which versions apt would give, and their files, without installing anything.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, bail};

use crate::command::run;

/// Where apt keeps its package lists.
pub(crate) const LISTS: &str = "/var/lib/apt/lists";

/// A package as apt would download it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// `NAME_VERSION_ARCHITECTURE.deb`: stands for the version too.
    pub(crate) file: String,
}

/// Changes whenever `apt-get update` changed a list. Asking apt itself costs over a second.
pub(crate) fn lists_state(lists: &Path) -> Result<String> {
    let entries = fs::read_dir(lists).with_context(|| format!("cannot read apt's lists in {}", lists.display()))?;
    let mut lines = Vec::new();
    for entry in entries {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_file() {
            let changed = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            lines.push(format!("{} {} {changed}", entry.file_name().display(), meta.len()));
        }
    }
    lines.sort();
    Ok(lines.join("\n"))
}

/// The package with the kernel itself that the metapackage `meta` depends on today.
pub(crate) fn kernel_behind(meta: &str) -> Result<String> {
    let text = run(Command::new("apt-cache").args(["depends", "--important", meta])).context(UPDATE)?;
    kernel_dependency(&text).with_context(|| format!("{meta} depends on no linux-image package: {text}"))
}

const UPDATE: &str = "apt does not know the packages: run `apt-get update` and try again";

fn kernel_dependency(depends: &str) -> Option<String> {
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.map(str::to_owned).find(|name| name.starts_with("linux-image-"))
}

/// What apt would download for `names`, in their order.
pub(crate) fn resolve(names: &[&str]) -> Result<Vec<Package>> {
    let text =
        run(Command::new("apt-get").args(["download", "--quiet", "--print-uris"]).args(names)).context(UPDATE)?;
    let files = files_to_download(&text);
    let find = |name: &&str| {
        let prefix = format!("{name}_");
        let file = files.iter().find(|file| file.starts_with(&prefix)).with_context(|| format!("apt has no {name}"))?;
        Ok(Package { name: (*name).to_owned(), file: (*file).to_owned() })
    };
    names.iter().map(find).collect()
}

/// Lines of `--print-uris` are `'URI' FILE SIZE HASH`.
fn files_to_download(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix('\'')?.split_once("' ")?.1.split(' ').next())
        .filter(|file| file.ends_with(".deb"))
        .collect()
}

/// Downloads those of `packages` that are not yet in `folder`; apt checks their hashes.
pub(crate) fn download(packages: &[Package], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let missing: Vec<&Package> = packages.iter().filter(|p| !folder.join(&p.file).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    // Into a folder of its own first: a download cut short leaves nothing behind that looks complete.
    let fresh = tempfile::tempdir_in(folder)?;
    run(Command::new("apt-get")
        .args(["download", "--quiet"])
        .args(missing.iter().map(|p| &p.name))
        .current_dir(fresh.path()))
    .context("apt cannot download the packages; if its lists are old, run `apt-get update` and try again")?;
    for package in missing {
        fs::rename(fresh.path().join(&package.file), folder.join(&package.file))
            .with_context(|| format!("apt did not download {}", package.file))?;
    }
    Ok(())
}

/// Unpacks every package's files into `root`, as they would lie under `/`.
pub(crate) fn unpack(packages: &[Package], folder: &Path, root: &Path) -> Result<()> {
    for package in packages {
        run(Command::new("dpkg-deb").arg("-x").arg(folder.join(&package.file)).arg(root))?;
    }
    Ok(())
}

/// The only file in `folder` whose name starts with `prefix`.
pub(crate) fn only_file(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    match <[PathBuf; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(found) => {
            let mut list = String::new();
            for path in &found {
                write!(list, " {}", path.display())?;
            }
            bail!("{} should have one {prefix}*, has {}:{list}", folder.display(), found.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_found_behind_its_metapackage() {
        let text = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
        assert_eq!(kernel_dependency(text).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(kernel_dependency("linux-image-cloud-amd64\n  Depends: libc6\n"), None);
    }

    #[test]
    fn file_names_are_read_from_what_apt_would_fetch() {
        let text = "'http://mirror.example/b/busybox-static_1.35.0-4%2bb1_amd64.deb' \
                    busybox-static_1%3a1.35.0-4+b1_amd64.deb 928188 SHA256:3d3f\n\
                    W: some warning\n\
                    'http://mirror.example/m/mtools_4.0.32_amd64.deb' mtools_4.0.32_amd64.deb 201972 SHA256:6c97\n";
        assert_eq!(files_to_download(text), ["busybox-static_1%3a1.35.0-4+b1_amd64.deb", "mtools_4.0.32_amd64.deb"]);
    }

    #[test]
    fn an_update_of_the_lists_is_noticed() {
        let lists = tempfile::tempdir().unwrap();
        fs::write(lists.path().join("main_Packages"), "one").unwrap();
        let before = lists_state(lists.path()).unwrap();
        assert_eq!(lists_state(lists.path()).unwrap(), before);
        fs::write(lists.path().join("main_Packages"), "another").unwrap();
        assert_ne!(lists_state(lists.path()).unwrap(), before);
    }

    #[test]
    fn two_kernels_are_one_too_many() {
        let boot = tempfile::tempdir().unwrap();
        fs::write(boot.path().join("vmlinuz-1"), "").unwrap();
        assert_eq!(only_file(boot.path(), "vmlinuz-").unwrap(), boot.path().join("vmlinuz-1"));
        fs::write(boot.path().join("vmlinuz-2"), "").unwrap();
        assert!(only_file(boot.path(), "vmlinuz-").is_err());
    }
}
