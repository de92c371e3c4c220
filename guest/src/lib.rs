//! The tiny guest image: how it is built from Debian's packages, and how to read what it tells on its console.
//!
//! [`build`] needs no root and installs nothing: `packages` has apt download the .deb files and unpacks them, `modules`
//! picks the kernel modules, `initramfs` packs them with busybox and the scripts in `guest/image/`, `disk` lays out a
//! disk that boots by itself. What was built is kept under the packages' versions, so the next call only looks it up.
//! [`console`] is the other end: it turns the guest's lines into events.

mod build;
mod command;
pub mod console;
mod disk;
mod initramfs;
mod modules;
mod packages;

pub use build::{Guest, Kernel, Options, Progress, STEPS, Step, build, default_cache};

/// What the whole-disk image passes to its kernel, and what a kernel started with separate files (aki, ari) should get.
///
/// The console is the first serial port. `earlycon` shows the kernel's first line some 0.3 s sooner, loglevel 6 drops
/// the hundreds of lines after it; the rest skips work that costs time under emulation and that no test guest needs:
/// address randomisation, the calibration and check of timers, auditing, self-tests of ciphers, asking the BIOS for disks.
pub const COMMAND_LINE: &str = "console=ttyS0 earlycon=uart8250,io,0x3f8,115200n8 loglevel=6 panic=10 nokaslr \
                                tsc=reliable no_timer_check audit=0 cryptomgr.notests edd=off";
