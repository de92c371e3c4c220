//! The number of the last change that could alter what a token means.
//!
//! It lives in the database, so that several processes agree. In memory there is a copy: this process raises it as it
//! commits, other processes' changes are noticed by asking the database every second.

use tokio::sync::watch;

#[derive(Debug, Default)]
pub struct Revision(watch::Sender<u64>);

impl Revision {
    pub fn get(&self) -> u64 {
        *self.0.borrow()
    }
    /// A change of that number was committed, here or elsewhere. Never goes back.
    pub fn seen(&self, number: i64) {
        let number = u64::try_from(number).unwrap_or_default();
        self.0.send_if_modified(|known| {
            let newer = number > *known;
            *known = number.max(*known);
            newer
        });
    }
    /// Follows the number.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
