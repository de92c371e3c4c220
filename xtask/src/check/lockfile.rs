//! Packages that must not come in, not even through others.

use super::Problem;
use crate::repo::Repo;
use anyhow::Result;
use toml::{Table, Value};

const BANNED: &[(&str, &str)] = &[
    ("aws-lc-sys", "ring is our cryptography; a second one needs a C compiler and cmake, and doubles the binary"),
    ("openssl-sys", "TLS is rustls: the binary must start on a host without OpenSSL, or with another one"),
    ("native-tls", "TLS is rustls: the binary must start on a host without OpenSSL, or with another one"),
];

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    let lock: Table = repo.read("Cargo.lock")?.parse()?;
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<_> = packages.filter_map(|p| p.get("name")?.as_str()).collect();
    let banned = BANNED.iter().filter(|(name, _)| names.contains(name));
    Ok(banned.map(|(name, why)| Problem::new("Cargo.lock", format!("{name} is in it"), why)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture;

    #[test]
    fn finds_what_is_banned() {
        let lock = "[[package]]\nname = \"ring\"\n[[package]]\nname = \"openssl-sys\"\nversion = \"0.9.1\"\n";
        let (repo, _dir) = fixture::files(&[("Cargo.lock", lock)]);
        let problems = check(&repo).unwrap();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].what, "openssl-sys is in it");
    }
}
