//! ZIP (APPNOTE 6.3) with one file, read from its front: its local header says how it is packed, and the directory that
//! follows must say the same, for other programs believe the directory.

use super::{Archive, Counted, Meter, UnpackError};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::io::{BufRead, Read};

const ZIP: Archive = Archive::Zip;

const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const ZIP64_END: u32 = 0x0606_4b50;
const ZIP64_LOCATOR: u32 = 0x0706_4b50;
const END: u32 = 0x0605_4b50;

/// Of the flags: encrypted, patched, strongly encrypted, headers masked.
const UNREADABLE: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;
/// Of the flags: sizes and checksum follow the data.
const DESCRIBED_LATER: u16 = 1 << 3;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// "See the ZIP64 field".
const ELSEWHERE: u32 = u32::MAX;
const ZIP64_FIELD: u16 = 1;

pub(super) fn unpack<R: BufRead>(mut input: Counted<R>, mut meter: Meter<'_>) -> Result<u64, UnpackError> {
    let said = Entry::local(&mut input)?;
    let begin = input.read;
    let mut crc = Crc::new();
    let mut input = match said.method {
        STORED if said.described_later => {
            return Err(ZIP.refused("the file in it is not packed, and where it ends is not said before it"));
        }
        STORED => {
            let mut data = input.take(said.sums.packed);
            meter.pass(&mut data, |d| d.get_ref().read, |piece| crc.update(piece))?;
            data.into_inner()
        }
        DEFLATED => {
            let mut data = DeflateDecoder::new(input);
            meter.pass(&mut data, |d| d.get_ref().read, |piece| crc.update(piece))?;
            data.into_inner()
        }
        other => return Err(ZIP.refused(format!("its method of packing, {other}, is neither stored nor deflated"))),
    };
    let found = Sums { crc: crc.sum(), packed: input.read - begin, size: meter.written };
    let wide = said.zip64 || found.packed > u64::from(u32::MAX) || found.size > u64::from(u32::MAX);
    let sums = if said.described_later { Sums::after(&mut input, wide)? } else { said.sums };
    if sums != found {
        return Err(ZIP.damaged("the file in it is not what its header says"));
    }
    directory(&mut input, &Entry { sums, ..said })?;
    Ok(meter.written)
}

/// What proves that a file was read as it was written. Lengths in bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sums {
    crc: u32,
    packed: u64,
    size: u64,
}

impl Sums {
    /// Behind the data, with a signature or without.
    fn after<R: BufRead>(input: &mut Counted<R>, wide: bool) -> Result<Self, UnpackError> {
        let first = number(input)?;
        let crc = if first == DESCRIPTOR { number(input)? } else { first };
        let mut length = || if wide { long(input) } else { number(input).map(u64::from) };
        Ok(Self { crc, packed: length()?, size: length()? })
    }
}

/// The file in the archive, as one of its two headers has it.
struct Entry {
    method: u16,
    described_later: bool,
    zip64: bool,
    sums: Sums,
    name: Vec<u8>,
}

impl Entry {
    /// What it begins with.
    fn local<R: BufRead>(input: &mut Counted<R>) -> Result<Self, UnpackError> {
        if number(input)? != LOCAL {
            return Err(ZIP.damaged("it does not begin with a file"));
        }
        let head: [u8; 26] = bytes(input)?;
        let flags = short(&head, 2);
        if flags & UNREADABLE != 0 {
            return Err(ZIP.refused("it is encrypted"));
        }
        let name = text(input, short(&head, 22))?;
        if name.ends_with(b"/") {
            return Err(ZIP.refused("there is a folder in it"));
        }
        let extra = text(input, short(&head, 24))?;
        let mut sums =
            Sums { crc: number_at(&head, 10), packed: number_at(&head, 14).into(), size: number_at(&head, 18).into() };
        let zip64 = field(&extra, ZIP64_FIELD);
        let mut wide = zip64.unwrap_or_default();
        elsewhere(&mut sums.size, &mut wide)?;
        elsewhere(&mut sums.packed, &mut wide)?;
        Ok(Self {
            method: short(&head, 4),
            described_later: flags & DESCRIBED_LATER != 0,
            zip64: zip64.is_some(),
            sums,
            name,
        })
    }
}

/// The directory and what ends it: they know of this one file, and nothing follows.
fn directory<R: BufRead>(input: &mut Counted<R>, file: &Entry) -> Result<(), UnpackError> {
    let several = || ZIP.refused("there is more than one file in it");
    match number(input)? {
        CENTRAL => {}
        LOCAL => return Err(several()),
        _ => return Err(ZIP.damaged("its directory does not follow the file in it")),
    }
    let head: [u8; 42] = bytes(input)?;
    let name = text(input, short(&head, 24))?;
    let extra = text(input, short(&head, 26))?;
    text(input, short(&head, 28))?;
    let mut sums =
        Sums { crc: number_at(&head, 12), packed: number_at(&head, 16).into(), size: number_at(&head, 20).into() };
    let mut offset = number_at(&head, 38).into();
    let mut wide = field(&extra, ZIP64_FIELD).unwrap_or_default();
    elsewhere(&mut sums.size, &mut wide)?;
    elsewhere(&mut sums.packed, &mut wide)?;
    elsewhere(&mut offset, &mut wide)?;
    if sums != file.sums || name != file.name || short(&head, 6) != file.method || offset != 0 {
        return Err(ZIP.damaged("its directory is not of the file in it"));
    }
    let mut signature = number(input)?;
    if signature == CENTRAL {
        return Err(several());
    }
    if signature == ZIP64_END {
        // no writer makes more than its 44 bytes
        let length = u16::try_from(long(input)?).map_err(|_| ZIP.damaged("its end is too long"))?;
        text(input, length)?;
        signature = number(input)?;
    }
    if signature == ZIP64_LOCATOR {
        bytes::<16, _>(input)?;
        signature = number(input)?;
    }
    let end: [u8; 18] = if signature == END { bytes(input)? } else { return Err(ZIP.damaged("its end is missing")) };
    if short(&end, 6) != 1 {
        return Err(several());
    }
    text(input, short(&end, 16))?;
    if input.is_at_end().map_err(|e| ZIP.unread(e))? { Ok(()) } else { Err(ZIP.damaged("something follows its end")) }
}

/// A length that stands in the ZIP64 field instead, which has those that do, in order.
fn elsewhere(length: &mut u64, wide: &mut &[u8]) -> Result<(), UnpackError> {
    if *length == u64::from(ELSEWHERE) {
        let (first, rest) = wide.split_first_chunk().ok_or_else(|| ZIP.damaged("a length is missing"))?;
        (*length, *wide) = (u64::from_le_bytes(*first), rest);
    }
    Ok(())
}

/// Of the extra fields the first one with this number.
fn field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let data = rest.get(..usize::from(short(head, 2)))?;
        if short(head, 0) == id {
            return Some(data);
        }
        extra = &rest[data.len()..];
    }
    None
}

fn bytes<const N: usize, R: BufRead>(input: &mut Counted<R>) -> Result<[u8; N], UnpackError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|e| ZIP.unread(e))?;
    Ok(bytes)
}
fn text<R: BufRead>(input: &mut Counted<R>, length: u16) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = vec![0; length.into()];
    input.read_exact(&mut bytes).map_err(|e| ZIP.unread(e))?;
    Ok(bytes)
}
fn number<R: BufRead>(input: &mut Counted<R>) -> Result<u32, UnpackError> {
    bytes(input).map(u32::from_le_bytes)
}
fn long<R: BufRead>(input: &mut Counted<R>) -> Result<u64, UnpackError> {
    bytes(input).map(u64::from_le_bytes)
}
fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
}
fn number_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}
