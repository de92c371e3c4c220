//! What a spec means for a host with disks. No I/O.

use crate::build::BuildError;
use crate::cache::{Demand, Wanted};
use base::Gib;
use compute_model::devices;
use compute_model::driver::DiskFormat;
use compute_model::spec::{ImageSpec, InstanceSpec};

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) root: Wanted,
    pub(crate) root_disk: RootDisk,
    pub(crate) kernel: Option<Wanted>,
    pub(crate) ramdisk: Option<Wanted>,
    pub(crate) command_line: String,
    pub(crate) ephemeral_bytes: Option<u64>,
    pub(crate) swap_bytes: Option<u64>,
    pub(crate) config_drive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootDisk {
    /// Of the image.
    pub(crate) format: DiskFormat,
    /// Of the flavor. `None`: as large as the image.
    pub(crate) bytes: Option<u64>,
}

impl Plan {
    /// Its images must prove that.
    pub(crate) fn proving(mut self, demand: Option<Demand>) -> Self {
        for wanted in [Some(&mut self.root), self.kernel.as_mut(), self.ramdisk.as_mut()].into_iter().flatten() {
            wanted.demand = demand.clone();
        }
        self
    }

    pub(crate) fn of(spec: &InstanceSpec) -> Result<Self, BuildError> {
        let image = spec.image.as_ref().ok_or(BuildError::NoImage)?;
        let hash = image.os_hash_algo.clone().zip(image.os_hash_value.clone());
        let other = |id: Option<base::ImageId>| id.map(|id| Wanted { id, hash: None, demand: None });
        let wish = image.properties.get("os_command_line").filter(|line| !line.trim().is_empty());
        Ok(Self {
            root: Wanted { id: image.id, hash, demand: None },
            root_disk: RootDisk {
                format: root_format(image)?,
                bytes: Some(spec.flavor.root_disk).filter(|g| *g > Gib(0)).map(Gib::bytes),
            },
            kernel: other(image.kernel_id()),
            ramdisk: other(image.ramdisk_id()),
            command_line: match wish {
                Some(line) => line.clone(),
                // the last console is the one that init writes to
                None => format!("root={} console=tty0 console=ttyS0", devices::of(spec).root),
            },
            ephemeral_bytes: Some(spec.flavor.ephemeral_disk.bytes()).filter(|b| *b > 0),
            swap_bytes: Some(spec.flavor.swap.bytes()).filter(|b| *b > 0),
            config_drive: spec.config_drive
                || image.properties.get("img_config_drive").is_some_and(|v| v == "mandatory"),
        })
    }
}

fn root_format(image: &ImageSpec) -> Result<DiskFormat, BuildError> {
    match image.disk_format.as_str() {
        "raw" | "ami" => Ok(DiskFormat::Raw),
        "qcow2" => Ok(DiskFormat::Qcow2),
        other => Err(BuildError::Unacceptable {
            id: image.id,
            why: format!("this host boots images of disk_format raw, qcow2 and ami, not {other}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::plan::tests::support::spec;

    pub(crate) mod support {
        use base::{ImageId, InstanceId, Mib, Timestamp};
        use compute_model::spec::{FlavorSpec, ImageSpec, InstanceSpec};

        pub(crate) fn spec(disk_format: &str, properties: &[(&str, &str)]) -> InstanceSpec {
            InstanceSpec {
                id: InstanceId::random(),
                project_id: "p".into(),
                user_id: "u".into(),
                name: "vm".into(),
                hostname: "vm".into(),
                flavor: FlavorSpec {
                    flavor_id: "1".into(),
                    name: "m1.tiny".into(),
                    vcpus: 1,
                    ram: Mib(128),
                    root_disk: base::Gib(1),
                    ephemeral_disk: base::Gib(0),
                    swap: Mib(64),
                    extra_specs: Default::default(),
                },
                image: Some(ImageSpec {
                    id: ImageId::random(),
                    name: None,
                    disk_format: disk_format.into(),
                    container_format: "bare".into(),
                    size_bytes: 512,
                    os_hash_algo: None,
                    os_hash_value: None,
                    min_disk: base::Gib(0),
                    min_ram: Mib(0),
                    properties: properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
                }),
                keypair: None,
                user_data: None,
                metadata: Default::default(),
                files: Vec::new(),
                config_drive: false,
                admin_pass: None,
                availability_zone: None,
                launch_index: 0,
                reservation_id: "r-1".into(),
                trusted_certificates: Vec::new(),
                created_at: Timestamp(0),
            }
        }
    }

    #[test]
    fn formats_that_boot() {
        use DiskFormat::{Qcow2, Raw};
        let cases = [
            ("raw", Some(Raw)),
            ("ami", Some(Raw)),
            ("qcow2", Some(Qcow2)),
            ("vmdk", None),
            ("aki", None),
            ("iso", None),
        ];
        for (name, format) in cases {
            let plan = Plan::of(&spec(name, &[]));
            assert_eq!(plan.as_ref().ok().map(|p| p.root_disk.format), format, "{name}");
            if let Err(e) = plan {
                assert!(!e.worth_retrying_elsewhere(), "{name}");
            }
        }
    }

    #[test]
    fn sizes_of_zero_mean_none() {
        let mut s = spec("raw", &[]);
        s.flavor.root_disk = Gib(0);
        let plan = Plan::of(&s).unwrap();
        assert_eq!((plan.root_disk.bytes, plan.ephemeral_bytes, plan.swap_bytes), (None, None, Some(64 << 20)));
        s.image = None;
        assert!(matches!(Plan::of(&s), Err(BuildError::NoImage)));
    }

    #[test]
    fn a_kernel_outside_gets_its_command_line() {
        let id = base::ImageId::random();
        let plan = Plan::of(&spec("ami", &[("kernel_id", &id.to_string()), ("hw_disk_bus", "scsi")])).unwrap();
        assert_eq!(plan.kernel.map(|w| w.id), Some(id));
        assert_eq!(plan.command_line, "root=/dev/sda console=tty0 console=ttyS0");
        let plan = Plan::of(&spec("ami", &[("os_command_line", "quiet"), ("img_config_drive", "mandatory")])).unwrap();
        assert_eq!((plan.command_line.as_str(), plan.config_drive), ("quiet", true));
    }
}
