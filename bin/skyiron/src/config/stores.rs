//! `[image.stores.NAME]`: one section a store. What a key is for depends on the store's `type`.

use anyhow::{Context, Result, bail};
use base::Secret;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoreType {
    File,
    S3,
    Swift,
    Http,
    Memory,
}

impl StoreType {
    fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
            Self::Swift => "swift",
            Self::Http => "http",
            Self::Memory => "memory",
        }
    }
}

/// Every key of every type; [`check`] says which belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ImageStore {
    #[serde(rename = "type")]
    pub kind: StoreType,
    pub description: String,
    pub weight: i64,
    pub dir: String,
    pub mount: bool,
    pub filesystem: String,
    pub timeout_secs: u64,
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub prefix: String,
    pub path_style: bool,
    pub access_key: String,
    pub secret_key: Secret,
    pub auth_url: String,
    pub username: String,
    pub password: Secret,
    pub user_domain_name: String,
    pub project_name: String,
    pub project_domain_name: String,
    pub interface: String,
    pub container: String,
    pub create: bool,
    pub credentials_file: String,
    pub part_mib: u64,
    pub below: Vec<String>,
    pub ca_file: String,
    pub capacity_bytes: u64,
}

impl Default for ImageStore {
    fn default() -> Self {
        Self {
            kind: StoreType::File,
            description: String::new(),
            weight: 0,
            dir: String::new(),
            mount: false,
            filesystem: String::new(),
            timeout_secs: 30,
            endpoint: String::new(),
            region: String::new(),
            bucket: "glance".into(),
            prefix: String::new(),
            path_style: false,
            access_key: String::new(),
            secret_key: Secret::default(),
            auth_url: String::new(),
            username: String::new(),
            password: Secret::default(),
            user_domain_name: "Default".into(),
            project_name: "service".into(),
            project_domain_name: "Default".into(),
            interface: "public".into(),
            container: "glance".into(),
            create: false,
            credentials_file: String::new(),
            part_mib: 8,
            below: Vec::new(),
            ca_file: String::new(),
            capacity_bytes: 1 << 30,
        }
    }
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
const S3: &[StoreType] = &[StoreType::S3];
const SWIFT: &[StoreType] = &[StoreType::Swift];
const OBJECTS: &[StoreType] = &[StoreType::S3, StoreType::Swift];
const HTTP: &[StoreType] = &[StoreType::Http];
const REMOTE: &[StoreType] = &[StoreType::S3, StoreType::Swift, StoreType::Http];
const WAITS: &[StoreType] = &[StoreType::File, StoreType::S3, StoreType::Swift, StoreType::Http];
const MEMORY: &[StoreType] = &[StoreType::Memory];
const TYPES: &[StoreType] = &[StoreType::File, StoreType::S3, StoreType::Swift, StoreType::Http, StoreType::Memory];

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
    key(FILE, "mount", "false", "`dir` is a mount (NFS): nothing is touched while nothing is mounted there."),
    key(FILE, "filesystem", "\"nfs4\"", "What must be mounted there, as the kernel calls it. Empty: anything."),
    key(S3, "endpoint", "\"https://s3.eu-central-1.amazonaws.com\"", "The server."),
    key(SWIFT, "endpoint", "\"\"", "The account's URL. Empty: what the catalog says."),
    key(OBJECTS, "region", "\"eu-central-1\"", "S3: signed with it. Swift: of the catalog's object store; empty: any."),
    key(S3, "bucket", "\"glance\"", "The bucket."),
    key(S3, "prefix", "\"\"", "What the names of objects begin with. Several clouds may share a bucket so."),
    key(S3, "path_style", "false", "https://ENDPOINT/BUCKET/… instead of https://BUCKET.ENDPOINT/…"),
    key(S3, "access_key", "\"\"", "Empty: of `credentials_file`, or of AWS_ACCESS_KEY_ID in the environment."),
    key(S3, "secret_key", "\"\"", "Empty: of `credentials_file`, or of AWS_SECRET_ACCESS_KEY in the environment."),
    key(SWIFT, "auth_url", "\"https://cloud.example:5000/v3\"", "Identity's v3."),
    key(SWIFT, "username", "\"glance\"", "Whose account it is."),
    key(SWIFT, "password", "\"\"", "Empty: the only line of `credentials_file`, or OS_PASSWORD in the environment."),
    key(SWIFT, "user_domain_name", "\"Default\"", "The user's domain."),
    key(SWIFT, "project_name", "\"service\"", "The project whose account it is."),
    key(SWIFT, "project_domain_name", "\"Default\"", "The project's domain."),
    key(SWIFT, "interface", "\"public\"", "The catalog's endpoint: public, internal or admin."),
    key(SWIFT, "container", "\"glance\"", "The container."),
    key(OBJECTS, "create", "false", "Makes the bucket or container if it is missing."),
    key(OBJECTS, "credentials_file", "\"\"", "S3: as ~/.aws/credentials, section [default]. Swift: the password."),
    key(OBJECTS, "part_mib", "8", "Larger images go in parts of so many MiB; an upload holds three of them in memory."),
    key(
        HTTP,
        "below",
        "[\"https://images.example/public/\"]",
        "Folders whose files may become images; nothing else may.",
    ),
    key(REMOTE, "ca_file", "\"\"", "File of certificates (PEM) to trust beside the system's."),
    key(WAITS, "timeout_secs", "30", "How long an answer may take; of a folder only if it is a mount."),
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
        let mut known = KEYS.iter().filter(|k| k.key == given).peekable();
        if known.peek().is_none() {
            let nearest = KEYS.iter().min_by_key(|k| super::distance(given, k.key)).map_or("", |k| k.key);
            bail!("unknown key \"image.stores.{name}.{given}\"; the nearest is {nearest:?}");
        }
        if !known.any(|k| k.types.is_empty() || k.types.contains(kind)) {
            bail!("image.stores.{name}.{given} is not for a store of type {:?}", kind.as_str());
        }
    }
    Ok(())
}

impl ImageStore {
    /// What no store of its type can do without, and what can be seen to be wrong from here.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        let needed: &[(&str, &str)] = match self.kind {
            StoreType::File | StoreType::Http | StoreType::Memory => &[],
            StoreType::S3 => &[("endpoint", &self.endpoint), ("region", &self.region), ("bucket", &self.bucket)],
            StoreType::Swift => {
                &[("auth_url", &self.auth_url), ("username", &self.username), ("container", &self.container)]
            }
        };
        if let Some((key, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
            bail!("image.stores.{name}.{key} is missing");
        }
        for (key, url) in [("endpoint", &self.endpoint), ("auth_url", &self.auth_url)] {
            if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
                bail!("image.stores.{name}.{key}: {url:?} does not begin with http:// or https://");
            }
        }
        if self.kind == StoreType::Http && self.below.is_empty() {
            bail!("image.stores.{name}.below: at least one folder, https://images.example/public/");
        }
        for url in &self.below {
            image_backends::http::check_prefix(url).with_context(|| format!("image.stores.{name}.below"))?;
        }
        if self.mount && !self.dir.starts_with('/') {
            bail!("image.stores.{name}.dir: a mount's full path, beginning with /");
        }
        if self.timeout_secs == 0 {
            bail!("image.stores.{name}.timeout_secs: at least 1");
        }
        if self.kind == StoreType::S3 && !(5..=4096).contains(&self.part_mib) || self.part_mib == 0 {
            bail!("image.stores.{name}.part_mib: {} (S3 takes parts of 5 MiB to 4096 MiB)", self.part_mib);
        }
        if !["public", "internal", "admin"].contains(&self.interface.as_str()) {
            bail!("image.stores.{name}.interface is one of public, internal, admin");
        }
        Ok(())
    }
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
        assert!(one("type = \"file\"\nmount = true\ndir = \"images\"").contains("full path"));
        assert!(one("type = \"s3\"\nendpoint = \"https://s\"").contains("image.stores.s.region is missing"));
        let s3 = "type = \"s3\"\nregion = \"r\"\n";
        assert!(one(&format!("{s3}endpoint = \"s3.example\"")).contains("http:// or https://"));
        assert!(one(&format!("{s3}endpoint = \"https://s\"\npart_mib = 1")).contains("5 MiB to 4096 MiB"));
        assert!(one(&format!("{s3}endpoint = \"https://s\"\ncontainer = \"c\"")).contains("not for a store of type"));
        assert!(one("type = \"swift\"\nauth_url = \"http://k/v3\"").contains("image.stores.s.username is missing"));
        assert!(one("type = \"http\"").contains("at least one folder"));
        let below = one("type = \"http\"\nbelow = [\"http://user:secret@images.example/\"]");
        assert!(below.contains("image.stores.s.below"), "{below}");
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
        known.dedup();
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
