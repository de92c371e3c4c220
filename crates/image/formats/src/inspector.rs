//! Feeds one stream to all formats at once.

use crate::format::{Detected, Finding, Format};
use crate::judge::{Verdict, judge};
use crate::{gpt, iso, luks, ploop, qcow2, qed, vdi, vhd, vhdx, vmdk};

/// Inspects one image while it is transferred. Memory: at most 1.5 MiB, whatever the image holds.
pub struct Inspector {
    declared: Option<String>,
    formats: Vec<Box<dyn Format>>,
    size: u64,
}

impl Inspector {
    /// `declared`: the image's `disk_format`. `None`: only finds out and checks for safety, and refuses no format but
    /// those that are never allowed.
    pub fn new(declared: Option<&str>) -> Self {
        Self {
            declared: declared.map(str::to_owned),
            formats: vec![
                Box::new(qcow2::Qcow2::default()),
                Box::new(qed::Qed::default()),
                Box::new(vhd::Vhd::default()),
                Box::new(vhdx::Vhdx::default()),
                Box::new(vmdk::Vmdk::default()),
                Box::new(vdi::Vdi::default()),
                Box::new(iso::Iso::default()),
                Box::new(gpt::Gpt::default()),
                Box::new(luks::Luks::default()),
                Box::new(ploop::Ploop::default()),
            ],
            size: 0,
        }
    }

    /// The next bytes of the image.
    pub fn feed(&mut self, chunk: &[u8]) {
        for format in &mut self.formats {
            format.feed(self.size, chunk);
        }
        self.size += chunk.len() as u64;
    }

    /// After the last byte.
    pub fn finish(self) -> Verdict {
        let found: Vec<(Detected, Finding)> =
            self.formats.iter().filter_map(|f| Some((f.detects(), f.conclude(self.size)?))).collect();
        judge(self.declared.as_deref(), found, self.size)
    }
}
