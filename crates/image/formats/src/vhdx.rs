//! VHDX: a table of regions, one of which is a table of metadata, one of which is the disk's size.

use crate::bytes::{le16, le32, le64};
use crate::format::{Detected, Finding, Format};
use crate::window::Window;

const REGION_TABLE: u64 = 192 * 1024;
const TABLE_LEN: usize = 64 * 1024;
const ENTRY_LEN: usize = 32;
const REGION_HEADER_LEN: usize = 16;
const METADATA_HEADER_LEN: usize = 32;
const MAX_ENTRIES: usize = 2047;

/// GUIDs as they stand in the file: the first three groups little-endian.
/// 8B7CA206-4790-4B9A-B8FE-575F050F886E
const METADATA_REGION: [u8; 16] =
    [0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e];
/// 2FA54224-CD1B-4876-B211-5DBED83BF4B8
const VIRTUAL_DISK_SIZE: [u8; 16] =
    [0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8];
/// A8D35F2D-B30B-454D-ABF7-D3D84834AB0C: names the parent of a differencing disk.
const PARENT_LOCATOR: [u8; 16] =
    [0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c];

pub(crate) struct Vhdx {
    ident: Window,
    regions: Window,
    /// Opened once the region table says where.
    metadata: Option<(u64, Window)>,
    /// Opened once the metadata table says where.
    disk_size: Option<Window>,
}

impl Default for Vhdx {
    fn default() -> Self {
        Self {
            ident: Window::new(0, 8),
            regions: Window::new(REGION_TABLE, TABLE_LEN),
            metadata: None,
            disk_size: None,
        }
    }
}

/// The entry of `guid` in a table whose entries begin at `first`.
fn entry<'a>(table: &'a [u8], first: usize, count: usize, guid: &[u8; 16]) -> Option<&'a [u8]> {
    if count > MAX_ENTRIES {
        return None;
    }
    table.get(first..)?.chunks_exact(ENTRY_LEN).take(count).find(|e| e.starts_with(guid))
}

impl Vhdx {
    fn metadata_offset(&self) -> Option<u64> {
        let table = self.regions.bytes();
        if !self.regions.is_complete() || !table.starts_with(b"regi") {
            return None;
        }
        le64(entry(table, REGION_HEADER_LEN, le32(table, 8)? as usize, &METADATA_REGION)?, 16)
    }
    fn metadata_entry(&self, guid: &[u8; 16]) -> Option<&[u8]> {
        let table = self.metadata.as_ref()?.1.bytes();
        if !table.starts_with(b"metadata") {
            return None;
        }
        entry(table, METADATA_HEADER_LEN, usize::from(le16(table, 10)?), guid)
    }
}

impl Format for Vhdx {
    fn detects(&self) -> Detected {
        Detected::Vhdx
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.ident.feed(at, chunk);
        if self.ident.bytes() != b"vhdxfile" {
            return;
        }
        self.regions.feed(at, chunk);
        if self.metadata.is_none() {
            self.metadata = self.metadata_offset().map(|offset| (offset, Window::new(offset, TABLE_LEN)));
        }
        if let Some((_, window)) = &mut self.metadata {
            window.feed(at, chunk);
        }
        if self.disk_size.is_none()
            && let Some(relative) = self.metadata_entry(&VIRTUAL_DISK_SIZE).and_then(|e| le32(e, 16))
            && let Some((offset, _)) = &self.metadata
        {
            self.disk_size = offset.checked_add(u64::from(relative)).map(|start| Window::new(start, 8));
        }
        if let Some(window) = &mut self.disk_size {
            window.feed(at, chunk);
        }
    }
    fn wants(&self) -> Option<(u64, usize)> {
        let windows = [self.metadata.as_ref().map(|(_, w)| w), self.disk_size.as_ref()];
        windows.into_iter().flatten().find_map(Window::missing)
    }
    fn conclude(&self, _size: u64) -> Option<Finding> {
        if self.ident.bytes() != b"vhdxfile" {
            return None;
        }
        let size = self.disk_size.as_ref().and_then(|w| le64(w.bytes(), 0));
        let parent = self.metadata_entry(&PARENT_LOCATOR).is_some();
        Some(
            Finding::safe(size)
                .with("metadata", size.is_none().then(|| "The virtual disk size was not found".into()))
                .with("parent", parent.then(|| "Image is a differencing disk and has a parent".into())),
        )
    }
}
