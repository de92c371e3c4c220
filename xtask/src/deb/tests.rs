use super::*;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A package with a program that says how it was called.
fn package(folder: &Path) -> PathBuf {
    let binary = folder.join("skyiron");
    fs::write(&binary, "#!/bin/sh\necho called with \"$@\"\n").unwrap();
    pack(&repository(), &binary, folder).unwrap()
}

fn roles() -> Vec<String> {
    let entries = fs::read_dir(repository().join("packaging/roles")).unwrap();
    let mut roles: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    roles.sort();
    roles
}

#[test]
fn the_package_has_what_its_units_name() {
    let folder = tempfile::tempdir().unwrap();
    let made = package(folder.path());
    let ask = |option: &str| {
        let out = Command::new("dpkg-deb").arg(option).arg(&made).output().unwrap();
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
    let info = ask("--info");
    assert!(info.contains("Package: skyiron") && info.contains("conffiles"), "{info}");
    assert!(!fs::read_dir(folder.path()).unwrap().flatten().any(|e| e.path().is_dir()), "nothing is left behind");
}

#[test]
fn every_role_has_an_address() {
    let packaging = repository().join("packaging");
    let source = fs::read_to_string(packaging.join("../bin/skyiron/src/cloud/roles.rs")).unwrap();
    let all = source.split("const ALL").nth(1).unwrap().split("];").next().unwrap();
    let mut named: Vec<String> = all.split("Role::").skip(1).map(|r| kebab(r.split(',').next().unwrap())).collect();
    let there = roles();
    named.sort();
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

/// Runs a script as root on a copy of this system, which is gone afterwards; `/package.deb` is the package. What it says.
/// `None`, with the reason, where such a copy cannot be made.
fn on_a_copy(package: &Path, script: &str) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root may install a package on a copy of this system");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let around = format!(
        "cd {} && mkdir memory root && mount -t tmpfs none memory && mkdir memory/upper memory/work &&
         cp {} memory/upper/package.deb &&
         mount -t overlay none -o lowerdir=/,upperdir=memory/upper,workdir=memory/work root || exit 77
         mount -t proc none root/proc
         exec chroot root sh -e -c \"$1\"",
        folder.path().display(),
        package.display()
    );
    let out = Command::new("unshare").args(["--mount", "sh", "-c", &around, "sh", script]).output().expect("unshare");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.code() == Some(77) {
        eprintln!("skipped: no copy of this system can be made here: {said}");
        return None;
    }
    assert!(out.status.success(), "{said}");
    Some(said)
}

const LIFE: &str = "
    exec 2>&1
    export DEBIAN_FRONTEND=noninteractive
    dpkg -i /package.deb
    for path in /var/lib/skyiron /etc/skyiron/skyiron.toml /etc/skyiron/roles/identity /usr/bin/skyiron; do
        stat -c 'mode %a %U:%G %n' $path
    done
    skyiron config check
    for role in $ROLES; do
        echo \"unit $role: $(systemd-analyze verify --man=no skyiron@$role.service 2>&1 | grep -v ImportCredential)\"
    done
    echo \"unit all: $(systemd-analyze verify --man=no skyiron.service 2>&1 | grep -v ImportCredential)\"
    echo '# mine' >> /etc/skyiron/skyiron.toml
    echo 'LISTEN=10.0.0.11:5000' > /etc/skyiron/roles/identity
    dpkg -i /package.deb
    echo \"kept $(tail -n 1 /etc/skyiron/skyiron.toml) $(cat /etc/skyiron/roles/identity)\"
    touch /var/lib/skyiron/disk
    dpkg -r skyiron
    echo \"removed $(ls /usr/bin/skyiron /etc/skyiron/skyiron.toml)\"
    dpkg -P skyiron
    echo \"purged $(ls /etc/skyiron/skyiron.toml /var/lib/skyiron/disk)\"
";

#[test]
fn it_is_installed_kept_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("ROLES='{}'\n{LIFE}", roles().join(" "));
    let Some(said) = on_a_copy(&package(folder.path()), &script) else { return };
    for line in [
        "mode 711 skyiron:skyiron /var/lib/skyiron",
        // there are passwords in it
        "mode 640 root:skyiron /etc/skyiron/skyiron.toml",
        "mode 644 root:root /etc/skyiron/roles/identity",
        "mode 755 root:root /usr/bin/skyiron",
        "called with config check",
        "kept # mine LISTEN=10.0.0.11:5000",
        // a removal leaves what an operator has written, a purge only what guests have
        "removed /etc/skyiron/skyiron.toml",
        "purged /var/lib/skyiron/disk",
    ] {
        assert!(said.lines().any(|l| l == line), "{line}: {said}");
    }
    // newer than some systems: `ImportCredential`, which those ignore
    let units: Vec<&str> = said.lines().filter(|l| l.starts_with("unit ")).collect();
    assert_eq!(units.len(), roles().len() + 1, "{said}");
    assert!(units.iter().all(|l| l.ends_with(": ")), "{said}");
}
