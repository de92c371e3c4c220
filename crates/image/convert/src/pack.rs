//! Bytes of a disk out of the file: read, unpacked where they are packed. And packed again.

use crate::{Content, Error, Format, Method, Packed, Source};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use ruzstd::decoding::FrameDecoder;
use std::io::{self, Read};

/// The largest unit that is unpacked: a qcow2's largest cluster.
pub(crate) const MAX_UNIT: usize = 2 << 20;
/// Of a grain's marker: the sector of the disk, the length.
const MARKER: usize = 12;
/// QEMU packs clusters with a window of 4 KiB and says that readers may rely on it.
const QCOW2_WINDOW_BITS: u8 = 12;
/// What a frame of a cluster may need at most; a frame may ask for gigabytes.
const ZSTD_WINDOW: u64 = 8 << 20;

/// Keeps what unpacking needs between two pieces.
#[derive(Default)]
pub(crate) struct Unpacker {
    packed: Vec<u8>,
    unit: Vec<u8>,
    deflate: Option<Decompress>,
    zlib: Option<Decompress>,
    zstd: Option<Box<FrameDecoder>>,
}

impl Unpacker {
    /// Fills `buffer` with the bytes of the disk at `at`, which `content` begins with.
    pub(crate) fn fill(
        &mut self,
        source: &dyn Source,
        format: Format,
        buffer: &mut [u8],
        at: u64,
        content: Content,
    ) -> Result<(), Error> {
        match content {
            Content::Zero => buffer.fill(0),
            Content::Plain { offset } => read(source, buffer, offset)?,
            Content::Packed(p) => {
                let damaged = || Error::damaged(format, format!("what is packed at {} cannot be unpacked", p.offset));
                self.unpack(source, &p)?.ok_or_else(damaged)?;
                let skip = usize::try_from(at.saturating_sub(p.unit_at)).unwrap_or(usize::MAX);
                let from = self.unit.get(skip..).and_then(|u| u.get(..buffer.len())).ok_or_else(damaged)?;
                buffer.copy_from_slice(from);
            }
        }
        Ok(())
    }

    /// Into `self.unit`, which is shorter than the unit where the packed data is. `None`: it is no packed data.
    fn unpack(&mut self, source: &dyn Source, p: &Packed) -> Result<Option<()>, Error> {
        let unit_len = p.unit_len as usize;
        if unit_len > MAX_UNIT {
            return Ok(None);
        }
        self.packed.resize(p.len as usize, 0);
        self.unit.resize(unit_len, 0);
        if p.method == Method::Grain {
            return self.unpack_grain(source, p);
        }
        read(source, &mut self.packed, p.offset)?;
        let made = match p.method {
            Method::Deflate => {
                inflate(self.deflate.get_or_insert_with(|| Decompress::new(false)), false, &self.packed, &mut self.unit)
            }
            _ => unzstd(self.zstd.get_or_insert_with(Box::default), &self.packed, &mut self.unit),
        };
        // a cluster is whole
        Ok(made.filter(|&made| made == unit_len).map(|_| ()))
    }

    /// The last grain of a disk may be shorter than a grain.
    fn unpack_grain(&mut self, source: &dyn Source, p: &Packed) -> Result<Option<()>, Error> {
        let Some(marker) = self.packed.get_mut(..MARKER) else { return Ok(None) };
        read(source, marker, p.offset)?;
        let Ok(len) = marker[8..].try_into().map(u32::from_le_bytes) else { return Ok(None) };
        let Some(data) = self.packed.get_mut(MARKER..).and_then(|d| d.get_mut(..len as usize)) else { return Ok(None) };
        read(source, data, p.offset + MARKER as u64)?;
        let zlib = self.zlib.get_or_insert_with(|| Decompress::new(true));
        let Some(made) = inflate(zlib, true, data, &mut self.unit) else { return Ok(None) };
        self.unit.truncate(made);
        Ok(Some(()))
    }
}

fn read(source: &dyn Source, buffer: &mut [u8], at: u64) -> Result<(), Error> {
    source.read_exact_at(buffer, at).map_err(|source| Error::Read { at, len: buffer.len() as u64, source })
}

/// How much came out; `None` if the data is not what it should be, or would be more.
fn inflate(state: &mut Decompress, zlib: bool, packed: &[u8], unit: &mut [u8]) -> Option<usize> {
    state.reset(zlib);
    match state.decompress(packed, unit, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => usize::try_from(state.total_out()).ok(),
        // QEMU takes a full cluster without looking whether the data ends there
        Ok(_) if state.total_out() == unit.len() as u64 => Some(unit.len()),
        _ => None,
    }
}

fn unzstd(decoder: &mut FrameDecoder, packed: &[u8], unit: &mut [u8]) -> Option<usize> {
    let mut packed = packed;
    if zstd_window(packed)? > ZSTD_WINDOW {
        return None;
    }
    decoder.reset(&mut packed).ok()?;
    let mut made = 0;
    while made < unit.len() {
        let strategy = ruzstd::decoding::BlockDecodingStrategy::UptoBytes(unit.len() - made);
        if !decoder.is_finished() {
            decoder.decode_blocks(&mut packed, strategy).ok()?;
        }
        let now = decoder.read(unit.get_mut(made..)?).ok()?;
        made += now;
        if now == 0 && decoder.is_finished() {
            break;
        }
    }
    Some(made)
}

/// How much a frame wants to look back, from its header (RFC 8878, 3.1.1.1).
fn zstd_window(frame: &[u8]) -> Option<u64> {
    if !frame.starts_with(&0xfd2f_b528_u32.to_le_bytes()) {
        return None;
    }
    let descriptor = *frame.get(4)?;
    if descriptor & 0x20 == 0 {
        let window = *frame.get(5)?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // one segment: the window is the content
    let at = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let width = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let mut size = [0; 8];
    size.get_mut(..width)?.copy_from_slice(frame.get(at..at + width)?);
    Some(u64::from_le_bytes(size) + if width == 2 { 256 } else { 0 })
}

/// How a target packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Deflate,
    Zstd,
    /// With a VMDK grain's marker before and zeros up to a whole sector behind.
    Grain,
}

#[derive(Default)]
pub(crate) struct Packer {
    deflate: Option<Compress>,
    zlib: Option<Compress>,
}

impl Packer {
    /// Appends `unit`, which stands at `at` on the disk, packed. `false`: it does not get smaller; nothing is appended.
    pub(crate) fn pack(&mut self, how: Packing, unit: &[u8], at: u64, to: &mut Vec<u8>) -> Result<bool, io::Error> {
        let start = to.len();
        match how {
            Packing::Deflate => {
                let level = flate2::Compression::default();
                let state =
                    self.deflate.get_or_insert_with(|| Compress::new_with_window_bits(level, false, QCOW2_WINDOW_BITS));
                if !deflate(state, unit, to, unit.len() - 1)? {
                    return Ok(false);
                }
            }
            Packing::Zstd => {
                to.extend(ruzstd::encoding::compress_to_vec(unit, ruzstd::encoding::CompressionLevel::Fastest));
                if to.len() - start >= unit.len() {
                    to.truncate(start);
                    return Ok(false);
                }
            }
            Packing::Grain => {
                to.extend((at / 512).to_le_bytes());
                to.extend([0; 4]);
                let state = self.zlib.get_or_insert_with(|| Compress::new(flate2::Compression::default(), true));
                // a grain is packed even if it grows
                if !deflate(state, unit, to, unit.len() + unit.len() / 8 + 64)? {
                    return Err(io::Error::other("a grain grew beyond all bounds"));
                }
                let len = (to.len() - start - MARKER) as u32;
                to[start + 8..start + MARKER].copy_from_slice(&len.to_le_bytes());
                to.resize(start + (to.len() - start).next_multiple_of(512), 0);
            }
        }
        Ok(true)
    }
}

/// Whether it fitted into `room` more bytes.
fn deflate(state: &mut Compress, unit: &[u8], to: &mut Vec<u8>, room: usize) -> Result<bool, io::Error> {
    let start = to.len();
    state.reset();
    to.resize(start + room, 0);
    match state.compress(unit, &mut to[start..], FlushCompress::Finish).map_err(io::Error::other)? {
        Status::StreamEnd => {
            to.truncate(start + state.total_out() as usize);
            Ok(true)
        }
        _ => {
            to.truncate(start);
            Ok(false)
        }
    }
}
