//! Where data waits for its import: a folder of this node, with bounds.

use crate::Glance;
use crate::data::key;
use crate::fault;
use base::ImageId;
use bytes::Bytes;
use image_model::{Backend, BackendError, ByteStream, RegistryError, Writer};
use platform_http::Fault;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Cheap to clone.
#[derive(Clone)]
pub struct Staging {
    backend: Arc<dyn Backend>,
    node: Arc<str>,
    space: Arc<Space>,
}

/// Bytes that are staged or promised, by key.
struct Space {
    most: Option<u64>,
    taken: Mutex<HashMap<String, u64>>,
}

impl Space {
    fn taken(&self) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Makes what `key` takes at least `bytes`.
    fn take(&self, key: &str, bytes: u64) -> Result<(), BackendError> {
        let mut taken = self.taken();
        let before = taken.get(key).copied().unwrap_or(0);
        let others: u64 = taken.values().sum::<u64>() - before;
        if self.most.is_some_and(|most| others.saturating_add(bytes) > most) {
            return Err(BackendError::Full("There is not enough space left in the staging area.".to_owned()));
        }
        taken.insert(key.to_owned(), before.max(bytes));
        Ok(())
    }
    fn give_back(&self, key: &str) {
        self.taken().remove(key);
    }
}

impl Staging {
    /// `node` names the folder: whoever has the same one, now or after a restart, has the same name. `most`: bytes that
    /// may be in it. Takes note of what is in it already.
    pub async fn open(backend: Arc<dyn Backend>, node: &str, most: Option<u64>) -> Result<Self, BackendError> {
        let mut taken = HashMap::new();
        for stored in backend.list().await? {
            taken.insert(key_of(&stored.location).to_owned(), stored.size);
        }
        let space = Space { most, taken: Mutex::new(taken) };
        Ok(Self { backend, node: node.into(), space: Arc::new(space) })
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(crate) async fn create(
        &self,
        image: ImageId,
        upload: &str,
        expected: Option<u64>,
    ) -> Result<Box<dyn Writer>, BackendError> {
        let key = key(image, upload);
        self.space.take(&key, expected.unwrap_or(0))?;
        match self.backend.create(&key, expected).await {
            Ok(writer) => Ok(Box::new(Bounded { writer: Some(writer), staging: self.clone(), key, written: 0 })),
            Err(e) => {
                self.space.give_back(&key);
                Err(e)
            }
        }
    }

    pub(crate) async fn open_staged(&self, image: ImageId, upload: &str) -> Result<(ByteStream, u64), BackendError> {
        let location = self.location(image, upload);
        let size = self.backend.size(&location).await?;
        Ok((self.backend.open(&location, None).await?, size))
    }

    /// A file without a name, which goes when it is closed, and the right to fill it. `None`: this is no folder.
    pub(crate) fn unnamed(&self) -> Result<Option<(File, Reserved)>, BackendError> {
        let Some(folder) = self.folder() else { return Ok(None) };
        let file = tempfile::tempfile_in(&folder)
            .map_err(|source| BackendError::Io { operation: format!("make a file in {}", folder.display()), source })?;
        let key = base::entropy::uuid().to_string();
        Ok(Some((file, Reserved { space: self.space.clone(), key })))
    }

    /// What is staged, as a file.
    pub(crate) fn file(&self, image: ImageId, upload: &str) -> Result<Option<File>, BackendError> {
        let Some(folder) = self.folder() else { return Ok(None) };
        let path = folder.join(key(image, upload));
        let opened = File::open(&path);
        opened.map(Some).map_err(|source| BackendError::Io { operation: format!("open {}", path.display()), source })
    }

    fn folder(&self) -> Option<PathBuf> {
        let location = self.backend.location("x");
        Path::new(location.strip_prefix("file://")?).parent().map(Path::to_owned)
    }

    /// Bytes that may still be staged.
    pub(crate) fn left(&self) -> u64 {
        let taken: u64 = self.space.taken().values().sum();
        self.space.most.map_or(u64::MAX, |most| most.saturating_sub(taken))
    }

    fn location(&self, image: ImageId, upload: &str) -> String {
        self.backend.location(&key(image, upload))
    }

    /// What cannot be deleted now the janitor deletes.
    pub(crate) async fn remove(&self, image: ImageId, upload: &str) {
        self.remove_key(&key(image, upload)).await;
    }

    async fn remove_key(&self, key: &str) {
        match self.backend.delete(&self.backend.location(key)).await {
            Ok(()) => self.space.give_back(key),
            Err(error) => tracing::warn!(%error, key, "staged data could not be deleted; trying again later"),
        }
    }
}

/// Space in the staging area, until it is dropped.
pub(crate) struct Reserved {
    space: Arc<Space>,
    key: String,
}

impl Reserved {
    /// At least so much in all.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), BackendError> {
        self.space.take(&self.key, bytes)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.space.give_back(&self.key);
    }
}

fn key_of(location: &str) -> &str {
    location.rsplit('/').next().unwrap_or(location)
}

/// Takes space as it writes, and gives it back if it does not commit.
struct Bounded {
    writer: Option<Box<dyn Writer>>,
    staging: Staging,
    key: String,
    written: u64,
}

#[async_trait::async_trait]
impl Writer for Bounded {
    async fn write(&mut self, chunk: Bytes) -> Result<(), BackendError> {
        self.written += chunk.len() as u64;
        self.staging.space.take(&self.key, self.written)?;
        match &mut self.writer {
            Some(writer) => writer.write(chunk).await,
            None => Ok(()),
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<String, BackendError> {
        let Some(writer) = self.writer.take() else { return Ok(self.staging.backend.location(&self.key)) };
        let committed = writer.commit().await;
        if committed.is_err() {
            self.staging.space.give_back(&self.key);
        }
        committed
    }

    async fn abort(mut self: Box<Self>) {
        if let Some(writer) = self.writer.take() {
            writer.abort().await;
            self.staging.space.give_back(&self.key);
        }
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.staging.space.give_back(&self.key);
        }
    }
}

/// Deletes what is staged here and belongs to no image that waits for it.
pub(crate) async fn sweep(glance: &Glance) -> Result<(), RegistryError> {
    let Some(staging) = &glance.imports.settings.staging else { return Ok(()) };
    // first what is there, then what should be: what comes in between is not taken for rubbish
    let there = match staging.backend.list().await {
        Ok(there) => there,
        Err(error) => {
            tracing::warn!(%error, "the staging area could not be listed");
            return Ok(());
        }
    };
    if there.is_empty() {
        return Ok(());
    }
    let wanted = glance.registry.staged_keys(staging.node().to_owned()).await?;
    for stored in there {
        let key = key_of(&stored.location);
        if !wanted.iter().any(|w| key.starts_with(w.as_str())) {
            tracing::info!(key, size = stored.size, "removed staged data that no import waits for");
            staging.remove_key(key).await;
        }
    }
    if let Err(error) = staging.backend.sweep().await {
        tracing::warn!(%error, "the staging area could not be swept");
    }
    Ok(())
}

/// Staging, or the refusal where there is none.
pub(crate) fn here(glance: &Glance) -> Result<&Staging, Fault> {
    let none = || Fault::unavailable("There is no staging area at this site.");
    glance.imports.settings.staging.as_ref().ok_or_else(none)
}

pub(crate) fn refused(error: BackendError) -> Fault {
    fault::of_backend(error)
}
