//! The corpus of known tricks.

use super::{accepted, fixture, inspect_in_chunks, refused};
use image_formats::Detected;

const GUEST: usize = 1 << 20;

fn zeros() -> Vec<u8> {
    vec![0; GUEST]
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

/// A disk with one ordinary MBR partition.
fn mbr() -> Vec<u8> {
    let mut disk = zeros();
    put(&mut disk, 446, &[0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0]);
    put(&mut disk, 510, &[0x55, 0xaa]);
    disk
}

fn gpt() -> Vec<u8> {
    let mut disk = zeros();
    put(&mut disk, 446, &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0xff, 7, 0, 0]);
    put(&mut disk, 510, &[0x55, 0xaa]);
    put(&mut disk, 512, b"EFI PART");
    disk
}

fn iso() -> Vec<u8> {
    let mut disk = zeros();
    put(&mut disk, 32768, b"\x01CD001\x01");
    put(&mut disk, 32768 + 80, &300u32.to_le_bytes());
    put(&mut disk, 32768 + 128, &2048u16.to_le_bytes());
    disk
}

fn qcow2(version: u32, features: u64) -> Vec<u8> {
    let mut disk = vec![0; 512];
    put(&mut disk, 0, b"QFI\xfb");
    put(&mut disk, 4, &version.to_be_bytes());
    put(&mut disk, 24, &(1u64 << 30).to_be_bytes());
    put(&mut disk, 72, &features.to_be_bytes());
    disk
}

fn vmdk_with(descriptor: &str) -> Vec<u8> {
    let mut disk = fixture("mono.vmdk");
    disk[512..512 + 20 * 512].fill(0);
    put(&mut disk, 512, descriptor.as_bytes());
    disk
}

const GOOD_DESCRIPTOR: &str = "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicSparse\"\n\
                               RW 2048 SPARSE \"mono.vmdk\"\nddb.adapterType = \"ide\"\n";

#[test]
fn raw_disks() {
    accepted("raw", &[], Detected::Raw, Some(0));
    accepted("raw", b"short", Detected::Raw, Some(5));
    accepted("raw", &zeros(), Detected::Raw, Some(GUEST as u64));
    accepted("raw", &mbr(), Detected::Gpt, Some(GUEST as u64));
    accepted("raw", &gpt(), Detected::Gpt, Some(GUEST as u64));
}

#[test]
fn a_fat_boot_sector_is_no_partition_table() {
    let mut fat = zeros();
    put(&mut fat, 510, &[0x55, 0xaa]);
    (fat[16], fat[21]) = (2, 0xf8);
    accepted("raw", &fat, Detected::Raw, Some(GUEST as u64));
}

#[test]
fn s07_partition_tables_that_make_no_sense() {
    let mut empty = zeros();
    put(&mut empty, 510, &[0x55, 0xaa]);
    refused("raw", &empty, "No partitions defined");
    let mut flag = mbr();
    flag[446] = 0x81;
    refused("raw", &flag, "invalid boot flag");
    let mut second = gpt();
    second[462 + 4] = 0x83;
    refused("raw", &second, "further partitions");
    let mut elsewhere = gpt();
    elsewhere[446 + 8] = 2;
    refused("raw", &elsewhere, "first sector");
    // A kernel looks like that.
    accepted("aki", &empty, Detected::Gpt, None);
}

#[test]
fn isos() {
    accepted("iso", &iso(), Detected::Iso, Some(300 * 2048));
    let mut hybrid = mbr();
    put(&mut hybrid, 32768, &iso()[32768..32768 + 2048]);
    accepted("iso", &hybrid, Detected::Iso, Some(300 * 2048));
    accepted("raw", &hybrid, Detected::Iso, Some(GUEST as u64));
    refused("qcow2", &iso(), "does not match stream data iso");
    refused("iso", &mbr(), "does not match stream data gpt");
}

#[test]
fn s01_s07_qcow2_headers() {
    accepted("qcow2", &qcow2(3, 0), Detected::Qcow2, Some(1 << 30));
    accepted("qcow2", &qcow2(3, 0b1011), Detected::Qcow2, Some(1 << 30));
    refused("qcow2", &qcow2(3, 0b100), "data_file");
    refused("qcow2", &qcow2(2, 0b100), "data_file");
    refused("qcow2", &qcow2(3, 1 << 4), "Unknown QCOW2 features");
    refused("qcow2", &qcow2(3, 1 << 63), "Unknown QCOW2 features");
    refused("qcow2", &qcow2(1, 0), "Unsupported version");
    refused("qcow2", &qcow2(3, 0)[..80], "cut off");
    refused("raw", &qcow2(3, 0)[..80], "does not match stream data qcow2");
    let mut backed = qcow2(3, 0);
    backed[15] = 1;
    refused("qcow2", &backed, "Image has a backing file");
    refused("raw", &backed, "does not match");
    refused("qcow2", &zeros(), "Image disk_format qcow2 does not match stream data raw");
}

#[test]
fn s02_two_formats_in_one_file() {
    let mut polyglot = iso();
    put(&mut polyglot, 0, &qcow2(3, 0));
    for declared in ["raw", "iso", "qcow2"] {
        refused(declared, &polyglot, "Multiple formats detected");
    }
    let mut table = qcow2(3, 0);
    put(&mut table, 446, &mbr()[446..512]);
    refused("qcow2", &table, "Multiple formats detected");
}

#[test]
fn s03_s07_vmdk_descriptors() {
    accepted("vmdk", &vmdk_with(GOOD_DESCRIPTOR), Detected::Vmdk, Some(1 << 20));
    for (descriptor, why) in [
        (GOOD_DESCRIPTOR.replace("\"mono.vmdk\"", "\"/etc/passwd\""), "Invalid extent filenames"),
        (GOOD_DESCRIPTOR.replace("monolithicSparse", "monolithicFlat"), "createType"),
        (GOOD_DESCRIPTOR.replace("createType", "create type"), "Invalid VMDK descriptor data"),
        (GOOD_DESCRIPTOR.replace("RW 2048", "#"), "No extents found"),
        (format!("{GOOD_DESCRIPTOR}surprise\n"), "Invalid VMDK descriptor data"),
        (format!("{GOOD_DESCRIPTOR}\u{e9}=1\n"), "Invalid VMDK descriptor data"),
        (String::new(), "No extents found"),
    ] {
        refused("vmdk", &vmdk_with(&descriptor), why);
    }
    let mut moved = vmdk_with(GOOD_DESCRIPTOR);
    moved[28] = 2;
    refused("vmdk", &moved, "Wrong descriptor location");
    let mut huge = vmdk_with(GOOD_DESCRIPTOR);
    put(&mut huge, 36, &u64::MAX.to_le_bytes());
    refused("vmdk", &huge, "No descriptor found");
}

#[test]
fn s03_every_create_type_of_a_vmdk_counts() {
    for (descriptor, why) in [
        (format!("# createType=\"monolithicFlat\"\n{GOOD_DESCRIPTOR}"), "createType"),
        (format!("{GOOD_DESCRIPTOR}createType=\"vmfs\"\n"), "createType"),
        (GOOD_DESCRIPTOR.replace('"', ""), "createType"),
        (GOOD_DESCRIPTOR.replace("\"monolithicSparse\"", "\"monolithicSparse"), "createType"),
    ] {
        refused("vmdk", &vmdk_with(&descriptor), why);
    }
    accepted("vmdk", &vmdk_with(&GOOD_DESCRIPTOR.to_uppercase()), Detected::Vmdk, Some(1 << 20));
}

/// However far down the text says so, and however little it does: QEMU would open the files that it names.
#[test]
fn s03_a_vmdk_that_is_only_a_descriptor() {
    let flat = GOOD_DESCRIPTOR.replace("monolithicSparse", "monolithicFlat");
    let padded = format!("{}{flat}", "# nothing\n".repeat(2000));
    let probed = "\n# a\n  version=1\nRW 2048 FLAT \"/etc/passwd\" 0\n".to_owned();
    for text in [flat, padded, probed] {
        for declared in ["vmdk", "raw"] {
            let why = if declared == "vmdk" { "other files" } else { "does not match stream data vmdk" };
            refused(declared, text.as_bytes(), why);
            refused(declared, &[text.as_bytes(), &[0; 4096]].concat(), why);
        }
    }
    refused("raw", &[b"COWD".as_slice(), &[1; 5000]].concat(), "does not match stream data vmdk");
    accepted("raw", "only text\n".repeat(500).as_bytes(), Detected::Raw, Some(5000));
}

fn fixed_vhd(mut disk: Vec<u8>) -> Vec<u8> {
    let mut footer = vec![0; 512];
    put(&mut footer, 0, b"conectix");
    put(&mut footer, 40, &(disk.len() as u64).to_be_bytes());
    put(&mut footer, 60, &2u32.to_be_bytes());
    disk.append(&mut footer);
    disk
}

#[test]
fn a_fixed_vhd_is_one_where_it_is_declared() {
    for disk in [zeros(), mbr(), gpt(), iso()] {
        let vhd = fixed_vhd(disk.clone());
        accepted("vhd", &vhd, Detected::Vhd, Some(GUEST as u64));
        assert_eq!(inspect_in_chunks(Some("raw"), &vhd, 7777).refusal, None, "a guest may write that, too");
        refused("vhd", &disk, "does not match stream data");
        refused("vhd", &vhd[512..], "shorter than its disk");
    }
    let mut polyglot = zeros();
    put(&mut polyglot, 0, &qcow2(3, 0));
    refused("vhd", &fixed_vhd(polyglot), "Multiple formats detected");
}

#[test]
fn s03_s07_vmdk_footers_must_repeat_the_header() {
    let mut disk = vmdk_with(&GOOD_DESCRIPTOR.replace("monolithicSparse", "streamOptimized"));
    let mut footer = disk[..512].to_vec();
    put(&mut disk, 56, &u64::MAX.to_le_bytes());
    refused("vmdk", &disk, "footer is missing");
    put(&mut footer, 56, &21u64.to_le_bytes());
    let with = |footer: &[u8]| {
        let mut marker = vec![0; 512];
        marker[0] = 1;
        marker[12] = 3;
        [&disk[..], &marker, footer, &[0; 512]].concat()
    };
    accepted("vmdk", &with(&footer), Detected::Vmdk, Some(1 << 20));
    put(&mut footer, 36, &99u64.to_le_bytes());
    refused("vmdk", &with(&footer), "do not agree");
}

#[test]
fn s07_a_differencing_disk_is_refused() {
    let mut vhd = fixture("disk.vhd");
    put(&mut vhd, 60, &4u32.to_be_bytes());
    refused("vhd", &vhd, "parent");
    let mut vdi = fixture("disk.vdi");
    put(&mut vdi, 76, &4u32.to_le_bytes());
    refused("vdi", &vdi, "stand alone");
}

#[test]
fn without_a_declaration_the_checks_still_count() {
    let verdict = inspect_in_chunks(None, &qcow2(3, 0b100), 7);
    assert_eq!(verdict.detected, Detected::Qcow2);
    assert!(verdict.refusal.unwrap().contains("data_file"));
    assert_eq!(inspect_in_chunks(None, &mbr(), 4096).refusal, None);
}
