//! Migrations run in one order, everywhere.

use super::Problem;
use crate::repo::Repo;
use anyhow::Result;

const WHY: &str = "a database remembers the number of its last migration: a gap, a twin or a late one would be skipped";

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    let mut expected = 1;
    let mut problems = Vec::new();
    for file in repo.files.iter().filter(|f| f.starts_with("migrations/")) {
        match number(file) {
            None => problems.push(Problem::new(file, "is not named NNNN_name.sql", WHY)),
            Some(n) => {
                if n != expected {
                    problems.push(Problem::new(file, format!("has number {n:04}; expected {expected:04}"), WHY));
                }
                expected = n + 1;
            }
        }
    }
    Ok(problems)
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
