//! A row of `images` and what it becomes.

use base::{Gib, ImageId, Mib, ProjectId, Timestamp};
use image_model::{Image, RegistryError};
use platform_db::FromRow;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;

/// What [`Row`] reads, for `FROM images i`.
pub(crate) const COLUMNS: &str = "i.id, i.name, i.status, i.visibility, i.owner, i.disk_format, i.container_format, \
     i.min_disk, i.min_ram, i.size, i.virtual_size, i.checksum, i.os_hash_algo, i.os_hash_value, i.protected, \
     i.os_hidden, i.created_at, i.updated_at, i.revision";

#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) status: String,
    visibility: String,
    owner: Option<String>,
    pub(crate) disk_format: Option<String>,
    pub(crate) container_format: Option<String>,
    min_disk: i64,
    min_ram: i64,
    pub(crate) size: Option<i64>,
    virtual_size: Option<i64>,
    checksum: Option<String>,
    os_hash_algo: Option<String>,
    os_hash_value: Option<String>,
    protected: bool,
    os_hidden: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    revision: i64,
}

impl Row {
    /// Without tags, properties and locations, which have tables of their own.
    pub(crate) fn into_image(self) -> Result<Image, RegistryError> {
        Ok(Image {
            id: word("id", &self.id)?,
            name: self.name,
            status: word("status", &self.status)?,
            visibility: word("visibility", &self.visibility)?,
            owner: self.owner.map(ProjectId),
            disk_format: self.disk_format.as_deref().map(|w| word("disk_format", w)).transpose()?,
            container_format: self.container_format.as_deref().map(|w| word("container_format", w)).transpose()?,
            min_disk: Gib(amount(self.min_disk)),
            min_ram: Mib(amount(self.min_ram)),
            size: self.size.map(amount),
            virtual_size: self.virtual_size.map(amount),
            checksum: self.checksum,
            os_hash_algo: self.os_hash_algo,
            os_hash_value: self.os_hash_value,
            protected: self.protected,
            os_hidden: self.os_hidden,
            tags: Default::default(),
            properties: Default::default(),
            locations: Default::default(),
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            revision: amount(self.revision),
        })
    }
}

/// No amount in these tables is ever negative.
pub(crate) fn amount(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A word that the database should only have in known spellings.
pub(crate) fn word<T: FromStr>(column: &str, text: &str) -> Result<T, RegistryError>
where
    T::Err: Display,
{
    text.parse().map_err(|e| RegistryError::Internal(format!("images.{column} is {text:?}: {e}")))
}

/// A column that holds JSON.
pub(crate) fn json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, RegistryError> {
    serde_json::from_str(text).map_err(|e| RegistryError::Internal(format!("{column} cannot be read: {e}")))
}

pub(crate) fn image_id(text: &str) -> Result<ImageId, RegistryError> {
    word("id", text)
}
