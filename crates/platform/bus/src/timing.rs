//! The time, which goes beside replies: who knows no database hears from those who do what its clock shows.

use base::{Clock, FollowingClock, Timestamp};
use std::sync::Arc;
use std::time::Instant;

/// What a process does about it.
#[derive(Clone, Debug, Default)]
pub enum Timing {
    #[default]
    None,
    /// Says in its replies what this clock shows.
    Tells(Arc<dyn Clock>),
    /// Sets this clock by the replies it gets.
    Hears(Arc<FollowingClock>),
}

impl Timing {
    pub(crate) fn to_tell(&self) -> Option<Timestamp> {
        match self {
            Self::Tells(clock) => Some(clock.now()),
            Self::None | Self::Hears(_) => None,
        }
    }

    /// A reply to what was asked at that moment has come just now.
    pub(crate) fn heard(&self, asked: Instant, told: Timestamp) {
        if let Self::Hears(clock) = self {
            clock.hear(asked, Instant::now(), told);
        }
    }
}
