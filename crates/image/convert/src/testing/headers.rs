//! Files of the formats that are inspected and not converted.

use super::build::put;

const LENGTH: usize = 40 << 10;

/// Name, what the inspector calls it, bytes.
pub fn headers() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("ISO 9660", "iso", iso()),
        ("UDF", "iso", udf()),
        ("MBR", "gpt", partitioned(0x83, 2048)),
        ("GPT", "gpt", partitioned(0xee, 1)),
        ("LUKS", "luks", luks()),
        ("QED", "qed", file(0, b"QED\0")),
    ]
}

fn file(at: usize, what: &[u8]) -> Vec<u8> {
    let mut file = vec![0; LENGTH];
    put(&mut file, at, what);
    file
}

fn iso() -> Vec<u8> {
    let mut file = file(32 << 10, b"\x01CD001\x01");
    put(&mut file, (32 << 10) + 80, &20u32.to_le_bytes());
    put(&mut file, (32 << 10) + 128, &2048u16.to_le_bytes());
    file
}

fn udf() -> Vec<u8> {
    file(32 << 10, b"\0NSR03\x01")
}

/// One partition, at this sector.
fn partitioned(kind: u8, sector: u32) -> Vec<u8> {
    let mut file = file(510, b"\x55\xaa");
    put(&mut file, 446, &[0, 0, 2, 0, kind, 0xff, 0xff, 0xff]);
    put(&mut file, 454, &sector.to_le_bytes());
    put(&mut file, 458, &u32::MAX.to_le_bytes());
    file
}

fn luks() -> Vec<u8> {
    let mut file = file(0, b"LUKS\xba\xbe\0\x01");
    put(&mut file, 104, &8u32.to_be_bytes());
    file
}
