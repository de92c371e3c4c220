//! What a guest is told about itself: the documents of the config drive and of the metadata service, for each of their
//! versions. Rendering only: who asks, and where it is written, is known elsewhere.

mod ec2;
mod openstack;
#[cfg(test)]
mod tests;

pub use ec2::EC2_VERSIONS;
pub use openstack::{OPENSTACK_VERSIONS, Place};

use crate::spec::InstanceSpec;
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::Value;
use std::net::IpAddr;

/// Python's decoder takes padding or leaves it; so must this one.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `random_seed` before it is encoded.
pub type Seed = [u8; 512];

/// The newest version under another name.
pub const LATEST: &str = "latest";

/// What follows host names unless an operator says otherwise: `[api] dhcp_domain` of Nova.
pub const DHCP_DOMAIN: &str = "novalocal";

/// EC2 versions that are not written to config drives: `[api] config_drive_skip_versions`.
const NOT_ON_DRIVES: &[&str] =
    &["1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01"];

/// One guest, about to be described.
pub struct GuestMetadata<'a> {
    spec: &'a InstanceSpec,
    dhcp_domain: &'a str,
    network: Option<Value>,
    address: Option<IpAddr>,
    vendor_data: Value,
}

impl<'a> GuestMetadata<'a> {
    /// `dhcp_domain` follows the host name after a dot, unless it is empty.
    pub fn new(spec: &'a InstanceSpec, dhcp_domain: &'a str) -> Self {
        Self { spec, dhcp_domain, network: None, address: None, vendor_data: Value::Object(Default::default()) }
    }

    /// The content of `network_data.json`. Without it the document is an empty object.
    pub fn with_network(mut self, network: Value) -> Self {
        self.network = Some(network);
        self
    }

    /// The address the guest asks from: its `local-ipv4`, whatever its kind. A drive is written before there is one.
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The object of `[api] vendordata_jsonfile_path`.
    pub fn with_vendor_data(mut self, static_data: Value) -> Self {
        self.vendor_data = static_data;
        self
    }

    pub(crate) fn hostname(&self) -> String {
        match self.dhcp_domain {
            "" => self.spec.hostname.clone(),
            domain => format!("{}.{domain}", self.spec.hostname),
        }
    }

    /// Decoded. `None`: the server has none, or what it has is no base64.
    pub fn user_data(&self) -> Option<Vec<u8>> {
        decoded(self.spec.user_data.as_deref()?)
    }

    /// What `openstack/content/NNNN` holds, by its number.
    pub fn content(&self, number: usize) -> Option<Vec<u8>> {
        decoded(&self.spec.files.get(number)?.contents)
    }

    /// Every file of the config drive: its path from the root, and its bytes. `seed` is asked once for each document
    /// that carries one.
    pub fn config_drive(&self, mut seed: impl FnMut() -> Seed) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let user_data = self.user_data();
        for version in versions(EC2_VERSIONS).filter(|v| !NOT_ON_DRIVES.contains(v)) {
            let Some(document) = self.ec2(version) else { continue };
            files.push((format!("ec2/{version}/meta-data.json"), json(&document)));
            if let Some(bytes) = &user_data {
                files.push((format!("ec2/{version}/user-data"), bytes.clone()));
            }
        }
        for version in versions(OPENSTACK_VERSIONS) {
            let mut put = |name: &str, bytes| files.push((format!("openstack/{version}/{name}"), bytes));
            let Some(document) = self.meta_data(version, Place::ConfigDrive, &seed()) else { continue };
            put("meta_data.json", json(&document));
            if let Some(bytes) = &user_data {
                put("user_data", bytes.clone());
            }
            let others = [
                ("vendor_data.json", self.vendor_data(version)),
                ("network_data.json", self.network_data(version)),
                ("vendor_data2.json", self.vendor_data2(version)),
            ];
            for (name, document) in others {
                if let Some(document) = document {
                    put(name, json(&document));
                }
            }
        }
        for number in 0..self.spec.files.len() {
            if let Some(bytes) = self.content(number) {
                files.push((format!("openstack{}", content_path(number)), bytes));
            }
        }
        files
    }
}

fn versions(all: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    all.iter().copied().chain([LATEST])
}

/// Whether a document of `version` has what came with `since`. `None`: there is no such version.
fn at_least(all: &[&str], version: &str) -> Option<impl Fn(&str) -> bool> {
    let version =
        if version == LATEST { all.last()? } else { all.iter().find(|v| **v == version)? }.to_owned().to_owned();
    // dates sort as text, and `1.0` sorts before them
    Some(move |since: &str| version.as_str() >= since)
}

fn content_path(number: usize) -> String {
    format!("/content/{number:04}")
}

fn json(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

fn decoded(base64: &str) -> Option<Vec<u8>> {
    let compact: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    LENIENT.decode(compact).ok()
}

fn encoded(seed: &Seed) -> String {
    STANDARD.encode(seed)
}
