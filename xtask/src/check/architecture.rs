//! ARCHITECTURE.md names the folder of every crate.

use super::Problem;
use crate::repo::Repo;
use anyhow::Result;

const MAP: &str = "ARCHITECTURE.md";
const WHY: &str = "the map must show every folder, or a reader cannot trust it";

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    // a missing map is the documents check's to report
    let text = if repo.has(MAP) { repo.read(MAP)? } else { return Ok(Vec::new()) };
    let paths = paths(&text);
    let folders = repo.crates.values().map(|c| &c.folder);
    let missing = folders.filter(|folder| !paths.contains(folder));
    Ok(missing.map(|folder| Problem::new(MAP, format!("does not mention {folder}"), WHY)).collect())
}

/// Words that may be paths, braces spelt out: `crates/image/{api,model}` names two.
fn paths(text: &str) -> Vec<String> {
    let in_path = |c: char| c.is_alphanumeric() || "/-_.{},".contains(c);
    let words = text.split(|c| !in_path(c)).flat_map(expand);
    words.map(|w| w.trim_matches(['/', '.', ',']).to_owned()).filter(|w| !w.is_empty()).collect()
}

fn expand(word: &str) -> Vec<String> {
    let Some((before, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![word.to_owned()] };
    let spelt = inside.split(',').map(|part| format!("{before}{part}{after}"));
    spelt.flat_map(|word| expand(&word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::{Crate, fixture};

    #[test]
    fn braces_are_spelt_out() {
        assert_eq!(expand("a/{b,c}/{d,e}"), ["a/b/d", "a/b/e", "a/c/d", "a/c/e"]);
        assert_eq!(expand("a/{b"), ["a/{b"]);
    }

    #[test]
    fn folders_must_be_named_in_full() {
        let text =
            "| `crates/image/{api,model}/` | images |\nSee crates/base, crates/compute/apiary and (bin/skyiron).";
        let (mut repo, _dir) = fixture::files(&[(MAP, text)]);
        for folder in ["crates/image/api", "crates/image/model", "crates/base", "bin/skyiron", "crates/compute/api"] {
            repo.crates.insert(folder.into(), Crate { folder: folder.into(), ..Crate::default() });
        }
        let missing: Vec<_> = check(&repo).unwrap().into_iter().map(|p| p.what).collect();
        assert_eq!(missing, ["does not mention crates/compute/api"]);
    }
}
