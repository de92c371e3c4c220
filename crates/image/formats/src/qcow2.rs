//! qcow2: may name a backing file and a data file on the host.

use crate::bytes::{be32, be64};
use crate::format::{Detected, Finding, Format};
use crate::window::Window;

const MAGIC: &[u8] = b"QFI\xfb";
const BACKING_FILE_OFFSET: usize = 8;
const SIZE: usize = 24;
const INCOMPATIBLE_FEATURES: usize = 72;
/// A version 3 header is at least this long.
const HEADER_LEN: usize = 104;

/// Dirty, corrupt, external data file, compression type. Anything above (extended L2 entries too) is refused.
const KNOWN_FEATURES: u64 = 0b1111;
const EXTERNAL_DATA_FILE: u64 = 0b0100;

pub(crate) struct Qcow2(Window);

impl Default for Qcow2 {
    fn default() -> Self {
        Self(Window::head())
    }
}

impl Format for Qcow2 {
    fn detects(&self) -> Detected {
        Detected::Qcow2
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.0.feed(at, chunk);
    }
    fn conclude(&self, _size: u64) -> Option<Finding> {
        let header = self.0.bytes();
        if !header.starts_with(MAGIC) {
            return None;
        }
        let finding = Finding::safe(be64(header, SIZE));
        let (Some(version), Some(backing), true) =
            (be32(header, 4), be64(header, BACKING_FILE_OFFSET), header.len() >= HEADER_LEN)
        else {
            return Some(finding.with("header", Some("The header is cut off".into())));
        };
        // Version 2 has no feature field; whatever stands there is still not allowed to look like one.
        let features = be64(header, INCOMPATIBLE_FEATURES).unwrap_or(u64::MAX);
        let data_file = features & EXTERNAL_DATA_FILE != 0;
        // Version 2 has no feature field.
        let unknown = version >= 3 && features & !KNOWN_FEATURES != 0;
        Some(
            finding
                .with("version", (!matches!(version, 2 | 3)).then(|| format!("Unsupported version {version}")))
                .with("backing_file", (backing != 0).then(|| "Image has a backing file".into()))
                .with("data_file", data_file.then(|| "Image has data_file set".into()))
                .with("unknown_features", unknown.then(|| "Unknown QCOW2 features found".into())),
        )
    }
}
