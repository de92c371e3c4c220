//! ImagePropertiesFilter: the image's architecture, hypervisor type and vm mode are among those the host runs.

use crate::{Config, HostState, Request};
use std::cmp::Ordering;

pub(super) fn passes(h: &HostState, request: &Request<'_>, config: &Config) -> bool {
    let default_arch = config.image_properties_default_architecture.as_deref();
    let wanted: Vec<String> = [
        request.image_property("hw_architecture").or(default_arch).map(architecture),
        request.image_property("img_hv_type").map(hypervisor_type),
        request.image_property("hw_vm_mode").map(vm_mode),
    ]
    .into_iter()
    .flatten()
    .filter(|v| !v.is_empty())
    .collect();
    if wanted.is_empty() {
        return true;
    }
    h.host.supported_instances.iter().any(|supported| wanted.iter().all(|w| supported.contains(w)))
        && version_fits(h, request)
        && address_bits_fit(h, request)
}

fn architecture(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "i386" | "i486" | "i586" => "i686".to_owned(),
        "amd64" => "x86_64".to_owned(),
        other => other.to_owned(),
    }
}

fn hypervisor_type(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "xapi" => "xen".to_owned(),
        other => other.to_owned(),
    }
}

fn vm_mode(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "pv" => "xen".to_owned(),
        "hv" | "baremetal" => "hvm".to_owned(),
        other => other.to_owned(),
    }
}

/// `img_hv_requested_version`: `>=6.0,<7.2`. What cannot be read is not satisfied.
fn version_fits(h: &HostState, request: &Request<'_>) -> bool {
    let (Some(wanted), version) = (request.image_property("img_hv_requested_version"), h.host.hypervisor_version)
    else {
        return true;
    };
    if version == 0 {
        return true;
    }
    let have = [version / 1_000_000, version / 1000 % 1000, version % 1000];
    wanted.split(',').all(|one| holds(&have, one.trim()).unwrap_or(false))
}

fn holds(have: &[u64; 3], predicate: &str) -> Option<bool> {
    let op_len = predicate.find(|c: char| c.is_ascii_digit())?;
    let (op, number) = predicate.split_at(op_len);
    let mut wanted: Vec<u64> = number.split('.').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    wanted.resize(3, 0);
    let order = have.as_slice().cmp(&wanted);
    Some(match op.trim() {
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        _ => return None,
    })
}

/// A host that does not say how many it has is believed.
fn address_bits_fit(h: &HostState, request: &Request<'_>) -> bool {
    let wanted: Option<u64> = request.image_property("hw_maxphysaddr_bits").and_then(|v| v.parse().ok());
    let have = h.host.cpu_info.pointer("/maxphysaddr/bits").and_then(serde_json::Value::as_u64);
    match (wanted, have) {
        (Some(wanted), Some(have)) => have >= wanted,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn version_predicates() {
        let have = [7, 2, 0];
        for (predicate, expected) in [
            (">=7.2", Some(true)),
            (">= 7.2.1", Some(false)),
            ("<8", Some(true)),
            ("==7.2.0", Some(true)),
            ("!=7.2", Some(false)),
            ("7.2", None),
            ("~7.2", None),
            (">=x", None),
        ] {
            assert_eq!(holds(&have, predicate), expected, "{predicate}");
        }
    }
}
