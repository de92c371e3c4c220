//! Who connects to somewhere by HTTP.

use super::Problem;
use crate::repo::Repo;
use anyhow::Result;

/// What begins a connection, and the files, or folders, that may.
const CLIENTS: &[(&str, &[&str])] = &[
    (
        "reqwest::",
        &[
            // to the cloud itself
            "crates/image/api/src/remote/client.rs",
            "bin/skyiron/src/client.rs",
            "bin/skyiron/src/commands/demo.rs",
            // to what the operator's configuration names; the store of web servers keeps to its own list of them
            "crates/image/backends/src/",
            "crates/identity/src/keystone/",
            "bin/skyiron/src/cloud/stores.rs",
            // what all of them begin with
            "crates/platform/http/src/client.rs",
        ],
    ),
    ("hyper::client", &["crates/image/api/src/fetch/connection.rs"]),
];

const WHY: &str = "what a user names is fetched by crates/image/api/src/fetch, which checks every address; a second way \
                   out would go round it. The places listed connect to the cloud itself, or where its operator says";

/// Tests and the repository's own tools may.
fn is_product(file: &str) -> bool {
    (file.starts_with("crates/") || file.starts_with("bin/")) && file.contains("/src/")
}

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in repo.files_ending(&[".rs"]).filter(|f| is_product(f)) {
        let text = repo.read(file)?;
        let found = CLIENTS
            .iter()
            .filter(|(client, allowed)| text.contains(client) && !allowed.iter().any(|a| file.starts_with(a)));
        problems.extend(found.map(|(client, _)| Problem::new(file, format!("uses {client}"), WHY)));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture;

    #[test]
    fn s12_finds_a_second_way_out() {
        let (repo, _dir) = fixture::files(&[
            ("crates/image/api/src/fetch/connection.rs", "use hyper::client::conn;"),
            ("crates/image/api/src/tasks.rs", "reqwest::get(url)"),
            ("crates/image/api/tests/it/main.rs", "reqwest::get(url)"),
        ]);
        let problems = check(&repo).unwrap();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].at, "crates/image/api/src/tasks.rs");
    }
}
