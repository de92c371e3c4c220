//! An empty qcow2 over a backing file, written by hand: `qemu-img create` takes longer than the rest of a build.
//!
//! Version 3, clusters of 64 KiB, reference counts of 16 bits. Layout in clusters: header (with the backing file's name
//! and format), reference count table, one reference count block, then the L1 table.

const CLUSTER: u64 = 64 << 10;
const CLUSTER_BITS: u32 = 16;
/// log2 of the bits of one reference count.
const REFCOUNT_ORDER: u32 = 4;
const HEADER_LEN: u32 = 104;
const BACKING_FORMAT_EXTENSION: u32 = 0xe279_2aca;
/// The format's own limit.
const LONGEST_NAME: usize = 1023;
/// What one entry of the L1 table covers: a cluster of L2 entries.
const PER_L1_ENTRY: u64 = CLUSTER / 8 * CLUSTER;
const FIRST_L1_CLUSTER: u64 = 3;
/// QEMU's limit, in bytes.
const LARGEST_L1: u64 = 32 << 20;

/// The whole file. `bytes`: size of the disk, a multiple of 512. `None`: a name too long, or a disk of over 2 PiB.
pub(crate) fn overlay(bytes: u64, backing: &str, backing_format: &str) -> Option<Vec<u8>> {
    let l1_entries = u32::try_from(bytes.div_ceil(PER_L1_ENTRY).max(1)).ok()?;
    let l1_clusters = (u64::from(l1_entries) * 8).div_ceil(CLUSTER);
    let clusters = FIRST_L1_CLUSTER + l1_clusters;
    if backing.len() > LONGEST_NAME || u64::from(l1_entries) * 8 > LARGEST_L1 || !bytes.is_multiple_of(512) {
        return None;
    }
    let name_len = u32::try_from(backing.len()).ok()?;

    let mut extension = Vec::new();
    extension.extend(BACKING_FORMAT_EXTENSION.to_be_bytes());
    extension.extend(u32::try_from(backing_format.len()).ok()?.to_be_bytes());
    extension.extend(backing_format.as_bytes());
    extension.resize(extension.len().next_multiple_of(8), 0);
    extension.extend([0; 8]); // end of extensions
    let name_at = u64::from(HEADER_LEN) + extension.len() as u64;

    let mut file = Vec::new();
    file.extend(b"QFI\xfb");
    file.extend(3u32.to_be_bytes());
    file.extend(name_at.to_be_bytes());
    file.extend(name_len.to_be_bytes());
    file.extend(CLUSTER_BITS.to_be_bytes());
    file.extend(bytes.to_be_bytes());
    file.extend(0u32.to_be_bytes()); // not encrypted
    file.extend(l1_entries.to_be_bytes());
    file.extend((FIRST_L1_CLUSTER * CLUSTER).to_be_bytes());
    file.extend(CLUSTER.to_be_bytes()); // reference count table
    file.extend(1u32.to_be_bytes()); // its clusters
    file.extend(0u32.to_be_bytes()); // snapshots
    file.extend(0u64.to_be_bytes());
    file.extend([0; 24]); // incompatible, compatible and autoclear features: none
    file.extend(REFCOUNT_ORDER.to_be_bytes());
    file.extend(HEADER_LEN.to_be_bytes());
    file.extend(extension);
    file.extend(backing.as_bytes());
    file.resize(usize::try_from(CLUSTER).ok()?, 0);

    file.extend((2 * CLUSTER).to_be_bytes()); // the only reference count block
    file.resize(usize::try_from(2 * CLUSTER).ok()?, 0);
    for _ in 0..clusters {
        file.extend(1u16.to_be_bytes());
    }
    file.resize(usize::try_from(clusters * CLUSTER).ok()?, 0);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// qemu-img is the judge: what it says of overlays of several sizes.
    #[test]
    fn qemu_img_finds_nothing_to_complain_about() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("base"), vec![7; 1 << 20]).unwrap();
        for bytes in [1 << 20, 512, 20 << 30, 5 << 40] {
            let path = dir.path().join("disk");
            std::fs::write(&path, overlay(bytes, "base", "raw").unwrap()).unwrap();
            let run = |args: &[&str]| {
                let out = Command::new("qemu-img").args(args).arg(&path).output().expect("qemu-img is installed");
                assert!(out.status.success(), "{bytes}: {}", String::from_utf8_lossy(&out.stderr));
                String::from_utf8(out.stdout).unwrap()
            };
            let info: serde_json::Value =
                serde_json::from_str(&run(&["info", "--output=json", "-f", "qcow2"])).unwrap();
            assert_eq!(info["virtual-size"], bytes);
            assert_eq!(info["backing-filename"], "base");
            assert_eq!(info["backing-filename-format"], "raw");
            run(&["check", "-f", "qcow2"]);
        }
    }

    #[test]
    fn what_the_format_cannot_hold_is_refused() {
        assert!(overlay(1 << 20, &"x".repeat(1024), "raw").is_none());
        assert!(overlay(1 << 62, "base", "raw").is_none());
        assert!(overlay(513, "base", "raw").is_none());
    }
}
