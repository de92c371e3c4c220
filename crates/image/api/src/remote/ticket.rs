//! Tickets: the right to read one image's data for a while.

use crate::cache::Data;
use crate::data::hashing::hex;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a download may be begun, or taken up again in ranges, after the ticket was given.
const GOOD_FOR: Duration = Duration::from_secs(3600);
/// Tickets kept; each is some 100 bytes. Beyond that the oldest are void.
const KEPT: usize = 16_384;

/// The tickets that one image-api has given. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tickets(Arc<Mutex<HashMap<String, Given>>>);

#[derive(Clone)]
pub(super) struct Given {
    /// Data is never changed, so it is what the ticket was given for.
    pub(super) data: Data,
    at: Instant,
}

impl Tickets {
    fn given(&self) -> MutexGuard<'_, HashMap<String, Given>> {
        // a panic while the lock was held left a map that is still one
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new ticket: 32 random bytes in hexadecimal, which nobody guesses.
    pub(super) fn give(&self, data: Data) -> String {
        let ticket = hex(&rand::random::<[u8; 32]>());
        let mut given = self.given();
        if given.len() >= KEPT {
            given.retain(|_, g| g.at.elapsed() < GOOD_FOR);
        }
        if given.len() >= KEPT
            && let Some(oldest) = given.iter().min_by_key(|(_, g)| g.at).map(|(t, _)| t.clone())
        {
            given.remove(&oldest);
        }
        given.insert(ticket.clone(), Given { data, at: Instant::now() });
        ticket
    }

    pub(super) fn find(&self, ticket: &str) -> Option<Given> {
        self.given().get(ticket).filter(|g| g.at.elapsed() < GOOD_FOR).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tickets_end() {
        let tickets = Tickets::default();
        let data = Data::uncached(7);
        let (one, two) = (tickets.give(data.clone()), tickets.give(data.clone()));
        assert_ne!(one, two);
        assert_eq!(one.len(), 64);
        assert_eq!(tickets.find(&one).map(|g| (g.data.image, g.data.size)), Some((data.image, 7)));
        assert!(tickets.find(&one[1..]).is_none());
        tokio::time::advance(GOOD_FOR).await;
        assert!(tickets.find(&one).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn and_are_bounded() {
        let tickets = Tickets::default();
        let first = tickets.give(Data::uncached(7));
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..KEPT {
            tickets.give(Data::uncached(7));
        }
        assert!(tickets.find(&first).is_none());
        assert_eq!(tickets.given().len(), KEPT);
    }
}
