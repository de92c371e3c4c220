//! The operator's commands, one file each.

pub mod config;
pub mod demo;
pub mod guest;
pub mod openrc;
pub mod serve;
pub mod status;
pub mod up;
