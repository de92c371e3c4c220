//! The conversion itself: pieces are read, unpacked and packed by several threads, and placed in order.

use crate::disk::Disk;
use crate::limits::Watch;
use crate::pack::{Packer, Unpacker};
use crate::plan::{PIECE, Piece, Planner};
use crate::turn::{StopUnlessDone, Turnstile};
use crate::write::{self, Out, Shape, Unit, Writer};
use crate::{Error, Format, Limits, Progress, Source, Target};
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Of the disk in the target; that of the source, in whole sectors where the target's format counts in them.
    pub virtual_size: u64,
    /// The target's length. Of a raw one much may be holes.
    pub bytes: u64,
}

/// Writes the disk in `source` to `target`, whose content is replaced. The same source gives the same target, byte by
/// byte, except for the unique ids that VHD and VDI carry.
///
/// `progress` is called at every piece, by several threads; `Break` ends the conversion with [`Error::Cancelled`].
/// Nothing is synced to the disk, and after an error the target holds a part that means nothing.
pub fn convert(
    source: &dyn Source,
    from: Format,
    target: &File,
    to: Target,
    limits: &Limits,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<Converted, Error> {
    let disk = Disk::open(source, from, limits)?;
    let size = disk.virtual_size();
    let virtual_size = if to == Target::Raw { size } else { size.next_multiple_of(512) };
    let watch = Watch::new(limits, size, progress);
    let out = Out::new(target, limits.output);
    out.empty()?;
    let writer = write::create(to, virtual_size, &out)?;
    let shape = writer.shape();
    let shared = Shared {
        source,
        format: disk.format(),
        planner: Mutex::new(Planner::new(disk, &watch)),
        turnstile: Turnstile::new(writer),
        out: &out,
        watch: &watch,
        shape,
    };
    shared.run(limits.threads.max(1))?;
    let mut writer = shared.turnstile.into_inner();
    let bytes = writer.finish(&out)?;
    Ok(Converted { virtual_size, bytes })
}

struct Shared<'a> {
    source: &'a dyn Source,
    format: Format,
    planner: Mutex<Planner<'a, 'a>>,
    turnstile: Turnstile<Box<dyn Writer>>,
    out: &'a Out<'a>,
    watch: &'a Watch<'a>,
    shape: Shape,
}

impl Shared<'_> {
    fn run(&self, threads: usize) -> Result<(), Error> {
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| self.work())).collect();
            let mut result = self.work();
            for other in others {
                match other.join() {
                    Ok(theirs) => result = result.and(theirs),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            result
        })
    }

    fn work(&self) -> Result<(), Error> {
        let mut guard = StopUnlessDone { turnstile: &self.turnstile, done: false };
        let mut hands = Hands::new();
        while !self.turnstile.is_stopped() {
            let next = self.planner.lock().unwrap_or_else(PoisonError::into_inner).next()?;
            let Some(piece) = next else {
                guard.done = true;
                break;
            };
            if !self.handle(&mut hands, &piece)? {
                break;
            }
            self.watch.advance(piece.len as u64)?;
        }
        Ok(())
    }

    /// `false`: another thread has failed.
    fn handle(&self, hands: &mut Hands, piece: &Piece) -> Result<bool, Error> {
        self.fill(hands, piece)?;
        self.choose(hands, piece)?;
        let Hands { buffer, packed, units, hosts, .. } = hands;
        hosts.clear();
        if self.shape.ordered {
            let placed = self.turnstile.pass(piece.number, |writer| writer.place(self.out, units, hosts));
            let Some(placed) = placed else { return Ok(false) };
            placed?;
        } else {
            write::to_own_addresses(units, hosts);
        }
        let mut run = Run { out: self.out, buffer, host: 0, start: 0, end: 0 };
        for (unit, &host) in units.iter().zip(hosts.iter()) {
            match &unit.packed {
                Some(range) => self.out.write(&packed[range.clone()], host)?,
                None => self.write_plain(&mut run, piece, unit, host)?,
            }
        }
        run.flush()?;
        Ok(true)
    }

    /// The piece's bytes, with zeros up to a whole unit.
    fn fill(&self, hands: &mut Hands, piece: &Piece) -> Result<(), Error> {
        hands.buffer.resize(piece.len.next_multiple_of(self.shape.unit), 0);
        let (data, padding) = hands.buffer.split_at_mut(piece.len);
        padding.fill(0);
        let (mut rest, mut at) = (data, piece.at);
        for extent in &piece.extents {
            let len = usize::try_from(extent.len).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            hands.unpacker.fill(self.source, self.format, now, at, extent.content)?;
            (at, rest) = (at + len as u64, later);
        }
        Ok(())
    }

    /// The units with anything but zeros in them, packed if they are to be.
    fn choose(&self, hands: &mut Hands, piece: &Piece) -> Result<(), Error> {
        hands.units.clear();
        hands.packed.clear();
        for (n, bytes) in hands.buffer.chunks(self.shape.unit).enumerate() {
            if is_zero(bytes) {
                continue;
            }
            let start = n * self.shape.unit;
            let at = piece.at + start as u64;
            let packed_from = hands.packed.len();
            let packed = match self.shape.packing {
                None => false,
                Some(how) => hands.packer.pack(how, bytes, at, &mut hands.packed).map_err(|source| Error::Write {
                    at,
                    len: bytes.len() as u64,
                    source,
                })?,
            };
            hands.units.push(Unit { at, start, packed: packed.then_some(packed_from..hands.packed.len()) });
        }
        Ok(())
    }

    /// What is zero in a fresh unit stays a hole.
    fn write_plain(&self, run: &mut Run<'_>, piece: &Piece, unit: &Unit, host: u64) -> Result<(), Error> {
        let end = (unit.start + self.shape.unit).min(piece.len);
        if self.shape.unit <= self.shape.hole {
            return run.add(unit.start, end, host);
        }
        let mut start = unit.start;
        while start < end {
            let to = (start + self.shape.hole).min(end);
            if !is_zero(&run.buffer[start..to]) {
                run.add(start, to, host + (start - unit.start) as u64)?;
            }
            start = to;
        }
        Ok(())
    }
}

/// What one thread works with, kept from piece to piece.
struct Hands {
    buffer: Vec<u8>,
    packed: Vec<u8>,
    units: Vec<Unit>,
    hosts: Vec<u64>,
    unpacker: Unpacker,
    packer: Packer,
}

impl Hands {
    fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(PIECE as usize),
            packed: Vec::new(),
            units: Vec::new(),
            hosts: Vec::new(),
            unpacker: Unpacker::default(),
            packer: Packer::default(),
        }
    }
}

/// Bytes side by side both here and there are written at once.
struct Run<'a> {
    out: &'a Out<'a>,
    buffer: &'a [u8],
    host: u64,
    start: usize,
    end: usize,
}

impl Run<'_> {
    fn add(&mut self, start: usize, end: usize, host: u64) -> Result<(), Error> {
        if start == self.end && host == self.host + (self.end - self.start) as u64 {
            self.end = end;
            return Ok(());
        }
        self.flush()?;
        (self.start, self.end, self.host) = (start, end, host);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), Error> {
        let bytes = &self.buffer[self.start..self.end];
        if bytes.is_empty() { Ok(()) } else { self.out.write(bytes, self.host) }
    }
}

/// Sixty-four bytes at a time: the compiler makes vector instructions of it.
pub fn is_zero(bytes: &[u8]) -> bool {
    let mut chunks = bytes.chunks_exact(64);
    chunks.by_ref().all(|c| c.iter().fold(0, |all, &b| all | b) == 0) && chunks.remainder().iter().all(|&b| b == 0)
}
