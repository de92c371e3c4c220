//! VHD (qemu: `vpc`): the dynamic kind repeats its footer at the start. A fixed VHD has it only at the very end and is,
//! up to there, a raw disk. Glance sees it as one. Here it is a VHD where that is declared; elsewhere it stays raw, for a
//! guest could write such a footer into the last sector of its own disk.

use crate::bytes::{be32, be64};
use crate::format::{Detected, Finding, Format};
use crate::window::{Tail, Window};

/// The size the disk was made with, as Glance reads it.
const ORIGINAL_SIZE: usize = 40;
const DISK_TYPE: usize = 60;
const FIXED: u32 = 2;
const DIFFERENCING: u32 = 4;
const COOKIE: &[u8] = b"conectix";
const FOOTER_LEN: usize = 512;

pub(crate) struct Vhd(Window);

impl Default for Vhd {
    fn default() -> Self {
        Self(Window::head())
    }
}

impl Format for Vhd {
    fn detects(&self) -> Detected {
        Detected::Vhd
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.0.feed(at, chunk);
    }
    fn conclude(&self, _size: u64) -> Option<Finding> {
        let footer = self.0.bytes();
        if !footer.starts_with(COOKIE) {
            return None;
        }
        let differencing = be32(footer, DISK_TYPE) == Some(DIFFERENCING);
        Some(
            Finding::safe(be64(footer, ORIGINAL_SIZE))
                .with("parent", differencing.then(|| "Image is a differencing disk and has a parent".into())),
        )
    }
}

pub(crate) struct Fixed(Tail);

impl Default for Fixed {
    fn default() -> Self {
        Self(Tail::new(FOOTER_LEN))
    }
}

impl Fixed {
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        self.0.feed(chunk);
    }
    pub(crate) fn conclude(&self, size: u64) -> Option<Finding> {
        let footer = self.0.bytes();
        if !footer.starts_with(COOKIE) || be32(footer, DISK_TYPE) != Some(FIXED) {
            return None;
        }
        let disk = be64(footer, ORIGINAL_SIZE);
        let whole = disk.is_some_and(|d| d.checked_add(FOOTER_LEN as u64).is_some_and(|all| all <= size));
        Some(Finding::safe(disk).with("size", (!whole).then(|| "The file is shorter than its disk".into())))
    }
}
