//! The guest as it really is: built from packages, started under QEMU without KVM, judged by what its console says.

mod boot;
mod cache;
mod config_drive;
mod json;
mod vm;
