//! Machines whose wall clocks are wrong.

use super::Cluster;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// The C library's clock of a process that loads it.
const SOURCE: &str = include_str!("clock.c");

impl Cluster {
    /// From now on the wall clock of a host is so many seconds ahead, if its processes are started again; of those that have been
    /// once, at once.
    pub fn set_clock(&mut self, host: &str, ahead_secs: i64) -> Result<()> {
        let (library, clock) = (self.folder.path().join("clock.so"), self.folder.path().join(format!("{host}.clock")));
        if !library.exists() {
            compile(&library)?;
        }
        // in place: processes have it in their memory
        let file = File::options().create(true).truncate(false).write(true).open(&clock)?;
        file.write_all_at(&ahead_secs.to_ne_bytes(), 0)?;
        for process in self.processes.values_mut().filter(|p| p.host.name == host) {
            process.environment.insert("LD_PRELOAD".to_owned(), library.display().to_string());
            process.environment.insert("SKYIRON_TEST_CLOCK".to_owned(), clock.display().to_string());
        }
        Ok(())
    }
}

fn compile(library: &Path) -> Result<()> {
    let source = library.with_extension("c");
    std::fs::write(&source, SOURCE)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(library).arg(&source);
    let done = compiler.output().context("cc (apt-get install gcc libc6-dev)")?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
