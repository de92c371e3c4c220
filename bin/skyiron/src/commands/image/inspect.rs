use super::{examine, open, sized};
use anyhow::Result;
use image_model::DiskFormat;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Options {
    file: PathBuf,
    /// Judge it as an image whose disk_format is this. Without it: whatever it is, if it is safe.
    #[arg(long, value_parser = disk_format)]
    format: Option<DiskFormat>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

fn disk_format(name: &str) -> Result<DiskFormat, String> {
    let all: Vec<&str> = DiskFormat::ALL.iter().map(|f| f.as_str()).collect();
    name.parse().map_err(|_| format!("there are {}", all.join(", ")))
}

/// 0: it would be accepted. 1: it would be refused.
pub(super) fn run(o: &Options) -> Result<ExitCode> {
    let (file, size) = open(&o.file)?;
    let verdict = examine(&o.file, &file, size, o.format)?;
    if o.json {
        let said = json!({
            "file": o.file.display().to_string(),
            "size": size,
            "declared": o.format.map(DiskFormat::as_str),
            "detected": verdict.detected.as_str(),
            "virtual_size": verdict.virtual_size,
            "accepted": verdict.refusal.is_none(),
            "refusal": verdict.refusal,
        });
        println!("{said:#}");
    } else {
        println!("file          {}", o.file.display());
        println!("size          {}", sized(size));
        println!("detected      {}", verdict.detected);
        if let Some(disk) = verdict.virtual_size {
            println!("virtual size  {}", sized(disk));
        }
        match &verdict.refusal {
            None => println!("accepted"),
            Some(reason) => println!("refused       {reason}"),
        }
    }
    Ok(if verdict.refusal.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
