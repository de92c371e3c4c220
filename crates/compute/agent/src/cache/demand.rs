//! What images must prove before a guest gets them: Nova's verification of signatures and certificates.

use crate::cache::{CacheError, Inner};
use base::{ImageId, RequestContext};
use image_signatures::{Certificates, NoCertificates, Refusal, Signed};
use std::sync::Arc;

/// What the operator demands of every image, with the names of Nova's `[glance]` options where they differ.
#[derive(Clone)]
pub struct Demands {
    /// Every image must be signed: `verify_glance_signatures`. Otherwise only those of servers that name certificates.
    pub verify_signatures: bool,
    /// And its certificate be trusted: `enable_certificate_validation`.
    pub validate_certificates: bool,
    /// Those trusted where a server names none, by their UUIDs: `default_trusted_certificate_ids`.
    pub default_trusted: Vec<String>,
    /// Where certificates are.
    pub certificates: Arc<dyn Certificates>,
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            verify_signatures: false,
            validate_certificates: false,
            default_trusted: Vec::new(),
            certificates: Arc::new(NoCertificates),
        }
    }
}

/// What one server's images must prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Their signature's certificate must go back to these. `None`: any certificate that the site keeps will do.
    trusted: Option<Vec<String>>,
}

impl Demands {
    /// `trusted`: what the server names. `None`: its images need prove nothing.
    pub(crate) fn of(&self, trusted: &[String]) -> Option<Demand> {
        let default = || self.validate_certificates.then(|| self.default_trusted.clone());
        let trusted = Some(trusted.to_vec()).filter(|named| !named.is_empty()).or_else(default);
        (trusted.is_some() || self.verify_signatures).then_some(Demand { trusted })
    }
}

impl Inner {
    /// The image's signature, by a certificate that is good enough: what is left to prove is the data.
    pub(super) async fn signature(&self, id: ImageId, demand: &Demand) -> Result<Signed, CacheError> {
        let image = self.source.show(&RequestContext::internal(), id).await;
        let image = image.map_err(CacheError::from_source(id))?;
        let unproven = |refusal| CacheError::Unproven { id, refusal };
        let (kept, now) = (&*self.demands.certificates, self.clock.now());
        let signed = Signed::required(&image.properties, kept, now).await.map_err(unproven)?;
        match &demand.trusted {
            None => {}
            Some(none) if none.is_empty() => return Err(unproven(Refusal::NotGood(NOBODY_TRUSTED.to_owned()))),
            Some(trusted) => signed.trusted_by(trusted, kept, now).await.map_err(unproven)?,
        }
        Ok(signed)
    }
}

/// Nova's words.
const NOBODY_TRUSTED: &str = "Image signature certificate validation enabled, but no trusted certificate IDs were \
    provided. Unable to validate the certificate used to verify the image signature.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_demands_what() {
        let certificates = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let of = |verify_signatures, validate_certificates, default: &[&str], named: &[&str]| {
            let default_trusted = certificates(default);
            let demands = Demands { verify_signatures, validate_certificates, default_trusted, ..Demands::default() };
            demands.of(&certificates(named)).map(|demand| demand.trusted)
        };
        assert_eq!(of(false, false, &[], &[]), None);
        assert_eq!(of(true, false, &[], &[]), Some(None));
        assert_eq!(of(true, false, &["d"], &[]), Some(None));
        assert_eq!(of(true, true, &["d"], &[]), Some(Some(certificates(&["d"]))));
        assert_eq!(of(true, true, &[], &[]), Some(Some(vec![])), "nobody is trusted, so nothing is");
        for (verify, validate) in [(false, false), (true, false), (true, true)] {
            assert_eq!(of(verify, validate, &["d"], &["s"]), Some(Some(certificates(&["s"]))));
        }
    }
}
