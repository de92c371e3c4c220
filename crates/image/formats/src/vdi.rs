//! VDI of VirtualBox.

use crate::bytes::{le32, le64};
use crate::format::{Detected, Finding, Format};
use crate::window::Window;

const SIGNATURE: u32 = 0xbeda_107f;
const IMAGE_TYPE: usize = 76;
const DISK_SIZE: usize = 368;

/// Dynamic and fixed; the others (undo, differencing) need a parent.
const STANDALONE_TYPES: [u32; 2] = [1, 2];

pub(crate) struct Vdi(Window);

impl Default for Vdi {
    fn default() -> Self {
        Self(Window::head())
    }
}

impl Format for Vdi {
    fn detects(&self) -> Detected {
        Detected::Vdi
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.0.feed(at, chunk);
    }
    fn conclude(&self, _size: u64) -> Option<Finding> {
        let header = self.0.bytes();
        if le32(header, 64) != Some(SIGNATURE) {
            return None;
        }
        let standalone = le32(header, IMAGE_TYPE).is_some_and(|t| STANDALONE_TYPES.contains(&t));
        Some(
            Finding::safe(le64(header, DISK_SIZE))
                .with("parent", (!standalone).then(|| "Image does not stand alone".into())),
        )
    }
}
