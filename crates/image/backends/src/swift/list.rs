//! What is in the container: objects, and segments whose object never came or has gone.

use super::{Ask, Store};
use crate::failure::unanswered;
use crate::stamp;
use base::{Clock, SystemClock};
use image_model::{BackendError, Stored};
use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Entries asked for at once: what Swift gives at most by default.
const PAGE: usize = 10_000;

#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    last_modified: String,
}

/// `KEY-00001`
pub(super) fn segment(key: &str, number: u32) -> String {
    format!("{key}-{number:05}")
}

/// The key of the object that a segment is of. Keys of images do not look like this: after their last `.` no `-` comes.
pub(super) fn segment_of(name: &str) -> Option<&str> {
    let (key, number) = name.rsplit_once('-')?;
    let is_number = number.len() == 5 && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && !key.is_empty()).then_some(key)
}

impl Store {
    pub(super) async fn entries(&self, prefix: &str) -> Result<Vec<Entry>, BackendError> {
        let (mut all, mut marker) = (Vec::<Entry>::new(), String::new());
        let limit = PAGE.to_string();
        loop {
            let query = [("format", "json"), ("limit", &limit), ("prefix", prefix), ("marker", &marker)];
            let answer = match self
                .ask(&Ask { method: Method::GET, object: None, query: &query, carries: false }, |r| r)
                .await
            {
                // the container is made with the first image
                Err(BackendError::NotFound(_)) if self.settings.create_container => return Ok(all),
                other => other?,
            };
            let page: Vec<Entry> = answer.json().await.map_err(|e| unanswered("list a container", e))?;
            let Some(last) = page.last() else { return Ok(all) };
            marker.clone_from(&last.name);
            all.extend(page);
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<Stored>, BackendError> {
        let entries = self.entries("").await?;
        let mut segments: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in &entries {
            if let Some(key) = segment_of(&entry.name) {
                *segments.entry(key).or_default() += entry.bytes;
            }
        }
        let whole = entries.iter().filter(|e| segment_of(&e.name).is_none() && crate::is_plain(&e.name));
        let stored = |entry: &Entry| Stored {
            location: format!("{}{}", self.root, entry.name),
            size: entry.bytes + segments.get(entry.name.as_str()).copied().unwrap_or(0),
            modified: stamp(&entry.last_modified),
        };
        Ok(whole.map(stored).collect())
    }

    /// Removes old segments without an object.
    pub(super) async fn sweep(&self) -> Result<usize, BackendError> {
        let before = SystemClock.now().minus(self.settings.abandoned_after);
        let entries = self.entries("").await?;
        let is_there = |key: &str| entries.iter().any(|e| e.name == key);
        let mut newest: BTreeMap<&str, base::Timestamp> = BTreeMap::new();
        for entry in &entries {
            if let Some(key) = segment_of(&entry.name) {
                let newest = newest.entry(key).or_default();
                *newest = (*newest).max(stamp(&entry.last_modified));
            }
        }
        let mut swept = 0;
        for (key, _) in newest.into_iter().filter(|(key, newest)| *newest < before && !is_there(key)) {
            self.remove_segments(key).await?;
            swept += 1;
        }
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_keys() {
        let key = "2f4f5b1c-0c55-4d4e-9a3c-6f9d6a0a5d11.0c554d4e9a3c6f9d";
        assert_eq!(segment_of(&segment(key, 7)), Some(key));
        assert_eq!(segment_of(&segment(key, 99_999)), Some(key));
        for name in [key, "a-1", "a-123456", "-00001", "a-0000x"] {
            assert_eq!(segment_of(name), None, "{name}");
        }
    }
}
