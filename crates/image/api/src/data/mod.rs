//! `/v2/images/{image_id}/file`: the bytes.
//!
//! An upload goes through once: every chunk is hashed (MD5 and SHA-512, each on a thread), inspected and written, side
//! by side and bounded, so that it takes as long as the slowest of them and holds a few MiB whatever the image's size.

pub(crate) mod download;
pub(crate) mod hashing;
mod held;
pub(crate) mod lease;
pub(crate) mod range;
pub(crate) mod register;
mod store;
pub(crate) mod upload;

pub(crate) use image_model::data_key as key;
