//! Small files of every format, each with the same disk. Some by the writers, the others laid out by hand.

use crate::{Compression, Format, Limits, Source, Target, convert, crc32c};
use std::fs::File;
use std::ops::ControlFlow;

/// The size of the disk in each.
pub const DISK: usize = 512 << 10;

/// A piece of noise, a piece of text, zeros.
pub(super) fn disk() -> Vec<u8> {
    let mut x = 88_172_645_463_325_252_u64;
    let mut disk = Vec::with_capacity(DISK);
    for n in 0..DISK / 8 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        disk.extend(match (n * 8) >> 16 {
            0 => x.to_le_bytes(),
            2 | 5 => *b"all work",
            _ => [0; 8],
        });
    }
    disk
}

/// Name, format, bytes.
pub fn seeds() -> Vec<(&'static str, Format, Vec<u8>)> {
    let mut seeds: Vec<_> = [
        ("qcow2", Target::Qcow2(None)),
        ("qcow2 packed with zlib", Target::Qcow2(Some(Compression::Zlib))),
        ("qcow2 packed with zstd", Target::Qcow2(Some(Compression::Zstd))),
        ("dynamic VHD", Target::Vhd),
        ("dynamic VDI", Target::Vdi),
        ("streamOptimized VMDK", Target::Vmdk),
    ]
    .into_iter()
    .map(|(name, target)| (name, target.format(), written(target)))
    .collect();
    seeds.extend([
        ("qcow2 with subclusters", Format::Qcow2, extended_qcow2()),
        ("monolithicSparse VMDK", Format::Vmdk, sparse_vmdk()),
        ("fixed VHD", Format::Vhd, fixed_vhd()),
        ("dynamic VHDX", Format::Vhdx, vhdx()),
        ("ploop", Format::Ploop, ploop()),
    ]);
    seeds
}

/// The seed of this name.
pub(super) fn seed(name: &str) -> Vec<u8> {
    seeds().into_iter().find(|s| s.0 == name).map(|s| s.2).unwrap_or_default()
}

/// Into a file that has no name.
fn written(target: Target) -> Vec<u8> {
    let memory = rustix::fs::memfd_create("seed", rustix::fs::MemfdFlags::CLOEXEC).map(File::from);
    let file = memory.expect("a file in memory");
    let limits = Limits { threads: 1, ..Limits::new(1 << 30, 1 << 30) };
    let made = convert(&disk(), Format::Raw, &file, target, &limits, &|_| ControlFlow::Continue(())).expect("a seed");
    let mut bytes = vec![0; made.bytes as usize];
    Source::read_exact_at(&file, &mut bytes, 0).expect("the seed again");
    bytes
}

pub(super) fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

/// Clusters of 16 KiB: header, L1, L2, then all of the disk's.
fn extended_qcow2() -> Vec<u8> {
    const CLUSTER: usize = 16 << 10;
    let disk = disk();
    let mut file = vec![0; 3 * CLUSTER + disk.len()];
    put(&mut file, 0, b"QFI\xfb\0\0\0\x03");
    put(&mut file, 20, &14u32.to_be_bytes());
    put(&mut file, 24, &(disk.len() as u64).to_be_bytes());
    put(&mut file, 36, &1u32.to_be_bytes());
    put(&mut file, 40, &(CLUSTER as u64).to_be_bytes());
    put(&mut file, 72, &(1u64 << 4).to_be_bytes());
    put(&mut file, 96, &4u32.to_be_bytes());
    put(&mut file, 100, &112u32.to_be_bytes());
    put(&mut file, CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    for (n, data) in disk.chunks(CLUSTER).enumerate() {
        let at = 3 * CLUSTER + n * CLUSTER;
        put(&mut file, at, data);
        let there = (0..32).filter(|s| data[s * 512..(s + 1) * 512] != [0; 512]);
        let bitmap = there.fold(0u64, |bits, s| bits | 1 << s);
        put(&mut file, 2 * CLUSTER + n * 16, &(at as u64).to_be_bytes());
        put(&mut file, 2 * CLUSTER + n * 16 + 8, &(bitmap | !bitmap << 32).to_be_bytes());
    }
    file
}

/// Grains of 64 KiB, tables of 4: descriptor at sector 1, directory at 21, tables at 22 and 23, grains from 128 on.
fn sparse_vmdk() -> Vec<u8> {
    const GRAIN: usize = 64 << 10;
    let disk = disk();
    let mut file = vec![0; GRAIN + disk.len()];
    put(&mut file, 0, b"KDMV\x01\0\0\0\x01\0\0\0");
    for (at, sectors) in [(12, DISK / 512), (20, 128), (28, 1), (36, 20), (56, 21), (64, 128)] {
        put(&mut file, at, &(sectors as u64).to_le_bytes());
    }
    put(&mut file, 44, &4u32.to_le_bytes());
    put(&mut file, 73, b"\n \r\n");
    put(
        &mut file,
        512,
        b"# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicSparse\"\nRW 1024 SPARSE \"a.vmdk\"\n",
    );
    put(&mut file, 21 * 512, &22u32.to_le_bytes());
    put(&mut file, 21 * 512 + 4, &23u32.to_le_bytes());
    for (n, grain) in disk.chunks(GRAIN).enumerate() {
        put(&mut file, GRAIN + n * GRAIN, grain);
        let entry = (22 + n / 4) * 512 + n % 4 * 4;
        put(&mut file, entry, &(128 * (n as u32 + 1)).to_le_bytes());
    }
    file
}

fn fixed_vhd() -> Vec<u8> {
    let mut file = disk();
    let mut footer = vec![0; 512];
    put(&mut footer, 0, b"conectix");
    put(&mut footer, 28, b"win ");
    for at in [40, 48] {
        put(&mut footer, at, &(DISK as u64).to_be_bytes());
    }
    put(&mut footer, 60, &2u32.to_be_bytes());
    file.append(&mut footer);
    file
}

/// Clusters of 64 KiB after the first, in order; the table at 64.
fn ploop() -> Vec<u8> {
    const CLUSTER: usize = 64 << 10;
    let mut file = vec![0; CLUSTER];
    put(&mut file, 0, b"WithouFreSpacExt");
    for (at, number) in [(16, 2), (28, 128), (32, 8), (36, 1024), (48, 128)] {
        put(&mut file, at, &u32::to_le_bytes(number));
    }
    for n in 0..8u32 {
        put(&mut file, 64 + 4 * n as usize, &(n + 1).to_le_bytes());
    }
    file.extend(disk());
    file
}

/// Where things are in [`vhdx`].
pub(super) const VHDX_METADATA: usize = 320 << 10;
pub(super) const VHDX_TABLE: usize = 384 << 10;

/// One block of 1 MiB at 1 MiB.
fn vhdx() -> Vec<u8> {
    const MIB: usize = 1 << 20;
    let mut file = vec![0; 2 * MIB];
    put(&mut file, 0, b"vhdxfile");
    for (n, at) in [64 << 10, 128 << 10].into_iter().enumerate() {
        put(&mut file, at, b"head");
        put(&mut file, at + 8, &(n as u64).to_le_bytes());
        put(&mut file, at + 66, &1u16.to_le_bytes());
    }
    let regions = [
        ("2DC27766F62342009D64115E9BFD4A08", VHDX_TABLE, 64 << 10),
        ("8B7CA20647904B9AB8FE575F050F886E", VHDX_METADATA, 64 << 10),
    ];
    for at in [192 << 10, 256 << 10] {
        put(&mut file, at, b"regi");
        put(&mut file, at + 8, &2u32.to_le_bytes());
        for (n, (guid, offset, len)) in regions.into_iter().enumerate() {
            let entry = at + 16 + n * 32;
            put(&mut file, entry, &in_file(guid));
            put(&mut file, entry + 16, &(offset as u64).to_le_bytes());
            put(&mut file, entry + 24, &u32::to_le_bytes(len));
            put(&mut file, entry + 28, &1u32.to_le_bytes());
        }
    }
    let items: [(&str, u64); 3] = [
        ("CAA16737FA364D43B3B633F0AA44E76B", MIB as u64),
        ("2FA54224CD1B4876B2115DBED83BF4B8", DISK as u64),
        ("8141BF1DA96F4709BA47F233A8FAAB5F", 512),
    ];
    put(&mut file, VHDX_METADATA, b"metadata");
    put(&mut file, VHDX_METADATA + 10, &3u16.to_le_bytes());
    for (n, (guid, value)) in items.into_iter().enumerate() {
        let (entry, place) = (VHDX_METADATA + 32 + n * 32, 4096 + n * 8);
        put(&mut file, entry, &in_file(guid));
        put(&mut file, entry + 16, &(place as u32).to_le_bytes());
        put(&mut file, VHDX_METADATA + place, &value.to_le_bytes());
    }
    // present, at 1 MiB
    put(&mut file, VHDX_TABLE, &(MIB as u64 | 6).to_le_bytes());
    put(&mut file, MIB, &disk());
    seal_vhdx(&mut file);
    file
}

/// A GUID in its usual order to how it stands in a file: the first three groups little-endian.
pub(super) fn in_file(guid: &str) -> [u8; 16] {
    let number = u128::from_str_radix(guid, 16).unwrap_or_default();
    uuid::Uuid::from_u128(number).to_bytes_le()
}

/// Makes the checksums right again, so that what was changed is believed.
pub fn seal_vhdx(file: &mut [u8]) {
    for (at, len) in [(64 << 10, 4096), (128 << 10, 4096), (192 << 10, 64 << 10), (256 << 10, 64 << 10)] {
        if let Some(bytes) = file.get_mut(at..at + len) {
            let sum = crc32c::with_hole(bytes, 4);
            bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        }
    }
}
