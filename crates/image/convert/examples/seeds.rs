//! Writes whole and hostile files of every format into `fuzz/corpus`, one folder a target: where a fuzzer begins.

use image_convert::testing::{archives, headers, hostile, seeds};
use std::io::Result;
use std::path::Path;

fn main() -> Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus");
    let disks = seeds().into_iter().map(|(_, format, bytes)| (Some(format.as_str()), bytes));
    let hostile = hostile::corpus().into_iter().map(|h| (Some(h.format.as_str()), h.bytes));
    let inspected = headers().into_iter().map(|(_, _, bytes)| (None, bytes));
    for (number, (reader, bytes)) in disks.chain(hostile).chain(inspected).enumerate() {
        for target in reader.into_iter().chain(["inspect"]) {
            write(&corpus.join(target), number, &bytes)?;
        }
    }
    for (number, bytes) in archives(&[7; 4096]).iter().enumerate() {
        write(&corpus.join("archive"), number, bytes)?;
    }
    println!("{}", corpus.display());
    Ok(())
}

fn write(folder: &Path, number: usize, bytes: &[u8]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{number:03}")), bytes)
}
