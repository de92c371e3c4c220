//! The repository as the checks see it.

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files and crates of one checkout.
pub(crate) struct Repo {
    pub(crate) root: PathBuf,
    /// Paths from the root, with `/`, sorted; without what git ignores.
    pub(crate) files: Vec<String>,
    /// By name.
    pub(crate) crates: BTreeMap<String, Crate>,
}

/// A member of the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crate {
    /// From the root: `crates/compute/agent`.
    pub(crate) folder: String,
    /// Names of packages, ours and others', that it is built with.
    pub(crate) dependencies: Vec<String>,
    /// Those that only its tests and examples need.
    pub(crate) dev_dependencies: Vec<String>,
}

impl Repo {
    /// The checkout this program was built from.
    pub(crate) fn here() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository's root")?;
        let metadata = MetadataCommand::new().no_deps().manifest_path(root.join("Cargo.toml")).exec()?;
        Ok(Self { root: root.to_owned(), files: git_files(root)?, crates: crates(&metadata) })
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.files.binary_search_by(|f| f.as_str().cmp(file)).is_ok()
    }

    pub(crate) fn read(&self, file: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(file)).with_context(|| file.to_owned())
    }

    pub(crate) fn files_ending<'a>(&'a self, ends: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(|f| ends.iter().any(|end| f.ends_with(end)))
    }
}

/// Tracked files and those that would be, if added; not the ones deleted meanwhile.
fn git_files(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    anyhow::ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    let text = String::from_utf8(listed.stdout).context("git ls-files")?;
    let mut files: Vec<_> =
        text.split('\0').filter(|f| !f.is_empty() && root.join(f).is_file()).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn crates(metadata: &Metadata) -> BTreeMap<String, Crate> {
    let names = |package: &Package, dev: bool| {
        let wanted = |kind| (kind == DependencyKind::Development) == dev;
        package.dependencies.iter().filter(|d| wanted(d.kind)).map(|d| d.name.clone()).collect()
    };
    let folder = |package: &Package| {
        let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
        folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder).as_str().to_owned()
    };
    let members = metadata.workspace_packages().into_iter();
    members
        .map(|p| {
            let member = Crate { folder: folder(p), dependencies: names(p, false), dev_dependencies: names(p, true) };
            (p.name.to_string(), member)
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::{Crate, Repo};
    use tempfile::TempDir;

    /// A repository of these files and nothing else. It lasts as long as the folder.
    pub(crate) fn files(files: &[(&str, &str)]) -> (Repo, TempDir) {
        let dir = TempDir::new().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut names: Vec<_> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort();
        (Repo { root: dir.path().to_owned(), files: names, crates: [].into() }, dir)
    }

    /// A repository of crates in folders of their names.
    pub(crate) fn crates(crates: &[(&str, &[&str])]) -> Repo {
        let one = |(name, dependencies): &(&str, &[&str])| {
            let dependencies = dependencies.iter().map(|d| (*d).to_owned()).collect();
            let folder = format!("crates/{name}");
            ((*name).to_owned(), Crate { folder, dependencies, dev_dependencies: Vec::new() })
        };
        Repo { root: "/nowhere".into(), files: Vec::new(), crates: crates.iter().map(one).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_read() {
        let repo = Repo::here().unwrap();
        assert_eq!(repo.crates["xtask"].folder, "xtask");
        assert!(repo.crates["xtask"].dependencies.iter().any(|d| d == "clap"));
        assert!(repo.has("Cargo.toml") && !repo.has("target/debug"));
    }
}
