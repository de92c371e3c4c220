//! VHD (qemu: `vpc`): the dynamic kind repeats its footer at the start. A fixed VHD has it only at the very end and is,
//! up to there, a raw disk; it is seen as one.

use crate::bytes::{be32, be64};
use crate::format::{Detected, Finding, Format};
use crate::window::Window;

/// The size the disk was made with, as Glance reads it.
const ORIGINAL_SIZE: usize = 40;
const DISK_TYPE: usize = 60;
const DIFFERENCING: u32 = 4;

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
        if !footer.starts_with(b"conectix") {
            return None;
        }
        let differencing = be32(footer, DISK_TYPE) == Some(DIFFERENCING);
        Some(
            Finding::safe(be64(footer, ORIGINAL_SIZE))
                .with("parent", differencing.then(|| "Image is a differencing disk and has a parent".into())),
        )
    }
}
