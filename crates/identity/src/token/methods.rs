//! How somebody proved who they are, as a set.

/// Bits as Keystone's default `[auth] methods` numbers them; the last two are the next ones of a Keystone that has them
/// added in this order.
const NAMES: [&str; 8] =
    ["external", "password", "token", "oauth1", "mapped", "application_credential", "ec2credential", "totp"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods(u32);

impl Methods {
    pub const PASSWORD: Self = Self(2);
    pub const TOKEN: Self = Self(4);
    pub const APPLICATION_CREDENTIAL: Self = Self(32);
    /// An EC2 key: whatever has it is limited to the key's project.
    pub const EC2_CREDENTIAL: Self = Self(64);
    pub const TOTP: Self = Self(128);

    pub fn from_bits(bits: i64) -> Option<Self> {
        let bits = u32::try_from(bits).ok()?;
        (bits >> NAMES.len() == 0).then_some(Self(bits))
    }
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(i, _)| self.0 & (1 << i) != 0).map(|(_, n)| *n)
    }
}
