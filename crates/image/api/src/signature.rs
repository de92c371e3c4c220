//! Signed images: data that is not what its owner signed is refused, in the words of Glance, by which clients know it.

use crate::Glance;
use base::ImageId;
use image_model::Image;
use image_signatures::{HashMethod, Signed as Signature};
use platform_http::Fault;

/// What an image's data must prove to be before the image is active.
pub(crate) struct Signed {
    image: ImageId,
    signature: Signature,
}

impl Signed {
    /// `None`: the image has not all four properties, so nothing is verified.
    pub(crate) async fn of(glance: &Glance, image: &Image) -> Result<Option<Self>, Fault> {
        let signature = Signature::of(&image.properties, &*glance.certificates, glance.clock.now()).await;
        let signature = signature.map_err(|refusal| {
            let why = refusal.to_string();
            refused(image.id, &format!("Signature verification for the image failed: {}.", why.trim_end_matches('.')))
        })?;
        Ok(signature.map(|signature| Self { image: image.id, signature }))
    }

    /// How the data is to be hashed.
    pub(crate) fn method(&self) -> HashMethod {
        self.signature.method()
    }

    /// Whether data with that hash is what was signed.
    pub(crate) fn verify(&self, hash: &[u8]) -> Result<(), Fault> {
        if !self.signature.verifies(hash) {
            return Err(refused(self.image, "Signature verification failed"));
        }
        tracing::info!(image.id = %self.image, "the signature of image {} is verified", self.image);
        Ok(())
    }
}

fn refused(image: ImageId, why: &str) -> Fault {
    Fault::bad_request(format!("Signature verification failed for image {image}: {why}"))
}
