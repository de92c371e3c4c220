use super::{examine, open, sized};
use crate::commands::guest::progress;
use crate::commands::up::runtime;
use anyhow::{Context, Result, anyhow, bail};
use image_convert::{Compression, Converted, Format, Limits, Progress, Target};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::NamedTempFile;
use tokio::signal::unix::{SignalKind, signal};

#[derive(clap::Args)]
pub(crate) struct Options {
    input: PathBuf,
    /// It gets its name when it is complete.
    output: PathBuf,
    /// raw, qcow2, vhd, vdi, vmdk
    #[arg(long, value_name = "FORMAT")]
    to: String,
    /// Read the input as this, whatever it looks like. Without it, it is inspected, and refused as an upload would be.
    #[arg(long, value_name = "FORMAT")]
    from: Option<String>,
    /// Pack a qcow2's clusters: with zlib, which everything reads, or zstd.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "zlib")]
    compress: Option<String>,
    /// Replace the output if it is there.
    #[arg(long)]
    force: bool,
    /// The largest disk that is taken out of the input, in GiB.
    #[arg(long, default_value_t = 16 << 10, value_parser = clap::value_parser!(u64).range(1..1 << 33))]
    max_size: u64,
}

pub(super) fn run(o: &Options) -> Result<()> {
    let to = Target::of(&o.to, compression(o.compress.as_deref())?).map_err(|e| anyhow!("--to: {e}"))?;
    let (source, size) = open(&o.input)?;
    let from = match &o.from {
        Some(name) => Format::of(name).with_context(|| format!("--from: {name} cannot be read"))?,
        None => found(o, &source, size)?,
    };
    let there = o.output.symlink_metadata().is_ok();
    if there && !o.force {
        bail!("{} is there already: --force replaces it", o.output.display());
    }
    let limits = Limits::new(o.max_size << 30, u64::MAX);
    let (target, made) = runtime()?
        .block_on(convert(source, from, &o.output, to, limits))
        .with_context(|| format!("{} from {from} to {}", o.input.display(), o.to))?;
    let named = if o.force { target.persist(&o.output) } else { target.persist_noclobber(&o.output) };
    named.with_context(|| o.output.display().to_string())?;
    println!("{}: {}, a disk of {}", o.output.display(), sized(made.bytes), sized(made.virtual_size));
    Ok(())
}

fn compression(how: Option<&str>) -> Result<Option<Compression>> {
    Ok(match how {
        None => None,
        Some("zlib") => Some(Compression::Zlib),
        Some("zstd") => Some(Compression::Zstd),
        Some(other) => bail!("--compress: {other} is not known; zlib and zstd are"),
    })
}

fn found(o: &Options, source: &File, size: u64) -> Result<Format> {
    let verdict = examine(&o.input, source, size, None)?;
    let path = o.input.display();
    if let Some(refusal) = verdict.refusal {
        bail!("{path}: {refusal}. --from says how to read it all the same");
    }
    Format::of(verdict.detected.as_str()).with_context(|| format!("{path}: {} cannot be read", verdict.detected))
}

/// In the same folder, so that it can be given its name. Removed again unless it is.
fn beside(output: &Path) -> Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let name = output.file_name().with_context(|| format!("{}: not a file's name", output.display()))?;
    let folder = output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let prefix = format!(".{}.", name.to_string_lossy());
    let permissions = std::fs::Permissions::from_mode(0o666);
    tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".part")
        // as for any new file: what the umask leaves
        .permissions(permissions)
        .tempfile_in(folder)
        .with_context(|| folder.display().to_string())
}

/// Ctrl-C and SIGTERM end it in order, so that nothing is left behind: they are listened to before anything is there.
async fn convert(
    source: File,
    from: Format,
    output: &Path,
    to: Target,
    limits: Limits,
) -> Result<(NamedTempFile, Converted)> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let target = beside(output)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let work = tokio::task::spawn_blocking(move || {
        let bar = progress(0);
        let seen = |p: Progress| {
            bar.set_length(p.total);
            bar.set_position(p.done);
            if stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let made = image_convert::convert(&source, from, target.as_file(), to, &limits, &seen);
        bar.finish_and_clear();
        made.map(|made| (target, made))
    });
    let asked = tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        stop.store(true, Ordering::Relaxed);
    });
    let made = work.await;
    asked.abort();
    Ok(made.context("the conversion")??)
}
