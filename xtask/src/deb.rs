//! `cargo xtask deb`: a Debian package of the binary with its units, made by dpkg-deb.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder for the package.
    #[arg(long, default_value = "target/deb")]
    output: PathBuf,
    /// Pack this binary instead of building one.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// From the repository to the installed system, with the mode there.
const FILES: &[(&str, &str, u32)] = &[
    ("packaging/skyiron.toml", "etc/skyiron/skyiron.toml", 0o644),
    ("packaging/roles", "etc/skyiron/roles", 0o644),
    ("packaging/systemd", "usr/lib/systemd/system", 0o644),
    ("docs/operating.md", "usr/share/doc/skyiron/operating.md", 0o644),
    ("docs/site.md", "usr/share/doc/skyiron/site.md", 0o644),
    ("CHANGELOG.md", "usr/share/doc/skyiron/CHANGELOG.md", 0o644),
    ("LICENSE", "usr/share/doc/skyiron/copyright", 0o644),
    ("packaging/debian/postinst", "DEBIAN/postinst", 0o755),
    ("packaging/debian/prerm", "DEBIAN/prerm", 0o755),
    ("packaging/debian/postrm", "DEBIAN/postrm", 0o755),
];

pub(crate) fn run(a: &Arguments) -> Result<ExitCode> {
    let binary = match &a.binary {
        Some(path) => path.clone(),
        None => crate::bench::build()?,
    };
    let package = pack(Path::new("."), &binary, &a.output)?;
    println!("{}", package.display());
    Ok(ExitCode::SUCCESS)
}

fn pack(repository: &Path, binary: &Path, output: &Path) -> Result<PathBuf> {
    fs::create_dir_all(output)?;
    let tree = tempfile::tempdir_in(output)?;
    let root = tree.path().join("skyiron");
    put(binary, &root.join("usr/bin/skyiron"), 0o755)?;
    for (from, to, mode) in FILES {
        put(&repository.join(from), &root.join(to), *mode)?;
    }
    let mut configuration = vec!["/etc/skyiron/skyiron.toml".to_owned()];
    for role in fs::read_dir(repository.join("packaging/roles"))? {
        configuration.push(format!("/etc/skyiron/roles/{}", role?.file_name().to_string_lossy()));
    }
    configuration.sort();
    fs::write(root.join("DEBIAN/conffiles"), configuration.join("\n") + "\n")?;
    let version = env!("CARGO_PKG_VERSION");
    fs::write(root.join("DEBIAN/control"), control(version, architecture()?.trim(), size_kib(&root)?))?;
    let package = output.join(format!("skyiron_{version}_{}.deb", architecture()?.trim()));
    let made = Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&root).arg(&package).output()?;
    if !made.status.success() {
        bail!("dpkg-deb: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(package)
}

/// A file, or a folder with all that is in it.
fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            put(&entry.path(), &to.join(entry.file_name()), mode)?;
        }
        return Ok(());
    }
    let folder = to.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder)?;
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn architecture() -> Result<String> {
    let out = Command::new("dpkg").arg("--print-architecture").output().context("dpkg")?;
    Ok(String::from_utf8(out.stdout)?)
}

fn size_kib(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size_kib(&entry.path())? * 1024 } else { entry.metadata()?.len() };
    }
    Ok(bytes.div_ceil(1024))
}

fn control(version: &str, architecture: &str, size_kib: u64) -> String {
    format!(
        "Package: skyiron\nVersion: {version}\nArchitecture: {architecture}\nInstalled-Size: {size_kib}\n\
         Section: admin\nPriority: optional\nMaintainer: Skyiron maintainers <maintainers@skyiron.invalid>\n\
         Depends: adduser, libc6 (>= 2.36)\nRecommends: qemu-system-x86, e2fsprogs\n\
         Suggests: postgresql, nats-server, haproxy\n\
         Description: private cloud that speaks OpenStack's APIs\n \
         Compute, image, identity and placement services in one binary: a whole cloud\n \
         on one host with SQLite, or one role a process over PostgreSQL and NATS.\n"
    )
}

#[cfg(test)]
mod tests;
