//! Conversions held against QEMU's own, and files made to deceive.

mod archives;
mod hostile;
mod limits;
mod outside;
mod qemu;

use image_convert::{Converted, Error, Format, Limits, Source, Target, convert};
use std::fs::File;
use std::ops::ControlFlow;

const MIB: u64 = 1 << 20;

fn limits() -> Limits {
    Limits::new(1 << 40, 1 << 30)
}

fn run(source: &dyn Source, from: Format, target: &File, to: Target, limits: &Limits) -> Result<Converted, Error> {
    convert(source, from, target, to, limits, &|_| ControlFlow::Continue(()))
}

/// The disk in an image, and what [`convert`] says of it.
fn to_raw(source: &dyn Source, from: Format) -> Result<Vec<u8>, Error> {
    let target = tempfile::tempfile().unwrap();
    let made = run(source, from, &target, Target::Raw, &limits())?;
    let mut disk = vec![0; made.virtual_size as usize];
    Source::read_exact_at(&target, &mut disk, 0).unwrap();
    Ok(disk)
}

/// A disk with a bit of everything: noise, text that packs well, single sectors, single bytes, zeros of any length.
fn disk(len: u64) -> Vec<u8> {
    let mut disk = vec![0; len as usize];
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let mut fill = |from: u64, to: u64, kind: u8| {
        let (from, to) = (from.min(len) as usize, to.min(len) as usize);
        for (n, word) in disk[from..to].chunks_mut(8).enumerate() {
            let bytes = match kind {
                0 => noise().to_le_bytes(),
                1 => *b"all work",
                _ => (noise() % 16 * n as u64).to_le_bytes(),
            };
            word.copy_from_slice(&bytes[..word.len()]);
        }
    };
    fill(0, 300_000, 0);
    fill(MIB, MIB + 400_000, 1);
    fill(2 * MIB - 512, 2 * MIB + 512, 0);
    fill(3 * MIB + 4096, 3 * MIB + 4608, 2);
    fill(5 * MIB, 7 * MIB, 2);
    fill(7 * MIB + 100_352, 8 * MIB, 0);
    fill(11 * MIB + 1, 11 * MIB + 2, 1);
    fill(len - 700, len, 1);
    disk
}
