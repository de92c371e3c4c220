//! The two constants, and what two sides have in common. The rule for raising them is in the crate's documentation.

/// What this build speaks. See the crate's documentation before raising it.
pub const NEWEST: u32 = 1;
/// The oldest it still understands.
pub const OLDEST: u32 = 1;

/// The versions one side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub newest: u32,
    pub oldest: u32,
}

impl Versions {
    pub const OURS: Self = Self { newest: NEWEST, oldest: OLDEST };

    /// The newest version both speak.
    pub fn common(self, other: Self) -> Option<u32> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self { newest, oldest } if newest == oldest => write!(f, "{newest}"),
            Self { newest, oldest } => write!(f, "{oldest} to {newest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[test]
    fn neighbours_have_a_version_in_common() {
        let v = |oldest, newest| Versions { newest, oldest };
        assert_eq!(v(1, 1).common(v(1, 2)), Some(1));
        assert_eq!(v(1, 2).common(v(2, 3)), Some(2));
        assert_eq!(v(2, 3).common(v(2, 3)), Some(3));
        assert_eq!(v(1, 1).common(v(2, 3)), None);
        assert_eq!(v(2, 3).common(v(1, 1)), None);
        assert!(Versions::OURS.common(Versions::OURS).is_some());
    }

    /// One message as two releases know it: the second has added a field.
    #[derive(Serialize, Deserialize)]
    struct Before {
        host: String,
    }
    #[derive(Serialize, Deserialize)]
    struct After {
        host: String,
        #[serde(default)]
        zone: Option<String>,
    }

    #[test]
    fn an_added_field_needs_no_new_version() {
        let old: After = serde_json::from_slice(&serde_json::to_vec(&Before { host: "h".into() }).unwrap()).unwrap();
        assert_eq!((old.host.as_str(), old.zone), ("h", None));
        let new = After { host: "h".into(), zone: Some("z".into()) };
        let new: Before = serde_json::from_slice(&serde_json::to_vec(&new).unwrap()).unwrap();
        assert_eq!(new.host, "h");
    }
}
