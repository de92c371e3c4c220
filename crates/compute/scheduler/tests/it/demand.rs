//! Flavors and images as placement is asked for them.

use crate::support::{flavor, image};
use compute_scheduler::{Config, Demand};

fn of(extra_specs: &[(&str, &str)], properties: &[(&str, &str)]) -> Demand {
    Demand::of(&flavor(extra_specs), Some(&image(properties)), false, &Config::default())
}

fn amounts(d: &Demand) -> Vec<(&str, u64)> {
    d.totals().into_iter().collect()
}

#[test]
fn a_plain_flavor() {
    let d = of(&[], &[]);
    // 20 root + 5 ephemeral + 1025 MiB of swap, rounded up
    assert_eq!(amounts(&d), [("DISK_GB", 27), ("MEMORY_MB", 2048), ("VCPU", 2)]);
    assert!(d.root_forbidden.contains("COMPUTE_STATUS_DISABLED"));
    assert!(d.unnamed.required.is_empty() && d.groups.is_empty());
    let from_volume = Demand::of(&flavor(&[]), None, true, &Config::default());
    assert_eq!(amounts(&from_volume), [("DISK_GB", 7), ("MEMORY_MB", 2048), ("VCPU", 2)]);
}

#[test]
fn extra_specs_replace_and_remove_amounts() {
    let d = of(&[("resources:VCPU", "0"), ("resources:CUSTOM_BARE", "1"), ("resources:MEMORY_MB", "x")], &[]);
    assert_eq!(amounts(&d), [("CUSTOM_BARE", 1), ("DISK_GB", 27), ("MEMORY_MB", 2048)]);
}

#[test]
fn groups_traits_and_policy() {
    let d = of(
        &[
            ("resources_nic:SRIOV_NET_VF", "2"),
            ("trait_nic:CUSTOM_FAST", "required"),
            ("trait:HW_CPU_X86_AVX", "required"),
            ("trait:CUSTOM_OLD", "forbidden"),
            ("trait:CUSTOM_ODD", "maybe"),
            ("group_policy", "isolate"),
            ("resources bad:VCPU", "9"),
        ],
        &[("trait:HW_CPU_X86_VMX", "required"), ("trait:CUSTOM_NO", "forbidden")],
    );
    let nic = &d.groups["_nic"];
    assert_eq!(nic.resources["SRIOV_NET_VF"], 2);
    assert!(nic.required.contains("CUSTOM_FAST"));
    let required: Vec<&str> = d.unnamed.required.iter().map(String::as_str).collect();
    assert_eq!(required, ["HW_CPU_X86_AVX", "HW_CPU_X86_VMX"]);
    let forbidden: Vec<&str> = d.unnamed.forbidden.iter().map(String::as_str).collect();
    assert_eq!(forbidden, ["CUSTOM_OLD"]);
    assert!(d.isolate);
    assert_eq!(d.totals()["VCPU"], 2);
}

#[test]
fn processors_of_its_own() {
    assert_eq!(of(&[("hw:cpu_policy", "dedicated")], &[]).totals().get("PCPU"), Some(&2));
    assert_eq!(of(&[("hw:cpu_policy", "dedicated")], &[]).totals().get("VCPU"), None);
    assert_eq!(of(&[], &[("hw_cpu_policy", "dedicated")]).totals().get("PCPU"), Some(&2));
    let isolated = of(&[("hw:cpu_policy", "dedicated"), ("hw:emulator_threads_policy", "isolate")], &[]);
    assert_eq!(isolated.totals()["PCPU"], 3);
    let mixed = of(&[("hw:cpu_policy", "mixed"), ("hw:cpu_dedicated_mask", "^0")], &[]);
    assert_eq!((mixed.totals()["PCPU"], mixed.totals()["VCPU"]), (1, 1));
    assert!(of(&[("hw:cpu_thread_policy", "isolate")], &[]).unnamed.forbidden.contains("HW_CPU_HYPERTHREADING"));
    assert!(of(&[("hw:cpu_thread_policy", "require")], &[]).unnamed.required.contains("HW_CPU_HYPERTHREADING"));
}

#[test]
fn special_hardware_becomes_traits() {
    for (extra_specs, properties, expected) in [
        (&[("os:secure_boot", "required")][..], &[][..], &["COMPUTE_SECURITY_UEFI_SECURE_BOOT"][..]),
        (&[], &[("os_secure_boot", "required")], &["COMPUTE_SECURITY_UEFI_SECURE_BOOT"]),
        (&[("hw:tpm_version", "2.0")], &[], &["COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_TIS"]),
        (
            &[("hw:tpm_version", "1.2"), ("hw:tpm_model", "tpm-crb")],
            &[],
            &["COMPUTE_SECURITY_TPM_1_2", "COMPUTE_SECURITY_TPM_CRB"],
        ),
        (&[("hw:maxphysaddr_mode", "emulate")], &[], &["COMPUTE_ADDRESS_SPACE_EMULATED"]),
        (&[], &[("hw_firmware_stateless", "True")], &["COMPUTE_SECURITY_STATELESS_FIRMWARE"]),
        (&[("hw:mem_encryption", "true")], &[], &["HW_CPU_X86_AMD_SEV"]),
    ] {
        let d = of(extra_specs, properties);
        let required: Vec<&str> = d.unnamed.required.iter().map(String::as_str).collect();
        assert_eq!(required, expected, "{extra_specs:?} {properties:?}");
    }
    assert_eq!(of(&[("hw:mem_encryption", "yes")], &[]).totals()["MEM_ENCRYPTION_CONTEXT"], 1);
    assert_eq!(of(&[("hw:pmem", "4GB, 4GB,x-y")], &[]).totals()["CUSTOM_PMEM_NAMESPACE_4GB"], 2);
}

#[test]
fn prefilters_that_operators_switch_on() {
    let config =
        Config { query_placement_for_image_type_support: true, image_metadata_prefilter: true, ..Config::default() };
    let image = image(&[("hw_disk_bus", "virtio"), ("hw_vif_model", "e1000-82540em")]);
    let d = Demand::of(&flavor(&[]), Some(&image), false, &config);
    let required: Vec<&str> = d.root_required.iter().map(String::as_str).collect();
    assert_eq!(
        required,
        ["COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_NET_VIF_MODEL_E1000_82540EM", "COMPUTE_STORAGE_BUS_VIRTIO"]
    );
    assert!(of(&[], &[("hw_disk_bus", "virtio")]).root_required.is_empty());
}
