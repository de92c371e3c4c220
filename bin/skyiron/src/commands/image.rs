//! `skyiron image`: what disk images are, and making others of them. Works on files; no cloud is needed.

mod convert;
mod formats;
mod inspect;

use anyhow::{Context, Result};
use image_formats::{Inspector, Verdict};
use image_model::DiskFormat;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lists the disk formats: which are told apart, read, written.
    Formats,
    /// Says what a file is, how large the disk in it is, and why it would be refused.
    Inspect(inspect::Options),
    /// Makes an image of another format.
    Convert(convert::Options),
}

pub(crate) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Formats => {
            formats::print();
            Ok(ExitCode::SUCCESS)
        }
        Command::Inspect(o) => inspect::run(o),
        Command::Convert(o) => convert::run(o).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|e| {
        eprintln!("skyiron image: {e:#}");
        ExitCode::from(2)
    })
}

fn open(path: &Path) -> Result<(File, u64)> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let about = file.metadata().with_context(|| path.display().to_string())?;
    anyhow::ensure!(about.is_file(), "{}: not a regular file", path.display());
    Ok((file, about.len()))
}

fn examine(path: &Path, file: &File, size: u64, declared: Option<DiskFormat>) -> Result<Verdict> {
    let declared = declared.map(DiskFormat::as_str);
    Inspector::examine(declared, size, |buffer, at| file.read_exact_at(buffer, at))
        .with_context(|| path.display().to_string())
}

/// A size for people, beside the exact one.
fn sized(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => format!("{bytes} bytes ({:.1} {unit})", bytes as f64 / (1u64 << shift) as f64),
        None => format!("{bytes} bytes"),
    }
}
