//! The agent over the real bus, with a conductor, a hypervisor and an image service that tests can steer.

mod cache;
mod compare;
mod conductor;
mod disks;
mod evacuated;
mod fakes;
mod hypervisor;
mod images;
mod qemu;
mod restart;
mod signed;
mod work;
mod world;
