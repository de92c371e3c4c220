use super::{accepted, fixture, refused};
use image_formats::Detected;

const DISK: Option<u64> = Some(8 << 20);

#[test]
fn what_qemu_img_makes_is_accepted_as_what_it_is() {
    use Detected::*;
    for (name, declared, detected, size) in [
        ("v2.qcow2", "qcow2", Qcow2, DISK),
        ("v3.qcow2", "qcow2", Qcow2, DISK),
        ("zstd.qcow2", "qcow2", Qcow2, DISK),
        ("mono.vmdk", "vmdk", Vmdk, Some(1 << 20)),
        ("stream.vmdk", "vmdk", Vmdk, Some(1 << 20)),
        ("disk.vdi", "vdi", Vdi, DISK),
        ("disk.vhd", "vhd", Vhd, Some(8_390_656)),
        ("disk.vhdx", "vhdx", Vhdx, DISK),
        ("disk.ploop", "ploop", Ploop, DISK),
    ] {
        accepted(declared, &fixture(name), detected, size);
    }
}

#[test]
fn s02_nothing_of_it_passes_as_raw_or_as_a_kernel() {
    for name in [
        "v2.qcow2",
        "v3.qcow2",
        "backing.qcow2",
        "datafile.qcow2",
        "mono.vmdk",
        "stream.vmdk",
        "flat.vmdk",
        "disk.vdi",
        "disk.vhd",
        "disk.vhdx",
        "disk.ploop",
        "disk.luks",
        "disk.qed",
    ] {
        for declared in ["raw", "aki", "ari", "ami", "iso"] {
            refused(declared, &fixture(name), "does not match stream data");
        }
    }
}

#[test]
fn s01_s07_a_qcow2_that_needs_other_files_is_refused() {
    refused("qcow2", &fixture("backing.qcow2"), "backing file");
    refused("qcow2", &fixture("datafile.qcow2"), "data_file");
    refused("qcow2", &fixture("extl2.qcow2"), "Unknown QCOW2 features");
}

#[test]
fn s03_a_vmdk_that_is_several_files_is_refused() {
    refused("vmdk", &fixture("flat.vmdk"), "other files");
    refused("vmdk", &fixture("two.vmdk"), "other files");
}

#[test]
fn s07_qed_is_never_allowed() {
    refused("qed", &fixture("disk.qed"), "not allowed");
}
