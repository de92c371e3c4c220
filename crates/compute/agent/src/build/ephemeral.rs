//! The ephemeral disk: ext4 with the label `ephemeral0`, or blank on a host without `mkfs.ext4`.

use crate::files;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Once;
use std::time::Duration;
use tokio::process::Command;

/// A sparse file is formatted in a moment, however large.
const LIMIT: Duration = Duration::from_secs(60);
const PROGRAMS: [&str; 3] = ["mkfs.ext4", "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"];

pub(crate) async fn make(path: &Path, bytes: u64) -> io::Result<()> {
    let to = path.to_owned();
    files::off_loop(move || files::create(&to)?.set_len(bytes)).await?;
    for program in PROGRAMS {
        match format(program, path).await {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            formatted => {
                formatted?;
                let to = path.to_owned();
                return files::off_loop(move || std::fs::File::open(to)?.sync_all()).await;
            }
        }
    }
    static SAY: Once = Once::new();
    SAY.call_once(|| tracing::warn!("no mkfs.ext4 on this host: ephemeral disks are handed out blank"));
    Ok(())
}

async fn format(program: &str, path: &Path) -> io::Result<()> {
    let run = Command::new(program)
        .args(["-q", "-F", "-L", "ephemeral0", "-E", "lazy_itable_init=1,nodiscard"])
        .arg(path)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let out = tokio::time::timeout(LIMIT, run).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if out.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("mkfs.ext4: {}", String::from_utf8_lossy(&out.stderr).trim())))
}
