//! Real files of each format, and files made to deceive.

mod crafted;
mod real;
mod splitting;

use image_formats::{Detected, Inspector, Verdict};
use std::io::Read;

/// A file of `tests/fixtures`, unpacked.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}.gz", env!("CARGO_MANIFEST_DIR"));
    let packed = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

fn inspect_in_chunks(declared: Option<&str>, bytes: &[u8], chunk: usize) -> Verdict {
    let mut inspector = Inspector::new(declared);
    for piece in bytes.chunks(chunk) {
        inspector.feed(piece);
    }
    inspector.finish()
}

fn inspect(declared: &str, bytes: &[u8]) -> Verdict {
    inspect_in_chunks(Some(declared), bytes, 64 * 1024)
}

#[track_caller]
fn accepted(declared: &str, bytes: &[u8], detected: Detected, virtual_size: Option<u64>) {
    assert_eq!(inspect(declared, bytes), Verdict { detected, virtual_size, refusal: None });
}

#[track_caller]
fn refused(declared: &str, bytes: &[u8], why: &str) {
    let refusal = inspect(declared, bytes).refusal.unwrap_or_else(|| panic!("accepted as {declared}"));
    assert!(refusal.contains(why), "refused with {refusal:?}, not because of {why:?}");
}
