//! `[image_import]`: what may be imported, from where, and within which bounds.

use anyhow::{Context, Result, bail};
use image_model::{DiskFormat, MethodName};
use platform_http::Network;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ImageImport {
    pub methods: Vec<String>,
    pub staging_dir: String,
    pub staging_max_bytes: u64,
    pub stage_keep_secs: u64,
    pub timeout_secs: u64,
    pub node_gone_secs: u64,
    pub at_once: usize,
    pub allowed_schemes: Vec<String>,
    pub disallowed_schemes: Vec<String>,
    pub allowed_hosts: Vec<String>,
    pub disallowed_hosts: Vec<String>,
    pub allowed_ports: Vec<u16>,
    pub disallowed_ports: Vec<u16>,
    pub allowed_networks: Vec<String>,
    pub min_bytes_per_minute: u64,
    pub unpack: bool,
    pub unpack_max_ratio: u64,
    pub convert_to: String,
    pub remote_properties: Vec<String>,
    pub inject_ignore_roles: Vec<String>,
    pub inject: BTreeMap<String, String>,
}

impl Default for ImageImport {
    fn default() -> Self {
        let s = image_api::ImportSettings::default();
        let filter = s.fetch.filter;
        Self {
            methods: ["glance-direct", "web-download", "copy-image"].map(str::to_owned).into(),
            staging_dir: String::new(),
            staging_max_bytes: 0,
            stage_keep_secs: s.stage_keep.as_secs(),
            timeout_secs: s.timeout.as_secs(),
            node_gone_secs: s.node_gone.as_secs(),
            at_once: s.at_once,
            allowed_schemes: filter.allowed_schemes,
            disallowed_schemes: filter.disallowed_schemes,
            allowed_hosts: filter.allowed_hosts,
            disallowed_hosts: filter.disallowed_hosts,
            allowed_ports: filter.allowed_ports,
            disallowed_ports: filter.disallowed_ports,
            allowed_networks: Vec::new(),
            min_bytes_per_minute: s.fetch.pace.window_bytes,
            unpack: s.unpack,
            unpack_max_ratio: s.unpack_max_ratio.unwrap_or(0),
            convert_to: String::new(),
            remote_properties: s.remote_properties,
            inject_ignore_roles: s.inject_ignore_roles,
            inject: BTreeMap::new(),
        }
    }
}

impl ImageImport {
    pub(crate) fn methods(&self) -> Result<Vec<MethodName>> {
        let known = MethodName::ALL.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(", ");
        let one =
            |name: &String| name.parse().with_context(|| format!("image_import.methods: {name:?} is none of {known}"));
        self.methods.iter().map(one).collect()
    }

    pub(crate) fn networks(&self) -> Result<Vec<Network>> {
        let one = |text: &String| text.parse::<Network>().context("image_import.allowed_networks");
        self.allowed_networks.iter().map(one).collect()
    }

    pub(crate) fn target(&self) -> Result<Option<DiskFormat>> {
        match self.convert_to.as_str() {
            "" => Ok(None),
            "raw" => Ok(Some(DiskFormat::Raw)),
            "qcow2" => Ok(Some(DiskFormat::Qcow2)),
            "vmdk" => Ok(Some(DiskFormat::Vmdk)),
            other => bail!("image_import.convert_to: {other:?} is none of raw, qcow2, vmdk"),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.methods()?;
        self.networks()?;
        self.target()?;
        if self.at_once == 0 {
            bail!("image_import.at_once: at least 1; image_import.methods = [] switches imports off");
        }
        Ok(())
    }
}
