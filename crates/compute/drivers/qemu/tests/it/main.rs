//! Against the QEMU of this machine. Guests have no system: the BIOS runs, which is enough for a process to live, stand
//! still, be saved and end. A boot sector of a few bytes stands in where the guest must do something itself.

mod disguise;
mod lifecycle;
mod outside;
mod suspend;
mod world;
