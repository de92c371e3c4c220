//! Files that can be read in one sitting.

use super::Problem;
use crate::repo::Repo;
use anyhow::Result;

const LIMIT: usize = 800;

const WHY: &str = "a file is read top to bottom in one sitting; split it, or, if it is a list, say so in xtask";

/// What counts as a file one reads.
const READ: &[&str] = &[".rs", ".py", ".sh", ".sql", ".md", ".awk"];

/// Longer files, each with the reason why that does no harm.
const LONG: &[(&str, &str)] = &[("tests/upgrade/0006.sql", "rows of a database, which a program wrote")];

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    judge(repo, LONG)
}

fn judge(repo: &Repo, allowed: &[(&str, &str)]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in repo.files_ending(READ) {
        let lines = repo.read(file)?.lines().count();
        let allowed = allowed.iter().any(|(long, _)| *long == file);
        if lines > LIMIT && !allowed {
            problems.push(Problem::new(file, format!("{lines} lines, more than {LIMIT}"), WHY));
        }
        if lines <= LIMIT && allowed {
            problems.push(Problem::new(file, "is on the list of long files, but is not long", WHY));
        }
    }
    let gone = allowed.iter().filter(|(file, _)| !repo.has(file));
    problems.extend(gone.map(|(file, _)| Problem::new(*file, "is on the list of long files, but is gone", WHY)));
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture;

    #[test]
    fn long_short_allowed_and_gone() {
        let long = "x\n".repeat(LIMIT + 1);
        let just = "x\n".repeat(LIMIT);
        let (repo, _dir) =
            fixture::files(&[("long.rs", &long), ("just.rs", &just), ("listed.rs", &long), ("data.json", &long)]);
        let problems = judge(&repo, &[("listed.rs", "a list"), ("just.rs", "a list"), ("gone.rs", "a list")]).unwrap();
        let at: Vec<_> = problems.iter().map(|p| (p.at.as_str(), p.what.split(", ").last().unwrap())).collect();
        assert_eq!(at, [("just.rs", "but is not long"), ("long.rs", "more than 800"), ("gone.rs", "but is gone")]);
    }
}
