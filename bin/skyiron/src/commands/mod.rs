//! The operator's commands, one file each.

pub(crate) mod backup;
pub(crate) mod catalog;
pub(crate) mod config;
pub(crate) mod db;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod guest;
pub(crate) mod image;
pub(crate) mod keys;
pub(crate) mod metadefs;
pub(crate) mod openrc;
pub(crate) mod policy;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod up;
pub(crate) mod upgrade;
