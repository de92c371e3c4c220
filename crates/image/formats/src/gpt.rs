//! A disk with a partition table, MBR or GPT: raw content, but one whose table must make sense.

use crate::bytes::{le16, le32};
use crate::format::{Detected, Finding, Format};
use crate::window::Window;

const BOOT_SIGNATURE: u16 = 0xaa55;
const TABLE: usize = 446;
const ENTRY_LEN: usize = 16;
/// The one entry that a GPT's protective MBR has.
const PROTECTIVE: u8 = 0xee;

pub(crate) struct Gpt(Window);

impl Default for Gpt {
    fn default() -> Self {
        Self(Window::head())
    }
}

impl Format for Gpt {
    fn detects(&self) -> Detected {
        Detected::Gpt
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.0.feed(at, chunk);
    }
    fn conclude(&self, size: u64) -> Option<Finding> {
        let sector = self.0.bytes();
        (le16(sector, 510) == Some(BOOT_SIGNATURE) && !is_fat(sector))
            .then(|| Finding::safe(Some(size)).with("mbr", fault_in(sector)))
    }
}

/// A FAT file system's boot sector has the same signature: two FATs, media byte of a fixed disk.
fn is_fat(sector: &[u8]) -> bool {
    sector[16] == 2 && sector[21] == 0xf8
}

fn fault_in(sector: &[u8]) -> Option<String> {
    let entries: Vec<&[u8]> = sector[TABLE..510].chunks_exact(ENTRY_LEN).collect();
    if let Some(slot) = entries.iter().position(|e| e[0] & 0x7f != 0) {
        return Some(format!("MBR entry {slot} has an invalid boot flag"));
    }
    let used: Vec<usize> = (0..entries.len()).filter(|&slot| entries[slot][4] != 0).collect();
    if used.is_empty() {
        return Some("No partitions defined".into());
    }
    if used.iter().any(|&slot| entries[slot][4] == PROTECTIVE) {
        if used != [0] {
            return Some("Protective MBR has further partitions".into());
        }
        if entries[0][1..4] != [0, 2, 0] || le32(entries[0], 8) != Some(1) {
            return Some("Protective MBR does not start at the first sector".into());
        }
    }
    None
}
