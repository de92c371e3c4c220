//! What a guest calls its disks, as far as it can be said beforehand.

use crate::spec::InstanceSpec;

/// `/dev/…` names. Disks come in the order root, ephemeral, swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNames {
    pub root: String,
    pub ephemeral: Option<String>,
    pub swap: Option<String>,
}

/// What Linux calls disks on that bus (`hw_disk_bus`), before their letter. IDE disks have been `sd*` for long.
pub fn prefix(bus: Option<&str>) -> &'static str {
    match bus {
        Some("scsi" | "sata" | "ide" | "usb") => "sd",
        Some("xen") => "xvd",
        _ => "vd",
    }
}

pub fn of(spec: &InstanceSpec) -> DeviceNames {
    let bus = spec.image.as_ref().and_then(|i| i.properties.get("hw_disk_bus"));
    let prefix = prefix(bus.map(String::as_str));
    let mut letters = 'a'..='z';
    let mut next = || format!("/dev/{prefix}{}", letters.next().unwrap_or('z'));
    let root = next();
    let ephemeral = (spec.flavor.ephemeral_disk.0 > 0).then(&mut next);
    let swap = (spec.flavor.swap.0 > 0).then(&mut next);
    DeviceNames { root, ephemeral, swap }
}
