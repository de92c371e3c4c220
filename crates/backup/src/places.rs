//! Where image data is in a restored cloud.

use crate::Manifest;
use crate::write::key_of;
use platform_db::Value;
use platform_db::transfer::Table;
use std::collections::BTreeSet;
use std::path::Path;

/// Puts the rows of one table right, of those that say where image data is.
pub(crate) struct Places<'a> {
    what: What,
    manifest: &'a Manifest,
    /// The new folder.
    images: &'a Path,
    /// Images that have their copy.
    placed: BTreeSet<String>,
}

enum What {
    Other,
    Leftovers,
    /// Columns by their places; schemas before 0008 have no store.
    Locations {
        image: usize,
        url: usize,
        store: Option<usize>,
    },
}

impl<'a> Places<'a> {
    pub(crate) fn of(table: &Table, manifest: &'a Manifest, images: &'a Path) -> Self {
        let column = |name: &str| table.columns.iter().position(|(column, _)| column == name);
        let what = match (table.name.as_str(), column("image_id"), column("url")) {
            ("image_leftovers", ..) => What::Leftovers,
            ("image_locations", Some(image), Some(url)) => What::Locations { image, url, store: column("store") },
            _ => What::Other,
        };
        Self { what, manifest, images, placed: BTreeSet::new() }
    }

    /// `false`: the row is left out.
    pub(crate) fn put_right(&mut self, row: &mut [Value]) -> bool {
        let (image, url, store) = match self.what {
            What::Other => return true,
            What::Leftovers => return false,
            What::Locations { image, url, store } => (image, url, store),
        };
        let (Value::Text(Some(id)), Value::Text(Some(old))) = (&row[image], &row[url]) else { return true };
        let key = match self.manifest.copies.get(id) {
            Some(_) if !self.placed.insert(id.clone()) => return false,
            Some(key) => key.as_str(),
            None if old.starts_with("file://") => key_of(old),
            None => return true,
        };
        row[url] = Value::from(format!("file://{}", self.images.join(key).display()));
        if let Some(store) = store {
            row[store] = Value::from("");
        }
        true
    }
}
