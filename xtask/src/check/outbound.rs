//! Who connects to somewhere by HTTP.

use super::Problem;
use crate::repo::Repo;
use anyhow::Result;

/// What begins a connection, and the files that may.
const CLIENTS: &[(&str, &[&str])] = &[
    (
        "reqwest::",
        &["crates/image/api/src/remote/client.rs", "bin/skyiron/src/client.rs", "bin/skyiron/src/commands/demo.rs"],
    ),
    ("hyper::client", &["crates/image/api/src/fetch/connection.rs"]),
];

const WHY: &str = "what a user names is fetched by crates/image/api/src/fetch, which checks every address; a second way \
                   out would go round it. The files listed connect to the cloud itself";

/// Tests and the repository's own tools may.
fn is_product(file: &str) -> bool {
    (file.starts_with("crates/") || file.starts_with("bin/")) && file.contains("/src/")
}

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in repo.files_ending(&[".rs"]).filter(|f| is_product(f)) {
        let text = repo.read(file)?;
        let found = CLIENTS.iter().filter(|(client, allowed)| text.contains(client) && !allowed.contains(&file));
        problems.extend(found.map(|(client, _)| Problem::new(file, format!("uses {client}"), WHY)));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture;

    #[test]
    fn finds_a_second_way_out() {
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
