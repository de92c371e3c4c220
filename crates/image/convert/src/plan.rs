//! The disk cut into pieces that hold data, in order.

use crate::limits::Watch;
use crate::{Content, Disk, Error, Extent};

/// Holds whole clusters, grains and blocks of every target.
pub(crate) const PIECE: u64 = 2 << 20;

/// One piece of work.
pub(crate) struct Piece {
    pub number: u64,
    pub at: u64,
    pub len: usize,
    pub extents: Vec<Extent>,
}

pub(crate) struct Planner<'a, 'w> {
    disk: Disk<'a>,
    watch: &'w Watch<'w>,
    at: u64,
    number: u64,
}

impl<'a, 'w> Planner<'a, 'w> {
    pub(crate) fn new(disk: Disk<'a>, watch: &'w Watch<'w>) -> Self {
        Self { disk, watch, at: 0, number: 0 }
    }

    /// The next one that may hold something other than zeros.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Error> {
        while self.at < self.disk.virtual_size() {
            let (start, end) = (self.at, (self.at + PIECE).min(self.disk.virtual_size()));
            let mut extents = Vec::new();
            let mut at = start;
            while at < end {
                let extent = self.disk.extent(at)?;
                at += extent.len;
                push(&mut extents, extent);
            }
            // the next piece begins where one may begin, in what was just found
            self.at = if at < self.disk.virtual_size() { at / PIECE * PIECE } else { at }.max(end);
            let zero = extents.iter().all(|e| e.content == Content::Zero);
            if !zero {
                // all of it is read now, so what reaches further is found again
                self.at = end;
                let number = self.number;
                self.number += 1;
                return Ok(Some(Piece { number, at: start, len: (end - start) as usize, extents }));
            }
            self.watch.advance(self.at - start)?;
        }
        Ok(None)
    }
}

/// Joins what stands side by side in the file, too: fewer reads.
fn push(extents: &mut Vec<Extent>, next: Extent) {
    if let Some(last) = extents.last_mut() {
        let joins = match (last.content, next.content) {
            (Content::Zero, Content::Zero) => true,
            (Content::Plain { offset: a }, Content::Plain { offset: b }) => a.checked_add(last.len) == Some(b),
            _ => false,
        };
        if joins {
            last.len += next.len;
            return;
        }
    }
    extents.push(next);
}
