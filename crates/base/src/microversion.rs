//! Microversions: `2.26` of compute, `1.39` of placement.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A version `major.minor`. Ordered as numbers: 2.9 < 2.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Microversion {
    pub major: u16,
    pub minor: u16,
}

impl Microversion {
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Neither `2.`, `abc` nor `2.01` is a microversion: each number is plain decimal without leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMicroversion;

impl FromStr for Microversion {
    type Err = NotAMicroversion;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (major, minor) = s.split_once('.').ok_or(NotAMicroversion)?;
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

fn number(s: &str) -> Result<u16, NotAMicroversion> {
    let plain = !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) && (s == "0" || !s.starts_with('0'));
    if plain { s.parse().map_err(|_| NotAMicroversion) } else { Err(NotAMicroversion) }
}

/// From `min` to `max`, both included; no `max` means "still there".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    pub min: Microversion,
    pub max: Option<Microversion>,
}

impl VersionRange {
    pub const fn from(min: Microversion) -> Self {
        Self { min, max: None }
    }
    pub fn contains(&self, v: Microversion) -> bool {
        self.min <= v && self.max.is_none_or(|max| v <= max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_not_text() {
        let v = |s: &str| s.parse::<Microversion>();
        assert!(v("2.9").unwrap() < v("2.10").unwrap());
        for bad in ["2.", "abc", "2.01", "", "2", "2.1.1", "-2.1", "2.99999"] {
            assert_eq!(v(bad), Err(NotAMicroversion), "{bad}");
        }
    }
}
