//! Ploop (Parallels): the single expandable image file, as QEMU's `parallels` reads it.

use crate::bytes::{le32, le64};
use crate::format::{Detected, Finding, Format};
use crate::window::Window;

/// Each 16 bytes, misspelt like this in the format itself. The older one counts sectors with 32 bits.
const OLD: &[u8] = b"WithoutFreeSpace";
const NEW: &[u8] = b"WithouFreSpacExt";
const SECTORS: usize = 36;

pub(crate) struct Ploop(Window);

impl Default for Ploop {
    fn default() -> Self {
        Self(Window::head())
    }
}

impl Format for Ploop {
    fn detects(&self) -> Detected {
        Detected::Ploop
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.0.feed(at, chunk);
    }
    fn conclude(&self, _size: u64) -> Option<Finding> {
        let header = self.0.bytes();
        let sectors = if header.starts_with(NEW) {
            le64(header, SECTORS)
        } else if header.starts_with(OLD) {
            le32(header, SECTORS).map(u64::from)
        } else {
            return None;
        };
        Some(Finding::safe(sectors.and_then(|n| n.checked_mul(512))))
    }
}
