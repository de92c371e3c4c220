use crate::Format;
use std::borrow::Cow;
use std::io;

/// Why a conversion ended. What was written of the target until then means nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file asks for something that is not done: other files, keys, unknown features.
    #[error("this {format} cannot be used: {reason}")]
    Refused { format: Format, reason: Cow<'static, str> },
    /// The file contradicts itself or its format.
    #[error("this {format} is damaged: {reason}")]
    Damaged { format: Format, reason: Cow<'static, str> },
    #[error("{what}: {asked} bytes are over the limit of {limit}")]
    TooLarge { what: &'static str, asked: u64, limit: u64 },
    /// The target's format cannot hold so large a disk.
    #[error("a {format} holds at most {limit} bytes, the disk has {asked}")]
    DoesNotFit { format: Format, asked: u64, limit: u64 },
    #[error("the conversion was cancelled")]
    Cancelled,
    #[error("the conversion took longer than allowed")]
    TimedOut,
    #[error("reading {len} bytes of the image at {at}")]
    Read { at: u64, len: u64, source: io::Error },
    #[error("writing {len} bytes of the converted image at {at}")]
    Write { at: u64, len: u64, source: io::Error },
}

impl Error {
    pub(crate) fn refused(format: Format, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused { format, reason: reason.into() }
    }
    pub(crate) fn damaged(format: Format, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Damaged { format, reason: reason.into() }
    }
    /// Whether the image is at fault, rather than the machine or whoever cancelled: another try ends the same way.
    pub fn is_of_the_image(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Damaged { .. } | Self::TooLarge { .. } | Self::DoesNotFit { .. })
    }
}
