//! However a stream is cut, the verdict is the same; and no bytes make the inspector panic.

use super::{fixture, inspect_in_chunks};
use image_formats::Inspector;
use proptest::prelude::*;

#[test]
fn real_files_in_chunks_of_any_size() {
    for name in ["v3.qcow2", "stream.vmdk", "mono.vmdk", "disk.vhdx", "disk.vdi", "disk.vhd", "disk.ploop"] {
        let bytes = fixture(name);
        let whole = inspect_in_chunks(None, &bytes, bytes.len());
        for chunk in [97, 512, 4096, 65_537] {
            assert_eq!(inspect_in_chunks(None, &bytes, chunk), whole, "{name} in chunks of {chunk}");
        }
    }
}

/// What is read at any place is judged as what streams by, and little of it is read.
#[test]
fn examined_as_streamed() {
    for name in ["v3.qcow2", "stream.vmdk", "mono.vmdk", "disk.vhdx", "disk.vdi", "disk.vhd", "disk.ploop", "flat.vmdk"]
    {
        let mut bytes = fixture(name);
        for grown in [0, 700, 40 << 20] {
            bytes.resize(bytes.len() + grown, 0);
            for declared in [None, Some("raw"), Some("vhd"), Some("vmdk"), Some("vhdx")] {
                let (mut read, size) = (0, bytes.len() as u64);
                let verdict = Inspector::examine(declared, size, |buffer, at| {
                    read += buffer.len();
                    buffer.copy_from_slice(&bytes[at as usize..at as usize + buffer.len()]);
                    Ok::<_, ()>(())
                });
                let streamed = inspect_in_chunks(declared, &bytes, 1 << 20);
                assert_eq!(verdict, Ok(streamed), "{name} as {declared:?}, {grown} longer");
                assert!(read < 1_800_000, "{name}: {read} bytes");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_headers(
        name in prop::sample::select(vec!["v3.qcow2", "mono.vmdk", "stream.vmdk", "disk.vdi", "disk.vhd", "disk.luks"]),
        damage in prop::collection::vec((0usize..2048, any::<u8>()), 1..24),
        length in 0usize..70_000,
        chunk in 1usize..5000,
    ) {
        let mut bytes = fixture(name);
        bytes.truncate(length);
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        for declared in ["raw", "qcow2", "vmdk"] {
            let whole = inspect_in_chunks(Some(declared), &bytes, bytes.len().max(1));
            prop_assert_eq!(inspect_in_chunks(Some(declared), &bytes, chunk), whole);
        }
    }

    #[test]
    fn damaged_vhdx_tables(damage in prop::collection::vec((196_608usize..330_000, any::<u8>()), 1..200)) {
        let mut bytes = fixture("disk.vhdx");
        bytes.truncate(4 << 20);
        for (at, value) in damage {
            bytes[at] = value;
        }
        inspect_in_chunks(Some("vhdx"), &bytes, 1 << 20);
    }
}
