//! `[compute]`: words that it knows, and what must be true of it.

use super::{Compute, Image};
use anyhow::{Result, bail};
use compute_model::unified;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Nova's `[quota] driver`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum QuotaDriver {
    #[default]
    #[serde(rename = "DbQuotaDriver")]
    Db,
    #[serde(rename = "UnifiedLimitsDriver")]
    Unified,
}

/// What the list of resources is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    #[default]
    Require,
    Ignore,
}

impl Compute {
    pub(super) fn check(&self, image: &Image) -> Result<()> {
        if self.lease_secs < 2 {
            bail!("compute.lease_secs: {} is less than 2", self.lease_secs);
        }
        let (after, down) = (self.recover_after_secs, self.service_down_secs);
        if after > 0 && after < down {
            bail!("compute.recover_after_secs: {after} is less than compute.service_down_secs, {down}");
        }
        if self.recover_most_hosts == 0 {
            bail!("compute.recover_most_hosts: at least 1; compute.recover_after_secs = 0 switches recovery off");
        }
        for (key, ratio) in [
            ("cpu", self.cpu_allocation_ratio),
            ("ram", self.ram_allocation_ratio),
            ("disk", self.disk_allocation_ratio),
        ] {
            if !(ratio.is_finite() && ratio > 0.0) {
                bail!("compute.{key}_allocation_ratio: {ratio} is not a positive number");
            }
        }
        if let Some(name) = self.unified_limits_resource_list.iter().find(|name| !unified::is_resource(name)) {
            let known: Vec<&str> = unified::NAMES.iter().map(|(_, name)| *name).collect();
            bail!(
                "compute.unified_limits_resource_list: {name:?} is no resource; they are {}, class:DISK_GB and other classes",
                known.join(", ")
            );
        }
        self.check_certificates(image)
    }

    /// A demand that could not be met, or would not be made, is a mistake that nobody should find out by an attack.
    fn check_certificates(&self, image: &Image) -> Result<()> {
        if self.verify_image_signatures && image.certificates_dir.is_empty() {
            bail!("compute.verify_image_signatures: image.certificates_dir must say where the certificates are");
        }
        if self.enable_certificate_validation && !self.verify_image_signatures {
            bail!("compute.enable_certificate_validation: without compute.verify_image_signatures nothing is verified");
        }
        if !self.default_trusted_certificate_ids.is_empty() && !self.enable_certificate_validation {
            bail!("compute.default_trusted_certificate_ids: compute.enable_certificate_validation is off");
        }
        match self.default_trusted_certificate_ids.iter().find(|id| Uuid::try_parse(id).is_err()) {
            Some(id) => bail!("compute.default_trusted_certificate_ids: {id:?} is not a UUID"),
            None => Ok(()),
        }
    }
}
