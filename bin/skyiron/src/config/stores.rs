//! `[image.stores.NAME]`: one section a store. What a key is for depends on the store's `type`.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoreType {
    File,
    Memory,
}

impl StoreType {
    fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Memory => "memory",
        }
    }
}

/// Every key of every type; [`check`] says which belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageStore {
    #[serde(rename = "type")]
    pub kind: StoreType,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub weight: i64,
    #[serde(default)]
    pub dir: String,
    #[serde(default = "default_capacity")]
    pub capacity_bytes: u64,
}

fn default_capacity() -> u64 {
    1 << 30
}

/// The types a key is for (none: all), the key, its default or an example, and what it means.
pub(crate) struct Key {
    types: &'static [StoreType],
    pub(crate) key: &'static str,
    value: &'static str,
    meaning: &'static str,
}

const fn key(types: &'static [StoreType], key: &'static str, value: &'static str, meaning: &'static str) -> Key {
    Key { types, key, value, meaning }
}

const FILE: &[StoreType] = &[StoreType::File];
const MEMORY: &[StoreType] = &[StoreType::Memory];
const TYPES: &[StoreType] = &[StoreType::File, StoreType::Memory];

pub(crate) const KEYS: &[Key] = &[
    key(&[], "type", "", "What kind of store it is."),
    key(&[], "description", "\"\"", "What users are told about it."),
    key(&[], "weight", "0", "Of an image's copies, that in the heaviest store is read first."),
    key(
        FILE,
        "dir",
        "\"\"",
        "The folder. Empty: images-NAME/ in the data folder, or images/ for the store called `file`.",
    ),
    key(MEMORY, "capacity_bytes", "1073741824", "Most bytes it holds. They are gone when the process is: for tests."),
];

/// What is wrong with a store's section, beside what its types say.
pub(crate) fn check(name: &str, section: &toml::Table) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) || name.starts_with("os_glance_") {
        bail!(
            "image.stores.{name}: a store's name has letters, digits, -, _ and ., and does not begin with os_glance_"
        );
    }
    let types: Vec<&str> = TYPES.iter().map(|t| t.as_str()).collect();
    let Some(kind) = section.get("type").and_then(|t| TYPES.iter().find(|k| Some(k.as_str()) == t.as_str())) else {
        bail!("image.stores.{name}.type is one of {}", types.join(", "));
    };
    for given in section.keys() {
        let Some(known) = KEYS.iter().find(|k| k.key == given) else {
            let nearest = KEYS.iter().min_by_key(|k| super::distance(given, k.key)).map_or("", |k| k.key);
            bail!("unknown key \"image.stores.{name}.{given}\"; the nearest is {nearest:?}");
        };
        if !known.types.is_empty() && !known.types.contains(kind) {
            bail!("image.stores.{name}.{given} is not for a store of type {:?}", kind.as_str());
        }
    }
    Ok(())
}

/// Every key of every type of store, as comments.
pub(crate) fn reference() -> String {
    let mut text = String::from("\n# Further image stores, one section each, by the name that clients use.\n");
    for kind in TYPES {
        text.push_str(&format!("\n# [image.stores.NAME]\n# type = \"{}\"\n", kind.as_str()));
        let keys = KEYS.iter().filter(|k| k.key != "type" && (k.types.is_empty() || k.types.contains(kind)));
        for key in keys {
            text.push_str(&format!("#   {}\n# {} = {}\n", key.meaning, key.key, key.value));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, parse};

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
    }

    fn stores(config: &Config) -> Vec<(&str, StoreType)> {
        config.image.stores.iter().map(|(n, s)| (n.as_str(), s.kind)).collect()
    }

    #[test]
    fn sections_by_name() {
        let text = "[image]\ndefault_store = \"fast\"\n[image.stores.fast]\ntype = \"file\"\ndir = \"/fast\"\nweight = 7\n\
                    [image.stores.tmp]\ntype = \"memory\"\n";
        let config = parse(text).unwrap();
        assert_eq!(stores(&config), [("fast", StoreType::File), ("tmp", StoreType::Memory)]);
        assert_eq!((config.image.stores["fast"].weight, config.image.stores["tmp"].capacity_bytes), (7, 1 << 30));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let one = |lines: &str| error(&format!("[image.stores.s]\n{lines}\n"));
        assert!(one("dir = \"/x\"").contains("image.stores.s.type is one of file"));
        assert!(one("type = \"flie\"").contains("is one of file"));
        assert!(one("type = \"file\"\ndri = \"/x\"").contains("the nearest is \"dir\""));
        assert!(one("type = \"memory\"\ndir = \"/x\"").contains("not for a store of type \"memory\""));
        assert!(one("type = \"file\"\nweight = \"7\"").contains("wrong type"));
        assert!(error("[image.stores.\"a b\"]\ntype = \"file\"").contains("a store's name"));
        assert!(error("[image.stores.os_glance_x]\ntype = \"file\"").contains("a store's name"));
        assert!(
            error("[image.stores.a]\ntype=\"file\"\n[image.stores.b]\ntype=\"file\"").contains("image.default_store")
        );
        assert!(
            error("[image]\ndefault_store = \"x\"\n[image.stores.a]\ntype=\"file\"").contains("image.default_store")
        );
        assert!(error("[image]\nstore_dir = \"/x\"\n[image.stores.file]\ntype=\"file\"").contains("image.store_dir"));
        let twice = "[image]\ndefault_store=\"a\"\n[image.stores.a]\ntype=\"file\"\ndir=\"/x\"\n[image.stores.b]\ntype=\"file\"\ndir=\"/x\"";
        assert!(error(twice).contains("the same folder"));
    }

    #[test]
    fn every_key_is_in_the_reference_and_is_one() {
        let section =
            toml::Table::try_from(&parse("[image.stores.s]\ntype=\"file\"").unwrap().image.stores["s"]).unwrap();
        let mut known: Vec<&str> = KEYS.iter().map(|k| k.key).collect();
        let mut is: Vec<&str> = section.keys().map(String::as_str).collect();
        known.sort_unstable();
        is.sort_unstable();
        assert_eq!(known, is);
        for key in KEYS {
            assert!(reference().contains(&format!("# {} =", key.key)), "{}", key.key);
        }
    }

    #[test]
    fn the_examples_of_the_reference_can_be_read() {
        for example in reference().split("# [image.stores.NAME]").skip(1) {
            let lines = example.lines().filter_map(|l| l.strip_prefix("# ")).filter(|l| !l.starts_with(' '));
            let text = lines.collect::<Vec<_>>().join("\n");
            parse(&format!("[image.stores.example]\n{text}\n")).unwrap_or_else(|e| panic!("{text}: {e:#}"));
        }
    }
}
