//! Migrations run in one order, everywhere, and say what they mean to binaries that do not know them.

use super::Problem;
use crate::repo::Repo;
use anyhow::Result;

const WHY: &str = "a database remembers the number of its last migration: a gap, a twin or a late one would be skipped";

/// What takes something away from a binary that is one version older, or refuses what it writes.
const TAKES_AWAY: &[&str] =
    &["DROP TABLE", "DROP COLUMN", "RENAME TO", "RENAME COLUMN", "ALTER COLUMN", "SET NOT NULL"];

const WHY_CONTRACT: &str = "older binaries run on after everything but a contract: begin the file with the line `-- contract: why`, and release \
     it one version after the code that needs it no more";

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    let mut expected = 1;
    let mut problems = Vec::new();
    for file in repo.files.iter().filter(|f| f.starts_with("migrations/")) {
        match number(file) {
            None => problems.push(Problem::new(file, "is not named NNNN_name.sql", WHY)),
            Some(n) => {
                if let Some(what) = hidden_contract(&repo.read(file)?) {
                    problems.push(Problem::new(file, format!("takes something away: {what}"), WHY_CONTRACT));
                }
                if n != expected {
                    problems.push(Problem::new(file, format!("has number {n:04}; expected {expected:04}"), WHY));
                }
                expected = n + 1;
            }
        }
    }
    Ok(problems)
}

/// Why a file that is not called a contract is one. The rule of the first line is `platform-db`'s.
fn hidden_contract(sql: &str) -> Option<String> {
    let first = sql.lines().next().unwrap_or_default();
    if first.strip_prefix("--").is_some_and(|said| said.split(':').next().unwrap_or_default().trim() == "contract") {
        return None;
    }
    let code: String = sql.lines().map(|l| l.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let words = code.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    if let Some(what) = TAKES_AWAY.iter().find(|w| words.contains(**w)) {
        return Some((*what).to_owned());
    }
    let statements = words.split(';');
    statements
        .filter(|s| s.contains("ADD COLUMN") && s.contains("NOT NULL") && !s.contains("DEFAULT"))
        .map(|s| format!("a column older binaries do not fill: {}", s.trim()))
        .next()
}

/// Of `migrations/0001_platform.sql`.
fn number(file: &str) -> Option<u32> {
    let (digits, name) = file.strip_prefix("migrations/")?.strip_suffix(".sql")?.split_once('_')?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (digits.len() == 4 && !name.is_empty() && name.bytes().all(plain)).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture;

    fn whats(names: &[&str]) -> Vec<String> {
        let files: Vec<_> = names.iter().map(|n| (*n, "")).collect();
        let (repo, _dir) = fixture::files(&files);
        check(&repo).unwrap().into_iter().map(|p| format!("{} {}", p.at, p.what)).collect()
    }

    #[test]
    fn what_takes_away_must_be_called_a_contract() {
        for (sql, found) in [
            ("CREATE TABLE a (b TEXT NOT NULL);", false),
            ("-- DROP TABLE is what we do not do\nCREATE TABLE a (b TEXT);", false),
            ("ALTER TABLE a ADD COLUMN b BIGINT NOT NULL DEFAULT 0;", false),
            ("ALTER TABLE a ADD COLUMN b BIGINT;", false),
            ("ALTER TABLE a ADD COLUMN b BIGINT NOT NULL;", true),
            ("-- expand\ndrop\n  table a;", true),
            ("ALTER TABLE a RENAME COLUMN b TO c;", true),
            ("-- contract: nobody reads b\nALTER TABLE a DROP COLUMN b;", false),
            ("-- contracts of users\nALTER TABLE a DROP COLUMN b;", true),
        ] {
            assert_eq!(hidden_contract(sql).is_some(), found, "{sql}");
        }
    }

    #[test]
    fn sequence_and_names() {
        assert_eq!(whats(&["migrations/0001_a.sql", "migrations/0002_b_c2.sql", "other/9.sql"]), [""; 0]);
        for (files, want) in [
            (&["migrations/0002_a.sql"][..], "migrations/0002_a.sql has number 0002; expected 0001"),
            (
                &["migrations/0001_a.sql", "migrations/0003_b.sql", "migrations/0004_c.sql"],
                "migrations/0003_b.sql has number 0003; expected 0002",
            ),
            (
                &["migrations/0001_a.sql", "migrations/0001_b.sql"],
                "migrations/0001_b.sql has number 0001; expected 0002",
            ),
            (&["migrations/1_a.sql"], "migrations/1_a.sql is not named NNNN_name.sql"),
            (&["migrations/0001-a.sql"], "migrations/0001-a.sql is not named NNNN_name.sql"),
            (&["migrations/0001_A b.sql"], "migrations/0001_A b.sql is not named NNNN_name.sql"),
            (&["migrations/notes.txt"], "migrations/notes.txt is not named NNNN_name.sql"),
        ] {
            assert_eq!(whats(files), [want]);
        }
    }
}
