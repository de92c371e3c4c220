//! LUKS, version 1. What is inside cannot be told without the key.

use crate::bytes::{be16, be32};
use crate::format::{Detected, Finding, Format};
use crate::window::Window;

const MAGIC: &[u8] = b"LUKS\xba\xbe";
const PAYLOAD_OFFSET: usize = 104;

pub(crate) struct Luks(Window);

impl Default for Luks {
    fn default() -> Self {
        Self(Window::head())
    }
}

impl Format for Luks {
    fn detects(&self) -> Detected {
        Detected::Luks
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.0.feed(at, chunk);
    }
    fn conclude(&self, size: u64) -> Option<Finding> {
        let header = self.0.bytes();
        if !header.starts_with(MAGIC) {
            return None;
        }
        let version = be16(header, 6);
        let payload = be32(header, PAYLOAD_OFFSET).map(|sectors| size.saturating_sub(u64::from(sectors) * 512));
        Some(
            Finding::safe(payload)
                .with("version", (version != Some(1)).then(|| "Only LUKS version 1 is supported".into())),
        )
    }
}
