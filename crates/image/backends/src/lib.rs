//! Where image data is kept: one folder or file a backend, each implementing [`image_model::Backend`].
//!
//! | | what it speaks |
//! |---|---|
//! | [`file`] | a folder, which may be on a mount that comes and goes (NFS) |
//! | [`s3`] | S3, in parts |
//! | [`swift`] | OpenStack's object store, in segments, with a login at identity |
//! | [`http`] | web servers, read only |
//! | [`memory`] | nothing: for tests |

mod client;
mod download;
mod failure;
pub mod file;
pub mod http;
pub mod memory;
mod parts;
pub mod s3;
pub mod swift;
#[cfg(feature = "testing")]
pub mod testing;

pub use client::{ClientSettings, Clients, client};
pub use file::FileBackend;
pub use http::HttpBackend;
pub use memory::MemoryBackend;
pub use s3::{S3Backend, S3Settings};
pub use swift::{SwiftBackend, SwiftSettings};

use base::Timestamp;

/// Whether a key may be one of an image's data: it is part of a path or a URL as it is.
fn is_plain(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    !key.is_empty() && !key.starts_with('.') && key.chars().all(plain)
}

/// A time as stores write it, in UTC with or without saying so. What cannot be read is new, so that nothing of it is taken
/// for old.
fn stamp(text: &str) -> Timestamp {
    let with_zone = if text.ends_with('Z') { text.to_owned() } else { format!("{text}Z") };
    with_zone.parse::<jiff::Timestamp>().map_or(Timestamp(i64::MAX), |t| Timestamp(t.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_stores_write_them() {
        assert_eq!(stamp("2009-10-12T17:50:30.000Z"), Timestamp(1_255_369_830_000_000));
        assert_eq!(stamp("2009-10-12T17:50:30.250000"), Timestamp(1_255_369_830_250_000));
        assert_eq!(stamp("yesterday"), Timestamp(i64::MAX));
    }
}
