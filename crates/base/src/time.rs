//! Time as the wire and the database know it, and the clock that tests and simulations replace.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// A moment in microseconds since the Unix epoch: what a BIGINT column holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// `2026-01-02T03:04:05Z`: Nova's `created` and `updated`, Glance's `created_at`.
    pub fn seconds_z(self) -> String {
        self.strftime("%Y-%m-%dT%H:%M:%SZ")
    }
    /// `2026-01-02T03:04:05.000000`: Nova's fields that carry microseconds and no zone.
    pub fn micros_naive(self) -> String {
        self.strftime("%Y-%m-%dT%H:%M:%S.%6f")
    }
    /// `2026-01-02T03:04:05.000000Z`: Keystone's `issued_at` and `expires_at`.
    pub fn micros_z(self) -> String {
        self.strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
    }
    /// `Fri, 02 Jan 2026 03:04:05 GMT`: HTTP's `Last-Modified`.
    pub fn http_date(self) -> String {
        self.strftime("%a, %d %b %Y %H:%M:%S GMT")
    }
    fn strftime(self, format: &str) -> String {
        let t = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        t.to_zoned_datetime(TimeZone::UTC).strftime(format).to_string()
    }
    /// ISO 8601 with or without a zone (none means UTC), or a plain date.
    pub fn parse_iso(text: &str) -> Option<Self> {
        if let Ok(t) = text.parse::<jiff::Timestamp>() {
            return Some(Self(t.as_microsecond()));
        }
        let civil: jiff::civil::DateTime = text.trim_end_matches('Z').parse().ok()?;
        Some(Self(civil.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp().as_microsecond()))
    }
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
    /// How long from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

/// Where "now" comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// A clock that goes by another one, as last heard of, and in between by this machine's monotonic clock: a machine whose own
/// clock is wrong, or is set, moves nothing.
#[derive(Debug)]
pub struct FollowingClock {
    began: Instant,
    /// What it shows at `began`, in microseconds.
    origin: AtomicI64,
}

/// What a clock may differ from the one it follows. Below this nothing is gained by setting it.
const TOLERATED: Duration = Duration::from_millis(250);

impl FollowingClock {
    /// As long as nothing is heard, it goes on from there.
    pub fn starting_at(now: Timestamp) -> Self {
        Self { began: Instant::now(), origin: AtomicI64::new(now.0) }
    }

    /// The other clock showed `told` at some moment from `asked` to `heard`. Sets this one, unless it may be right: the longer
    /// the answer took, the less it says. Returns whether it was set.
    pub fn hear(&self, asked: Instant, heard: Instant, told: Timestamp) -> bool {
        let took = heard.saturating_duration_since(asked);
        let origin = self.origin.load(Ordering::SeqCst);
        let difference = told.plus(took / 2).0.saturating_sub(self.shows(origin, heard).0);
        if Duration::from_micros(difference.unsigned_abs()) <= TOLERATED + took / 2 {
            return false;
        }
        // no further than the answer says for certain: it was given at any moment in between, mostly at the end
        let unsure = i64::try_from((took / 2).as_micros()).unwrap_or(i64::MAX);
        let right = origin.saturating_add(difference - difference.signum() * unsure);
        // of several that hear at once, one sets it
        self.origin.compare_exchange(origin, right, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn shows(&self, origin: i64, at: Instant) -> Timestamp {
        Timestamp(origin).plus(at.saturating_duration_since(self.began))
    }
}

impl Clock for FollowingClock {
    fn now(&self) -> Timestamp {
        self.shows(self.origin.load(Ordering::SeqCst), Instant::now())
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn starting_at(t: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(t.0)))
    }
    pub fn advance(&self, d: Duration) {
        self.0.fetch_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_the_wire() {
        let t = Timestamp(1_767_323_045_000_123);
        assert_eq!(t.seconds_z(), "2026-01-02T03:04:05Z");
        assert_eq!(t.micros_naive(), "2026-01-02T03:04:05.000123");
        assert_eq!(t.micros_z(), "2026-01-02T03:04:05.000123Z");
        assert_eq!(t.http_date(), "Fri, 02 Jan 2026 03:04:05 GMT");
    }

    #[test]
    fn a_clock_follows_what_it_hears_as_far_as_that_can_be_trusted() {
        let start = Timestamp(1_767_323_045_000_000);
        let clock = FollowingClock::starting_at(start);
        let at = |millis: u64| clock.began + Duration::from_millis(millis);
        let shown = |millis: u64| clock.shows(clock.origin.load(Ordering::SeqCst), at(millis));
        assert_eq!(shown(1000), start.plus(Duration::from_secs(1)));
        // (asked, heard), what the other one is ahead of this one then, and whether that counts
        let five_minutes = 300_000;
        for (asked, heard, ahead, counts) in [
            (1000, 1010, 0, false),
            (1000, 1010, 200, false),
            (1000, 1010, -200, false),
            (1000, 1010, 300, true),
            (1000, 1010, -300, true),
            (1000, 2000, 700, false),
            (1000, 2000, 800, true),
            (1000, 61_000, five_minutes, true),
            (1000, 61_000, -five_minutes, true),
            (1000, 1000, -12 * five_minutes, true),
        ] {
            let before = shown(heard);
            let middle = shown(u64::midpoint(asked, heard));
            let set = clock.hear(at(asked), at(heard), Timestamp(middle.0 + ahead * 1000));
            assert_eq!(set, counts, "{ahead} ms in {asked} to {heard}");
            let unsure = (heard - asked).cast_signed() * 500;
            let moved = if counts { ahead * 1000 - ahead.signum() * unsure } else { 0 };
            assert_eq!(shown(heard).0 - before.0, moved, "{ahead} ms in {asked} to {heard}");
        }
    }

    #[test]
    fn an_answer_that_took_long_never_sets_a_clock_past_the_other_one() {
        let clock = FollowingClock::starting_at(Timestamp(1_767_323_045_000_000));
        let at = |millis: u64| clock.began + Duration::from_millis(millis);
        // the other one is 0.3 s ahead, and tells so at the end of ten seconds
        let told = clock.shows(clock.origin.load(Ordering::SeqCst), at(11_000)).plus(Duration::from_millis(300));
        clock.hear(at(1000), at(11_000), told);
        assert!(clock.shows(clock.origin.load(Ordering::SeqCst), at(11_000)) <= told);
    }

    #[test]
    fn iso_with_zone_without_zone_and_plain_date() {
        let t = Timestamp::parse_iso("2026-01-02T03:04:05Z");
        assert_eq!(t, Some(Timestamp(1_767_323_045_000_000)));
        assert_eq!(Timestamp::parse_iso("2026-01-02T03:04:05"), t);
        assert_eq!(Timestamp::parse_iso("2026-01-02T05:04:05+02:00"), t);
        assert_eq!(Timestamp::parse_iso("2026-01-02"), Some(Timestamp(1_767_312_000_000_000)));
        assert_eq!(Timestamp::parse_iso("yesterday"), None);
    }
}
