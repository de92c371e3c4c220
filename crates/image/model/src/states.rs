//! An image's states and the legal moves between them.
//!
//! ```text
//! queued ──upload──▶ saving ──stored──▶ active ⇄ deactivated
//!   ▲  ▲               │                  ▲
//!   │  └───upload failed                  │
//!   ├──stage──▶ uploading ──import──▶ importing
//!   └──────────────◀ failed ◀─────────────┘
//! ```

use crate::words::words;
use serde::{Deserialize, Serialize};

words! {
    Status {
        Queued = "queued", Saving = "saving", Active = "active", Killed = "killed", Deleted = "deleted",
        Uploading = "uploading", Importing = "importing", PendingDelete = "pending_delete", Deactivated = "deactivated",
    }
}

/// Every legal move. The comment says who makes it.
pub const MOVES: &[(Status, Status)] = {
    use Status::*;
    &[
        (Queued, Saving),    // PUT …/file begins
        (Queued, Uploading), // PUT …/stage begins
        (Queued, Importing), // web-download
        (Queued, Active),    // a location was given
        (Queued, Deleted),
        (Saving, Active),       // stored
        (Saving, Queued),       // failed; may be tried again
        (Saving, Killed),       // v1 heritage
        (Saving, Deleted),      // deleted during the upload: the uploader gets 410
        (Uploading, Importing), // glance-direct
        (Uploading, Queued),
        (Uploading, Deleted),
        (Importing, Active),
        (Importing, Queued),
        (Importing, Deleted),
        (Active, Deactivated),
        (Active, PendingDelete), // delayed delete
        (Active, Deleted),
        (Deactivated, Active),
        (Deactivated, Deleted),
        (Killed, Deleted),
        (PendingDelete, Deleted),
        (PendingDelete, Active), // restored
    ]
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("Image status transition from {from} to {to} is not allowed")]
pub struct IllegalMove {
    pub from: Status,
    pub to: Status,
}

/// `to`, if an image may go there.
pub fn next(from: Status, to: Status) -> Result<Status, IllegalMove> {
    if MOVES.contains(&(from, to)) { Ok(to) } else { Err(IllegalMove { from, to }) }
}

impl Status {
    /// Formats may still change: there is no data yet, or it is being converted.
    pub const fn formats_may_change(self) -> bool {
        matches!(self, Self::Queued | Self::Importing)
    }
    /// The states one may come from.
    pub fn before(to: Self) -> impl Iterator<Item = Self> {
        MOVES.iter().filter(move |(_, t)| *t == to).map(|(from, _)| *from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Glance's own table, in its own form: from → targets.
    const GLANCE: &[(&str, &[&str])] = &[
        ("queued", &["saving", "uploading", "importing", "active", "deleted"]),
        ("saving", &["active", "killed", "deleted", "queued"]),
        ("uploading", &["importing", "queued", "deleted"]),
        ("importing", &["active", "deleted", "queued"]),
        ("active", &["pending_delete", "deleted", "deactivated"]),
        ("killed", &["deleted"]),
        ("pending_delete", &["deleted", "active"]),
        ("deleted", &[]),
        ("deactivated", &["active", "deleted"]),
    ];

    #[test]
    fn every_pair_of_states() {
        let mut seen = 0;
        for (from, targets) in GLANCE {
            for to in Status::ALL {
                let from: Status = from.parse().unwrap();
                assert_eq!(next(from, *to).is_ok(), targets.contains(&to.as_str()), "{from} to {to}");
                seen += 1;
            }
        }
        assert_eq!(seen, Status::ALL.len() * Status::ALL.len());
    }

    #[test]
    fn an_illegal_move_says_so_in_glances_words() {
        let e = next(Status::Active, Status::Saving).unwrap_err();
        assert_eq!(e.to_string(), "Image status transition from active to saving is not allowed");
    }
}
