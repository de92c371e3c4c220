//! What a stream of image bytes really is, found out while it passes by, without holding more than about 1.5 MiB of it.
//!
//! An image's owner says `disk_format: raw`; a hypervisor that believes the bytes instead would open a file of the host
//! that a qcow2 header in them names. So what is declared and what is found must agree, and formats that can point
//! outside themselves are refused when they do. The rules are those of Glance and oslo.utils, made stricter in one
//! place: content of another disk format is never accepted as `raw`.
//!
//! One file a format; each implements [`format::Format`] and knows nothing of the others. [`judge`] puts their findings
//! together. Pure: no I/O, no async; bytes go in, a [`Verdict`] comes out.

mod bytes;
mod format;
mod gpt;
mod inspector;
mod iso;
mod judge;
mod luks;
mod ploop;
mod qcow2;
mod qed;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;
mod window;

pub use format::Detected;
pub use inspector::Inspector;
pub use judge::Verdict;
pub use vmdk::fault_in_vmdk_descriptor;
