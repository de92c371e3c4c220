//! Image stores, as the configuration names them.

use crate::config::{Image, ImageStore, StoreType};
use crate::data::DataDir;
use anyhow::{Context, Result, bail};
use base::Secret;
use image_backends::file::{DEFAULT_RESERVE, MountSettings};
use image_backends::http::check_prefix;
use image_backends::{
    ClientSettings, Clients, FileBackend, HttpBackend, MemoryBackend, S3Backend, S3Settings, SwiftBackend,
    SwiftSettings, client,
};
use image_model::{Backend, ONLY_STORE, Store, Stores};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The folder of a data folder's store `file`.
const FOLDER: &str = "images";

/// What nobody has finished for so long belongs to nobody.
const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long Swift's lists may take to have what was written.
const SETTLE: Duration = Duration::from_secs(60);

/// The folder of images in the data folder and nothing else.
pub(crate) fn only_folder(path: &Path) -> Result<Stores> {
    Ok(Stores::only(folder(path)?))
}

/// All stores of the site.
pub(crate) fn open_stores(config: &Image, data: &DataDir) -> Result<Stores> {
    let stores = open_each(config, data, |_| true)?;
    Ok(Stores::new(stores, config.default_name()?)?)
}

/// The stores that another process than the image-api sees as well: memory is its own. `None`: there is none.
pub(crate) fn stores_from_outside(config: &Image, data: &DataDir) -> Result<Option<Stores>> {
    let nothing_named = config.store_dir.is_empty() && config.stores.is_empty();
    if nothing_named && !data.sub(FOLDER).is_dir() {
        return Ok(None);
    }
    let stores = open_each(config, data, |kind| kind != StoreType::Memory)?;
    let default = config.default_name()?;
    let default = stores.iter().find(|s| s.name == default).or_else(|| stores.first()).map(|s| s.name.clone());
    default.map(|name| Ok(Stores::new(stores, &name)?)).transpose()
}

fn open_each(config: &Image, data: &DataDir, wanted: impl Fn(StoreType) -> bool) -> Result<Vec<Store>> {
    let mut stores = Vec::new();
    for name in config.store_names() {
        let section = config.stores.get(name);
        if !wanted(section.map_or(StoreType::File, |s| s.kind)) {
            continue;
        }
        let backend = match section {
            Some(section) => open(name, section, data),
            None => folder(&data.folder(&config.store_dir, FOLDER)),
        };
        stores.push(Store {
            name: name.to_owned(),
            description: section.map(|s| s.description.clone()).unwrap_or_default(),
            weight: section.map_or(0, |s| s.weight),
            backend: backend.with_context(|| format!("image store {name}"))?,
        });
    }
    Ok(stores)
}

fn open(name: &str, section: &ImageStore, data: &DataDir) -> Result<Arc<dyn Backend>> {
    match section.kind {
        StoreType::File if section.mount => {
            let (filesystem, patience) = (section.filesystem.clone(), patience(section));
            let settings = MountSettings { filesystem, patience };
            Ok(Arc::new(FileBackend::on_mount(&section.dir, DEFAULT_RESERVE, settings)))
        }
        StoreType::File => {
            let own = if name == ONLY_STORE { FOLDER.to_owned() } else { format!("{FOLDER}-{name}") };
            folder(&data.folder(&section.dir, &own))
        }
        StoreType::S3 => s3(section),
        StoreType::Swift => swift(section),
        StoreType::Http => {
            let below = section.below.iter().map(|url| check_prefix(url)).collect::<Result<_, _>>()?;
            Ok(Arc::new(HttpBackend::new(below, client(&reached(section)).context("ca_file")?)))
        }
        StoreType::Memory => Ok(Arc::new(MemoryBackend::new(section.capacity_bytes))),
    }
}

fn patience(section: &ImageStore) -> Duration {
    Duration::from_secs(section.timeout_secs)
}

fn reached(section: &ImageStore) -> ClientSettings {
    let ca_file = (!section.ca_file.is_empty()).then(|| (&section.ca_file).into());
    ClientSettings { timeout: patience(section), ca_file }
}

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn s3(section: &ImageStore) -> Result<Arc<dyn Backend>> {
    let (mut access, mut secret) = (section.access_key.clone(), section.secret_key.expose().to_owned());
    if !section.credentials_file.is_empty() {
        let file = &section.credentials_file;
        let text = std::fs::read_to_string(file).with_context(|| file.clone())?;
        let of = |key: &str| credential(&text, key).with_context(|| format!("{file} has no {key} in [default]"));
        (access, secret) = (of("aws_access_key_id")?, of("aws_secret_access_key")?);
    } else if access.is_empty() {
        (access, secret) = (environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"));
    }
    if access.is_empty() || secret.is_empty() {
        bail!("access_key and secret_key are missing: here, in credentials_file and in the environment");
    }
    let settings = S3Settings {
        endpoint: section.endpoint.parse().with_context(|| section.endpoint.clone())?,
        region: section.region.clone(),
        bucket: section.bucket.clone(),
        prefix: section.prefix.clone(),
        path_style: section.path_style,
        access_key: access,
        secret_key: Secret::new(secret),
        create_bucket: section.create,
        part_bytes: section.part_mib << 20,
        abandoned_after: ABANDONED_AFTER,
    };
    Ok(Arc::new(S3Backend::new(settings, Clients::open(&reached(section)).context("ca_file")?)?))
}

/// A value of the section `[default]`, in the form of AWS' own tools.
fn credential(text: &str, key: &str) -> Option<String> {
    let mut is_default = true;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_default = line == "[default]";
        } else if let Some((name, value)) = line.split_once('=')
            && is_default
            && name.trim() == key
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

fn swift(section: &ImageStore) -> Result<Arc<dyn Backend>> {
    let mut password = section.password.expose().to_owned();
    if !section.credentials_file.is_empty() {
        let file = &section.credentials_file;
        password = std::fs::read_to_string(file).with_context(|| file.clone())?.trim().to_owned();
    } else if password.is_empty() {
        password = environment("OS_PASSWORD");
    }
    if password.is_empty() {
        bail!("password is missing: here, in credentials_file and in the environment");
    }
    let settings = SwiftSettings {
        auth_url: section.auth_url.parse().with_context(|| section.auth_url.clone())?,
        username: section.username.clone(),
        password: Secret::new(password),
        user_domain_name: section.user_domain_name.clone(),
        project_name: section.project_name.clone(),
        project_domain_name: section.project_domain_name.clone(),
        region: section.region.clone(),
        interface: section.interface.clone(),
        endpoint: section.endpoint.clone(),
        container: section.container.clone(),
        create_container: section.create,
        part_bytes: section.part_mib << 20,
        abandoned_after: ABANDONED_AFTER,
        settle: SETTLE,
    };
    Ok(Arc::new(SwiftBackend::new(settings, Clients::open(&reached(section)).context("ca_file")?)))
}

fn folder(path: &Path) -> Result<Arc<dyn Backend>> {
    let backend = FileBackend::open(path, DEFAULT_RESERVE).with_context(|| path.display().to_string())?;
    Ok(Arc::new(backend))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_as_aws_keeps_them() {
        let text =
            "# mine\n[other]\naws_access_key_id = no\n[default]\naws_access_key_id = AK\naws_secret_access_key=s=e\n";
        assert_eq!(credential(text, "aws_access_key_id").as_deref(), Some("AK"));
        assert_eq!(credential(text, "aws_secret_access_key").as_deref(), Some("s=e"));
        assert_eq!(credential(text, "region"), None);
    }

    #[test]
    fn stores_that_need_no_server_to_be_opened() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let names = |config: &Image| -> Vec<String> {
            open_stores(config, &data).unwrap().names().map(str::to_owned).collect()
        };
        assert_eq!(names(&Image::default()), [ONLY_STORE]);
        let store = |kind| ImageStore { kind, ..ImageStore::default() };
        let s3 = ImageStore {
            endpoint: "https://s3.example".into(),
            region: "r".into(),
            access_key: "a".into(),
            secret_key: Secret::new("s"),
            ..store(StoreType::S3)
        };
        let swift = ImageStore {
            auth_url: "https://k.example/v3".into(),
            username: "u".into(),
            password: Secret::new("p"),
            ..store(StoreType::Swift)
        };
        let nfs = ImageStore { mount: true, dir: "/nowhere".into(), ..store(StoreType::File) };
        let web = ImageStore { below: vec!["https://images.example/".into()], ..store(StoreType::Http) };
        let sections = [
            ("cold", s3.clone()),
            ("file", store(StoreType::File)),
            ("nfs", nfs),
            ("slow", swift),
            ("tmp", store(StoreType::Memory)),
            ("web", web.clone()),
        ];
        let stores = sections.into_iter().map(|(n, s)| (n.to_owned(), s)).collect();
        let config = Image { default_store: "tmp".into(), stores, ..Image::default() };
        assert_eq!(names(&config), ["cold", "file", "nfs", "slow", "tmp", "web"]);
        assert!(dir.path().join("images").is_dir(), "the store `file` is the folder it always was");
        let outside = stores_from_outside(&config, &data).unwrap().unwrap();
        assert!(outside.names().all(|n| n != "tmp") && outside.default_store().name == "cold");

        let lacking = ImageStore { secret_key: Secret::default(), ..s3 };
        let config = Image { stores: [("cold".to_owned(), lacking)].into(), ..Image::default() };
        let error = format!("{:#}", open_stores(&config, &data).err().unwrap());
        assert!(error.contains("image store cold: access_key and secret_key are missing"), "{error}");
        let file = dir.path().join("ca.pem");
        for (text, words) in [(None, "No such file"), (Some("no PEM"), "there is no certificate in it")] {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let web = ImageStore { ca_file: file.display().to_string(), ..web.clone() };
            let config = Image { stores: [("web".to_owned(), web)].into(), ..Image::default() };
            let error = format!("{:#}", open_stores(&config, &data).err().unwrap());
            assert!(error.contains("image store web: ca_file: ") && error.contains(words), "{error}");
        }
    }
}
