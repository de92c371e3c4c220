//! Writes whole and hostile files of every format into `fuzz/corpus`, one folder a target: where a fuzzer begins.

use image_convert::testing::{hostile, seeds};
use std::io::Result;
use std::path::Path;

fn main() -> Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus");
    let hostile = hostile::corpus().into_iter().map(|h| (h.format, h.bytes));
    let files = seeds().into_iter().map(|(_, format, bytes)| (format, bytes)).chain(hostile);
    for (number, (format, bytes)) in files.enumerate() {
        for target in [format.as_str(), "inspect"] {
            let folder = corpus.join(target);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(format!("{number:03}")), &bytes)?;
        }
    }
    println!("{}", corpus.display());
    Ok(())
}
