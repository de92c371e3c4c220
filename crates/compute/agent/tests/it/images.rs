//! An image service in memory that counts, stalls, and damages on request.

use async_trait::async_trait;
use base::{Gib, ImageId, Mib, RequestContext, Timestamp};
use bytes::Bytes;
use compute_model::spec::ImageSpec;
use futures_util::{FutureExt, StreamExt, stream};
use image_model::{ByteStream, ContainerFormat, DiskFormat, Image, ImageSource, SourceError, Status, Visibility};
use sha2::Digest;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

#[derive(Clone)]
pub(crate) struct Images(Arc<Inner>);

struct Inner {
    images: Mutex<HashMap<ImageId, (Image, Bytes)>>,
    opens: AtomicU32,
    /// A stream's second half waits for a permit.
    gate: Semaphore,
    /// So many opens fail first.
    failures: AtomicU32,
}

impl Images {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            images: Mutex::default(),
            opens: AtomicU32::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            failures: AtomicU32::new(0),
        }))
    }

    pub(crate) fn opens(&self) -> u32 {
        self.0.opens.load(Ordering::SeqCst)
    }
    pub(crate) fn close_gate(&self) {
        self.0.gate.forget_permits(usize::MAX);
    }
    pub(crate) fn open_gate(&self) {
        self.0.gate.add_permits(1000);
    }
    pub(crate) fn fail_opens(&self, times: u32) {
        self.0.failures.store(times, Ordering::SeqCst);
    }

    /// Uploads an image; what it is goes into a server's spec.
    pub(crate) fn put(&self, format: DiskFormat, data: &[u8], properties: &[(&str, String)]) -> ImageSpec {
        let properties: BTreeMap<String, String> =
            properties.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        let digest = sha2::Sha512::digest(data).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let image = Image {
            id: ImageId::random(),
            name: None,
            status: Status::Active,
            visibility: Visibility::Public,
            owner: None,
            disk_format: Some(format),
            container_format: Some(ContainerFormat::Bare),
            min_disk: Gib(0),
            min_ram: Mib(0),
            size: Some(data.len() as u64),
            virtual_size: None,
            checksum: None,
            os_hash_algo: Some("sha512".into()),
            os_hash_value: Some(digest.clone()),
            protected: false,
            os_hidden: false,
            tags: Default::default(),
            properties: properties.clone(),
            locations: Vec::new(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            revision: 1,
        };
        let spec = ImageSpec {
            id: image.id,
            name: None,
            disk_format: format.to_string(),
            container_format: "bare".into(),
            size_bytes: data.len() as u64,
            os_hash_algo: image.os_hash_algo.clone(),
            os_hash_value: Some(digest),
            min_disk: Gib(0),
            min_ram: Mib(0),
            properties,
        };
        self.0.images.lock().unwrap().insert(image.id, (image, Bytes::copy_from_slice(data)));
        spec
    }

    /// The stored bytes are no longer what was uploaded.
    pub(crate) fn damage(&self, id: ImageId) {
        let mut images = self.0.images.lock().unwrap();
        let (_, data) = images.get_mut(&id).unwrap();
        let mut bytes = data.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        *data = bytes.into();
    }
}

#[async_trait]
impl ImageSource for Images {
    async fn show(&self, _cx: &RequestContext, id: ImageId) -> Result<Image, SourceError> {
        let images = self.0.images.lock().unwrap();
        images.get(&id).map(|(image, _)| image.clone()).ok_or(SourceError::NotFound(id))
    }

    async fn open(&self, _: &RequestContext, id: ImageId, _: Option<Range<u64>>) -> Result<ByteStream, SourceError> {
        self.0.opens.fetch_add(1, Ordering::SeqCst);
        let failing = self.0.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if failing.is_ok() {
            return Err(SourceError::Unavailable("it restarts".into()));
        }
        let data = self.0.images.lock().unwrap().get(&id).ok_or(SourceError::NotFound(id))?.1.clone();
        let (first, second) = (data.slice(..data.len() / 2), data.slice(data.len() / 2..));
        let inner = self.0.clone();
        let gated = async move {
            inner.gate.acquire().await.unwrap().forget();
            Ok(second)
        };
        Ok(stream::iter([Ok(first)]).chain(gated.into_stream()).boxed())
    }
}
