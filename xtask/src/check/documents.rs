//! The documents a reader looks for are there, and their links lead somewhere.

use super::Problem;
use crate::repo::Repo;
use anyhow::Result;
use std::path::{Component, Path, PathBuf};

const REQUIRED: &[(&str, &str)] = &[
    ("README.md", "it is the front door"),
    ("ARCHITECTURE.md", "it is the map: which folder does what, and what must hold"),
    ("CONTRIBUTING.md", "it says how to change something and see that it works"),
    ("SECURITY.md", "it says whom to tell of a hole"),
    ("CHANGELOG.md", "operators read it before they upgrade"),
    ("LICENSE", "without one nobody may use this"),
];

const DEAD: &str = "a dead link costs each reader a search";

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    let missing = REQUIRED.iter().filter(|(file, _)| !repo.has(file));
    let mut problems: Vec<_> = missing.map(|(file, why)| Problem::new(*file, "is missing", why)).collect();
    for file in repo.files_ending(&[".md"]) {
        let text = repo.read(file)?;
        let dead = links(&text).into_iter().filter(|(_, link)| !leads_somewhere(repo, file, link));
        problems.extend(
            dead.map(|(line, link)| Problem::new(format!("{file}:{line}"), format!("{link} is not there"), DEAD)),
        );
    }
    Ok(problems)
}

/// Targets of `[text](target)` that are paths, with the number of the line. Code is left alone.
fn links(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(markdown.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // every second piece stands between backquotes
        for prose in line.split('`').step_by(2) {
            let targets = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            let paths = targets.map(|t| t.trim_matches(['<', '>']).split('#').next().unwrap_or_default());
            found.extend(paths.filter(|p| !p.is_empty() && !is_url(p)).map(|p| (number, p)));
        }
    }
    found
}

fn is_url(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// A file or a folder of the repository; `/…` means its root, as on code hosts.
fn leads_somewhere(repo: &Repo, document: &str, link: &str) -> bool {
    let path = match link.strip_prefix('/') {
        Some(absolute) => PathBuf::from(absolute),
        None => Path::new(document).parent().unwrap_or(Path::new("")).join(link),
    };
    let Some(path) = without_dots(&path) else { return false };
    let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
    repo.has(&path) || repo.files.iter().any(|f| f.starts_with(&folder))
}

/// `docs/../a/./b` → `a/b`. `None` if it leaves the repository.
fn without_dots(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture;

    #[test]
    fn links_are_followed() {
        let text = "[a](docs/a.md) ![b](docs/) [c](docs/a.md#part \"title\") [d](#here) [e](https://x/y) [f](<docs/a.md>)\n\
                    `[code](no)`\n```\n[code](no)\n```\n[gone](docs/gone.md), [out](../../x), [root](/docs/a.md)\n";
        let (repo, _dir) = fixture::files(&[("README.md", text), ("docs/a.md", "[up](../README.md) [x](b.md)")]);
        let dead: Vec<_> = check(&repo).unwrap().into_iter().filter(|p| p.why == DEAD).collect();
        let at: Vec<_> = dead.iter().map(|p| format!("{} {}", p.at, p.what)).collect();
        assert_eq!(
            at,
            [
                "README.md:6 docs/gone.md is not there",
                "README.md:6 ../../x is not there",
                "docs/a.md:1 b.md is not there"
            ]
        );
    }

    #[test]
    fn required_documents() {
        let (repo, _dir) = fixture::files(&[("README.md", ""), ("LICENSE", "")]);
        let missing: Vec<_> = check(&repo).unwrap().into_iter().map(|p| p.at).collect();
        assert_eq!(missing, ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]);
    }
}
