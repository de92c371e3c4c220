//! Proving that data is what its owner signed.

use crate::cache::{Asked, CacheError, CachedImage, Inner, about_path};
use crate::files;
use base::ImageId;
use image_signatures::{Refusal, Signed};
use std::io::Read;
use std::path::Path;

impl Asked {
    /// Whether nothing is left to prove.
    pub(super) fn is_met_by(&self, image: &CachedImage) -> bool {
        self.mark().is_none_or(|mark| image.about.proven == Some(mark))
    }

    /// Of the signature, if one was asked for.
    pub(super) fn mark(&self) -> Option<String> {
        self.signed.as_ref().map(Signed::mark)
    }

    /// `hash` is that of the data, by the signature's method.
    pub(super) fn verify(&self, id: ImageId, signed: &Signed, hash: &[u8]) -> Result<(), CacheError> {
        if !signed.verifies(hash) {
            let refusal = Refusal::NotGood("The data, the signature and the certificate do not belong together".into());
            return Err(CacheError::Unproven { id, refusal });
        }
        tracing::info!(image = %id, "the signature of image {id} is verified");
        Ok(())
    }
}

impl Inner {
    /// Proves what is in the cache already, and notes that it is proven. What is not stays for those who do not ask.
    pub(super) async fn prove(&self, mut image: CachedImage, asked: &Asked) -> Result<CachedImage, CacheError> {
        let Some(signed) = asked.signed.as_ref().filter(|_| !asked.is_met_by(&image)) else { return Ok(image) };
        let (path, method) = (image.path.clone(), signed.method());
        let hash = files::off_loop(move || hashed(&path, method.hasher()));
        let hash = hash.await.map_err(CacheError::io("read", &image.path))?;
        asked.verify(image.id, signed, &hash)?;
        image.about.proven = Some(signed.mark());
        let (beside, about) = (about_path(&image.path), image.about.clone());
        files::off_loop(move || files::replace(&beside, &serde_json::to_vec(&about)?))
            .await
            .map_err(CacheError::io("note what is proven beside", &image.path))?;
        Ok(image)
    }
}

fn hashed(path: &Path, mut hasher: image_signatures::Hasher) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}
