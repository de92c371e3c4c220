//! What this scheduler has chosen a moment ago, and claims need not show yet. Without it, all that are scheduled at once
//! would go to the same best host and wait for each other there. It weighs, as in Nova (`consume_from_request`); whether
//! there is room is for the claim to say.

use base::{ProviderId, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// By then the claim is committed and seen, or was refused.
const UNSEEN: Duration = Duration::from_millis(250);

type Amounts = Vec<(ProviderId, String, u64)>;

#[derive(Default)]
pub(crate) struct Lately(Mutex<VecDeque<(Timestamp, Amounts)>>);

impl Lately {
    pub(crate) fn chosen(&self, now: Timestamp, wanted: Amounts) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((now, wanted));
    }

    /// What was chosen lately of each provider's resources.
    pub(crate) fn sums(&self, now: Timestamp) -> HashMap<ProviderId, HashMap<String, u64>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all.front().is_some_and(|(at, _)| now.since(*at) >= UNSEEN) {
            all.pop_front();
        }
        let mut sums: HashMap<_, HashMap<_, _>> = HashMap::new();
        for (provider, class, amount) in all.iter().flat_map(|(_, wanted)| wanted) {
            *sums.entry(*provider).or_default().entry(class.clone()).or_default() += amount;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_until_claims_are_seen() {
        let lately = Lately::default();
        let host: ProviderId = "11111111-1111-4111-8111-111111111111".parse().unwrap();
        let at = |ms: u64| Timestamp(0).plus(Duration::from_millis(ms));
        lately.chosen(at(0), vec![(host, "VCPU".into(), 2)]);
        lately.chosen(at(100), vec![(host, "VCPU".into(), 3)]);
        let cpus = |now| lately.sums(now).get(&host).and_then(|sums| sums.get("VCPU").copied());
        assert_eq!(cpus(at(200)), Some(5));
        assert_eq!(cpus(at(250)), Some(3));
        assert_eq!(cpus(at(350)), None);
    }
}
