//! `skyiron guest build`.

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Builds the tiny guest image from Debian's packages.
    Build {
        /// FILE.qcow2 or FILE.raw; or FILE.ami, with FILE.aki and FILE.ari beside it.
        #[arg(long)]
        output: PathBuf,
    },
}

pub(crate) fn run(command: Command) -> Result<()> {
    let Command::Build { output } = command;
    let made = build()?;
    let copy = |from: &Path, to: &Path| -> Result<()> {
        std::fs::copy(from, to).with_context(|| to.display().to_string())?;
        println!("{}", to.display());
        Ok(())
    };
    match output.extension().and_then(|e| e.to_str()) {
        Some("qcow2") => copy(&made.qcow2, &output),
        Some("raw" | "img") => copy(&made.raw, &output),
        Some("ami") => {
            copy(&made.root_disk, &output)?;
            copy(&made.kernel, &output.with_extension("aki"))?;
            copy(&made.initramfs, &output.with_extension("ari"))
        }
        _ => bail!("{}: the name must end in .qcow2, .raw or .ami", output.display()),
    }
}

/// Builds, or finds in the cache, showing each step.
pub(crate) fn build() -> Result<guest::Guest> {
    let bar = progress(guest::STEPS.len() as u64);
    let made = guest::build(&guest::Options::default(), &mut |step: guest::Step| {
        bar.inc(1);
        say(&bar, &format!("guest image: {step}"));
    });
    bar.finish_and_clear();
    made
}

/// A bar on a terminal; elsewhere it shows nothing, and [`say`] prints plain lines.
pub(crate) fn progress(steps: u64) -> ProgressBar {
    if std::io::stderr().is_terminal() { ProgressBar::new(steps) } else { ProgressBar::hidden() }
}

pub(crate) fn say(bar: &ProgressBar, text: &str) {
    if bar.is_hidden() {
        eprintln!("{text}");
    } else {
        bar.println(text);
    }
}
