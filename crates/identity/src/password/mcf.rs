//! The `$scheme$parameters$salt$digest` form of passlib.

use super::HashError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// passlib writes `.` for `+` in some schemes.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, HashError> {
    STANDARD_NO_PAD.decode(text.replace('.', "+")).map_err(|_| HashError::Malformed)
}

/// What stands between the dollar signs, from the (empty) text before the first.
pub(super) fn fields<const N: usize>(stored: &str) -> Result<[&str; N], HashError> {
    let parts: Vec<&str> = stored.split('$').collect();
    parts.try_into().map_err(|_| HashError::Malformed)
}
