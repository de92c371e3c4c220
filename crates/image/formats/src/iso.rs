//! ISO 9660 and UDF.

use crate::bytes::{le16, le32};
use crate::format::{Detected, Finding, Format};
use crate::window::Window;

/// The first volume descriptor: after the 16 sectors that are the system's own.
const DESCRIPTOR: u64 = 32 * 1024;
const PRIMARY: u8 = 1;

pub(crate) struct Iso(Window);

impl Default for Iso {
    fn default() -> Self {
        Self(Window::new(DESCRIPTOR, 2048))
    }
}

impl Format for Iso {
    fn detects(&self) -> Detected {
        Detected::Iso
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.0.feed(at, chunk);
    }
    fn conclude(&self, _size: u64) -> Option<Finding> {
        let descriptor = self.0.bytes();
        let identifier = descriptor.get(1..6)?;
        if !self.0.is_complete() || ![b"CD001", b"NSR02", b"NSR03"].iter().any(|i| identifier == *i) {
            return None;
        }
        let blocks = le32(descriptor, 80).map(u64::from);
        let block_size = le16(descriptor, 128).map(u64::from);
        let size = blocks.zip(block_size).map(|(n, of)| n * of).filter(|_| descriptor[0] == PRIMARY);
        Some(Finding::safe(size))
    }
}
