//! Extra specs and image properties that only some hosts can fulfil: as traits, and a few as resources.

use super::{Demand, either};
use crate::Config;
use compute_model::spec::{FlavorSpec, ImageSpec};

/// (extra spec, value, trait). The image property is the same with `_` for `:`.
const VALUES: &[(&str, &str, &str)] = &[
    ("os:secure_boot", "required", "COMPUTE_SECURITY_UEFI_SECURE_BOOT"),
    ("hw:maxphysaddr_mode", "passthrough", "COMPUTE_ADDRESS_SPACE_PASSTHROUGH"),
    ("hw:maxphysaddr_mode", "emulate", "COMPUTE_ADDRESS_SPACE_EMULATED"),
    ("hw:pci_numa_affinity_policy", "socket", "COMPUTE_SOCKET_PCI_NUMA_AFFINITY"),
    ("hw:tpm_version", "1.2", "COMPUTE_SECURITY_TPM_1_2"),
    ("hw:tpm_version", "2.0", "COMPUTE_SECURITY_TPM_2_0"),
];

/// (image property, trait's first words): `image_metadata_prefilter`.
const PREFIXES: &[(&str, &str)] = &[
    ("hw_cdrom_bus", "COMPUTE_STORAGE_BUS"),
    ("hw_disk_bus", "COMPUTE_STORAGE_BUS"),
    ("hw_video_model", "COMPUTE_GRAPHICS_MODEL"),
    ("hw_vif_model", "COMPUTE_NET_VIF_MODEL"),
    ("hw_architecture", "HW_ARCH"),
    ("hw_emulation_architecture", "COMPUTE_ARCH"),
    ("hw_viommu_model", "COMPUTE_VIOMMU"),
];

pub(super) fn translate(demand: &mut Demand, flavor: &FlavorSpec, image: Option<&ImageSpec>) {
    for (key, value, name) in VALUES {
        if either(flavor, image, key) == Some(value) {
            demand.require(*name);
        }
    }
    if either(flavor, image, "hw:tpm_version").is_some() {
        let crb = either(flavor, image, "hw:tpm_model") == Some("tpm-crb");
        demand.require(if crb { "COMPUTE_SECURITY_TPM_CRB" } else { "COMPUTE_SECURITY_TPM_TIS" });
    }
    if either(flavor, image, "hw:mem_encryption").is_some_and(is_true) {
        let es = either(flavor, image, "hw:mem_encryption_model") == Some("amd-sev-es");
        demand.require(if es { "HW_CPU_X86_AMD_SEV_ES" } else { "HW_CPU_X86_AMD_SEV" });
        demand.unnamed.resources.insert("MEM_ENCRYPTION_CONTEXT".to_owned(), 1);
    }
    if image.and_then(|i| i.properties.get("hw_firmware_stateless")).is_some_and(|v| is_true(v)) {
        demand.require("COMPUTE_SECURITY_STATELESS_FIRMWARE");
    }
    for label in flavor.extra_specs.get("hw:pmem").into_iter().flat_map(|v| v.split(',')).map(str::trim) {
        if !label.is_empty() {
            let class = format!("CUSTOM_PMEM_NAMESPACE_{}", normal(label));
            *demand.unnamed.resources.entry(class).or_default() += 1;
        }
    }
    if flavor.extra_specs.contains_key("accel:device_profile") {
        demand.root_required.insert("COMPUTE_ACCELERATORS".to_owned());
    }
}

/// Filters that operators switch on, to refuse hosts before they are looked at.
pub(super) fn prefilter(demand: &mut Demand, image: Option<&ImageSpec>, config: &Config) {
    let Some(image) = image else { return };
    if config.query_placement_for_image_type_support && !image.disk_format.is_empty() {
        demand.root_required.insert(format!("COMPUTE_IMAGE_TYPE_{}", normal(&image.disk_format)));
    }
    if config.image_metadata_prefilter {
        for (property, prefix) in PREFIXES {
            if let Some(value) = image.properties.get(*property) {
                demand.root_required.insert(format!("{prefix}_{}", normal(value)));
            }
        }
    }
}

/// As names of traits and classes are spelled.
fn normal(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    text.chars().map(plain).collect()
}

fn is_true(text: &str) -> bool {
    ["1", "t", "true", "on", "y", "yes"].contains(&text.trim().to_ascii_lowercase().as_str())
}
