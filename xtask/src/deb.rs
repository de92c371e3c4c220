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
mod tests {
    use super::*;

    #[test]
    fn the_package_has_what_its_units_name() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("skyiron");
        fs::write(&binary, "#!/bin/sh\n").unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let package = pack(&repository, &binary, folder.path()).unwrap();
        let ask = |option: &str| {
            let out = Command::new("dpkg-deb").arg(option).arg(&package).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stdout).unwrap()
        };
        let content = ask("--contents");
        for file in [
            "-rwxr-xr-x root/root",
            "./usr/bin/skyiron",
            "./etc/skyiron/skyiron.toml",
            "./etc/skyiron/roles/compute-agent",
            "./usr/lib/systemd/system/skyiron@.service",
            "./usr/lib/systemd/system/skyiron@compute-agent.service.d/host.conf",
            "./usr/share/doc/skyiron/site.md",
        ] {
            assert!(content.contains(file), "{file}: {content}");
        }
        assert!(ask("--info").contains("Package: skyiron"));
        assert!(!fs::read_dir(folder.path()).unwrap().flatten().any(|e| e.path().is_dir()), "nothing is left behind");
    }

    #[test]
    fn every_role_has_an_address() {
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
        let roles = fs::read_to_string(packaging.join("../bin/skyiron/src/cloud/roles.rs")).unwrap();
        let all = roles.split("const ALL").nth(1).unwrap().split("];").next().unwrap();
        let mut named: Vec<String> = all.split("Role::").skip(1).map(|r| kebab(r.split(',').next().unwrap())).collect();
        let mut there: Vec<String> = fs::read_dir(packaging.join("roles"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        named.sort();
        there.sort();
        assert_eq!(there, named);
        for role in there {
            let text = fs::read_to_string(packaging.join("roles").join(&role)).unwrap();
            let listen = text.lines().find_map(|l| l.strip_prefix("LISTEN=")).unwrap();
            assert!(listen.parse::<std::net::SocketAddr>().is_ok(), "{role}: {listen}");
        }
    }

    fn kebab(name: &str) -> String {
        let mut text = String::new();
        for c in name.trim().chars() {
            if c.is_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.push(c.to_ascii_lowercase());
        }
        text
    }
}
