//! All schemas of a service, found by operation and microversion.

use super::Schema;
use base::{Microversion, VersionRange};
use include_dir::Dir;
use std::collections::HashMap;

/// Schemas from a folder of files `<operation>[.query].<min>-<max>.json`, such as `servers.create.2.94-latest.json`.
/// Without `query` it is the request's body. Schemas of responses are left aside. Files are only indexed: each schema
/// is read and compiled at its first use.
#[derive(Debug)]
pub struct SchemaSet {
    bodies: HashMap<&'static str, Vec<Entry>>,
    queries: HashMap<&'static str, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    range: VersionRange,
    schema: Schema,
}

/// What the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Body,
    Query,
    Response,
}

impl SchemaSet {
    /// The error names the file whose name says nothing or whose content is not UTF-8.
    pub fn from_dir(dir: &Dir<'static>) -> Result<Self, String> {
        let mut texts = Vec::new();
        for file in dir.files() {
            let name = file.path().file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let text = file.contents_utf8().ok_or_else(|| format!("{name}: not UTF-8"))?;
            texts.push((name, text));
        }
        Self::from_files(texts)
    }

    /// The same from names and contents.
    pub fn from_files(files: impl IntoIterator<Item = (&'static str, &'static str)>) -> Result<Self, String> {
        let mut set = Self { bodies: HashMap::new(), queries: HashMap::new() };
        for (name, text) in files {
            let Some(stem) = name.strip_suffix(".json") else { continue };
            let (operation, part, range) = parse(stem).ok_or_else(|| format!("{name}: not OPERATION.MIN-MAX.json"))?;
            let index = match part {
                Part::Body => &mut set.bodies,
                Part::Query => &mut set.queries,
                Part::Response => continue,
            };
            index.entry(operation).or_default().push(Entry { range, schema: Schema::new(text) });
        }
        Ok(set)
    }

    /// What the body of an operation (`servers.create`) must look like. `None`: it takes none, or any.
    pub fn body(&self, operation: &str, version: Microversion) -> Option<&Schema> {
        find(&self.bodies, operation, version)
    }

    /// What the query string of an operation may hold. `None`: it takes any.
    pub fn query(&self, operation: &str, version: Microversion) -> Option<&Schema> {
        find(&self.queries, operation, version)
    }

    /// Compiles everything, for a service's tests. Returns how many schemas there are.
    pub fn compile_all(&self) -> Result<usize, String> {
        let mut count = 0;
        for (operation, entries) in self.bodies.iter().chain(&self.queries) {
            for entry in entries {
                entry.schema.compile().map_err(|e| format!("{operation} from {}: {e}", entry.range.min))?;
                count += 1;
            }
        }
        Ok(count)
    }
}

fn find<'a>(index: &'a HashMap<&str, Vec<Entry>>, operation: &str, version: Microversion) -> Option<&'a Schema> {
    index.get(operation)?.iter().find(|e| e.range.contains(version)).map(|e| &e.schema)
}

/// `servers.create.query.2.1-latest` → operation, part, versions.
fn parse(stem: &'static str) -> Option<(&'static str, Part, VersionRange)> {
    let (rest, max) = stem.rsplit_once('-')?;
    let (rest, minor) = rest.rsplit_once('.')?;
    let (rest, major) = rest.rsplit_once('.')?;
    let min = format!("{major}.{minor}").parse().ok()?;
    let max = if max == "latest" { None } else { Some(max.parse().ok()?) };
    let (operation, part) = match rest.rsplit_once('.') {
        Some((operation, "query")) => (operation, Part::Query),
        Some((operation, "response")) => (operation, Part::Response),
        _ => (rest, Part::Body),
    };
    Some((operation, part, VersionRange { min, max }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_picks_the_file() {
        let set = SchemaSet::from_files([
            ("servers.create.2.0-2.0.json", r#"{"enum": ["legacy"]}"#),
            ("servers.create.2.1-2.18.json", r#"{"enum": ["old"]}"#),
            ("servers.create.2.19-latest.json", r#"{"enum": ["new"]}"#),
            ("servers.os-start.2.1-latest.json", "{}"),
            ("servers.index.query.2.1-latest.json", "{}"),
            ("servers.index.response.2.1-latest.json", "not even JSON"),
            ("README.md", "not a schema"),
        ])
        .unwrap();
        let v = |minor| Microversion::new(2, minor);
        let takes = |minor, word: &str| set.body("servers.create", v(minor)).unwrap().check_body(&word.into()).is_ok();
        assert!(takes(0, "legacy") && takes(1, "old") && takes(18, "old") && takes(19, "new") && takes(104, "new"));
        assert!(!takes(19, "old") && !takes(1, "legacy"));
        assert!(set.body("servers.os-start", v(1)).is_some());
        assert!(set.query("servers.index", v(1)).is_some());
        assert!(set.body("servers.index", v(1)).is_none());
        assert!(set.body("servers.nothing", v(1)).is_none());
        assert_eq!(set.compile_all(), Ok(5));
    }

    #[test]
    fn bad_files_are_named() {
        for name in ["servers.json", "servers.create.2-3.json", "servers.create.2.1-newest.json"] {
            assert!(SchemaSet::from_files([(name, "{}")]).unwrap_err().starts_with(name));
        }
        let set = SchemaSet::from_files([("a.b.2.1-latest.json", r#"{"pattern": "("}"#)]).unwrap();
        assert!(set.compile_all().unwrap_err().starts_with("a.b from 2.1: pattern:"));
    }
}
