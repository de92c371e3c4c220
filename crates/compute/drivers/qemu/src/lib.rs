//! Virtual machines by QEMU, one process each, spoken to over QMP. No libvirt.
//!
//! # How a guest lives
//!
//! Everything about a guest is under `<instances_dir>/<uuid>/`: its definition (`guest.json`), console (`console.log`),
//! QEMU's own words (`qemu.log`), control socket (`qmp.sock`), process number (`pid`) and, while suspended, its memory
//! (`suspend.state`). Disks may lie anywhere. What power state a guest is in follows from these files and the process:
//!
//! | definition | process | `suspend.state` | state |
//! |---|---|---|---|
//! | no | – | – | `NoState` |
//! | yes | no | no | `Shutdown` |
//! | yes | any | yes | `Suspended` (a process then is the leftover of an interrupted suspend or resume, and is ended) |
//! | yes | yes | no | what QMP says |
//!
//! # One process per guest, whatever happens
//!
//! QEMU is started holding an exclusive `flock` on `<uuid>/lock`, inherited as an open file. The kernel drops it when the
//! process is gone, not before: "is there a process" is "is the lock held", true even if this program was killed between
//! fork and the first note of the process number. Nothing is ever started without taking that lock.
//!
//! # Why open files and not paths
//!
//! This program opens every disk, log and socket and hands them over by number (`-add-fd`, `fd=`). So QEMU runs as a user
//! that may read no path at all, data directories may be as deep and as private as one likes (a socket's path is limited
//! to 108 bytes, one's number is not), and a guest that breaks out of QEMU finds nothing to open.
//!
//! # Invariants
//! - [`args`] is pure: from values to a command line and a list of files to open.
//! - Changes of one guest happen under its `op` lock, which is never held while waiting for a guest's good will.
//! - Guests outlive this program: nothing is killed on drop, and the next [`Qemu`] finds them by their locks.

pub mod args;
mod config;
mod console;
mod diagnostics;
mod driver;
mod facts;
mod guest;
mod host;
mod launch;
mod layout;
mod life;
mod power;
mod process;
pub mod qmp;
mod running;
mod suspend;
mod traits;

pub use config::{Accel, QemuConfig, RunAs};
pub use driver::Qemu;
pub use host::{Accelerator, HostAbilities};
