//! Feeds one stream to all formats at once.

use crate::format::{Detected, Finding, Format};
use crate::judge::{Verdict, judge};
use crate::{gpt, iso, luks, ploop, qcow2, qed, vdi, vhd, vhdx, vmdk};

/// What is looked at of every file: the descriptor of a VMDK may be up to here.
const HEAD: u64 = (1 << 20) + 512;
/// Holds the longest thing that stands at an end, a VMDK's footer.
const TAIL: u64 = 3 * 512;
const STEP: usize = 64 << 10;

/// Inspects one image while it is transferred. Memory: at most 1.5 MiB, whatever the image holds.
pub struct Inspector {
    declared: Option<String>,
    /// Looked for only where a VHD is declared.
    fixed_vhd: vhd::Fixed,
    formats: Vec<Box<dyn Format>>,
    size: u64,
}

impl Inspector {
    /// `declared`: the image's `disk_format`. `None`: only finds out and checks for safety, and refuses no format but
    /// those that are never allowed.
    pub fn new(declared: Option<&str>) -> Self {
        Self {
            declared: declared.map(str::to_owned),
            fixed_vhd: vhd::Fixed::default(),
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
        self.fixed_vhd.feed(chunk);
        self.size += chunk.len() as u64;
    }

    /// Inspects a file of `size` bytes that `read` fills buffers from at any place. The verdict is that of feeding all of
    /// it, but no more than 1.7 MiB are read.
    pub fn examine<E>(
        declared: Option<&str>,
        size: u64,
        mut read: impl FnMut(&mut [u8], u64) -> Result<(), E>,
    ) -> Result<Verdict, E> {
        let mut inspector = Self::new(declared);
        let mut buffer = vec![0; STEP];
        let mut feed_up_to = |inspector: &mut Self, end: u64| -> Result<(), E> {
            while inspector.size < end {
                let len = usize::try_from(end - inspector.size).unwrap_or(STEP).min(STEP);
                read(&mut buffer[..len], inspector.size)?;
                inspector.feed(&buffer[..len]);
            }
            Ok(())
        };
        feed_up_to(&mut inspector, size.min(HEAD))?;
        while let Some((start, len)) = inspector.wanted_before(size) {
            inspector.size = start;
            feed_up_to(&mut inspector, start.saturating_add(len as u64).min(size))?;
        }
        inspector.size = inspector.size.max(size.saturating_sub(TAIL));
        feed_up_to(&mut inspector, size)?;
        Ok(inspector.finish())
    }

    /// The next bytes that some format waits for, if they are still ahead.
    fn wanted_before(&self, size: u64) -> Option<(u64, usize)> {
        let wanted = self.formats.iter().filter_map(|f| f.wants());
        wanted.filter(|(start, _)| (self.size..size).contains(start)).min()
    }

    /// After the last byte.
    pub fn finish(self) -> Verdict {
        let mut found: Vec<(Detected, Finding)> =
            self.formats.iter().filter_map(|f| Some((f.detects(), f.conclude(self.size)?))).collect();
        if self.declared.as_deref() == Some("vhd")
            && let Some(finding) = self.fixed_vhd.conclude(self.size)
        {
            // up to its footer it is a plain disk, and looks like one
            found.retain(|(detected, _)| !detected.is_plain());
            found.push((Detected::Vhd, finding));
        }
        judge(self.declared.as_deref(), found, self.size)
    }
}
