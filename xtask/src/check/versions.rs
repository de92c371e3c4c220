//! Versions of dependencies stand in the root manifest and nowhere else.

use super::Problem;
use crate::repo::Repo;
use anyhow::{Context, Result};
use toml::{Table, Value};

const WHY: &str = "one place for versions: two versions of a library are twice the build and subtle type errors";

const SECTIONS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (name, member) in &repo.crates {
        let file = format!("{}/Cargo.toml", member.folder);
        let manifest: Table = repo.read(&file)?.parse().with_context(|| file.clone())?;
        let own = own_dependencies(name, &manifest);
        problems.extend(own.into_iter().map(|d| Problem::new(&file, format!("{d} is not `workspace = true`"), WHY)));
    }
    Ok(problems)
}

/// Dependencies that do not come from the workspace. A crate may name itself, to switch on features for its tests.
fn own_dependencies(name: &str, manifest: &Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    let sections = tables.flat_map(|t| SECTIONS.iter().filter_map(|s| t.get(*s)?.as_table()));
    let dependencies = sections.flat_map(Table::iter).filter(|(dependency, _)| *dependency != name);
    dependencies.filter(|(_, value)| !from_workspace(value)).map(|(dependency, _)| dependency.clone()).collect()
}

fn from_workspace(dependency: &Value) -> bool {
    dependency.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_workspace_has_versions() {
        let manifest: Table = r#"
            [dependencies]
            serde.workspace = true
            uuid = { workspace = true, features = ["v7"] }
            rand = "0.10"
            base = { path = "../base" }
            [dev-dependencies]
            me = { path = ".", features = ["testing"] }
            tempfile = "3"
            [build-dependencies]
            cc = { version = "1", workspace = false }
            [target.'cfg(unix)'.dependencies]
            nix = "0.31"
            libc.workspace = true
        "#
        .parse()
        .unwrap();
        let mut own = own_dependencies("me", &manifest);
        own.sort();
        assert_eq!(own, ["base", "cc", "nix", "rand", "tempfile"]);
    }
}
