//! Disk images from one format to another, in safe Rust, inside limits that hold whatever the file says.
//!
//! A reader ([`read`]) knows one thing about its format: where in the file the bytes of the disk are. It answers with
//! [`Extent`]s: so many bytes of zeros, or standing there, or packed there. All else is common: reading, unpacking,
//! finding zeros, several threads, cancelling. A writer ([`write`]) is told, in the order of the disk, which pieces
//! hold data, and says where in the file they go; what is zero is never written.
//!
//! A reader holds four pages of its file's tables, whatever their size, and follows nothing out of the file: backing
//! files, external data, parents and extents in other files are refused, as is encryption. The numbers of a file are
//! checked where they are used.
//!
//! Blocking: run it off the event loop. Sizes and addresses are bytes.

pub mod archive;
mod convert;
mod crc32c;
mod disk;
mod error;
mod extent;
mod format;
mod limits;
mod meta;
mod pack;
mod plan;
mod read;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod turn;
mod write;

pub use convert::{Converted, convert, is_zero};
pub use disk::Disk;
pub use error::Error;
pub use extent::{Content, Extent, Method, Packed};
pub use format::{Compression, Format, Target};
pub use limits::{Limits, Progress};
pub use source::Source;
