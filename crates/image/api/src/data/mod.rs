//! `/v2/images/{image_id}/file`: the bytes, and what imports share with it.
//!
//! Data goes through once: every chunk is hashed (MD5 and SHA-512, each on a thread, and what a signature wants), inspected and written, side
//! by side and bounded, so that it takes as long as the slowest of them and holds a few MiB whatever the image's size.

mod copies;
pub(crate) mod download;
pub(crate) mod hashing;
mod held;
pub(crate) mod lease;
pub(crate) mod range;
pub(crate) mod register;
mod source;
mod store;
pub(crate) mod upload;

pub(crate) use copies::Copies;
pub(crate) use hashing::HashAlgo;
pub(crate) use held::gone;
pub(crate) use image_model::data_key as key;
pub(crate) use source::{Source, Stored};
pub(crate) use store::{Failed, Room, pass};
pub(crate) use upload::room;
