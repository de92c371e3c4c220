//! What one project may take of a process, so that it leaves something for the others: requests under way at once, and
//! requests a second. Both are counted before a body is read, so that a slow body counts as long as it drips.

use crate::Fault;
use base::{Scope, TokenFacts};
use http::StatusCode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Limits of each project, in one process; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantLimits {
    pub at_once: u32,
    /// Twice as many may come at once after a quiet while.
    pub per_second: u32,
}

/// Who has taken how much: one for all services of a process.
#[derive(Debug, Default)]
pub struct Tenants {
    limits: TenantLimits,
    known: Mutex<HashMap<String, Taken>>,
}

#[derive(Debug)]
struct Taken {
    under_way: u32,
    /// Requests it may make at once, as of `at`.
    saved: f64,
    at: Instant,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Option<(Arc<Tenants>, String)>);

/// Projects remembered before those are forgotten that have nothing under way and all saved.
const MANY: usize = 1000;

impl Tenants {
    pub fn new(limits: TenantLimits) -> Arc<Self> {
        Arc::new(Self { limits, known: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Taken>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// 429 with Retry-After if the token's project, or its user where there is none, has its share already.
    pub(crate) fn admit(self: &Arc<Self>, token: &TokenFacts) -> Result<Turn, Fault> {
        let TenantLimits { at_once, per_second } = self.limits;
        if at_once == 0 && per_second == 0 {
            return Ok(Turn(None));
        }
        let who = match &token.scope {
            Scope::Project { id, .. } => id.to_string(),
            _ => token.user_id.to_string(),
        };
        let (now, rate) = (Instant::now(), f64::from(per_second));
        let full = rate * 2.0;
        let mut known = self.lock();
        if known.len() > MANY {
            known.retain(|_, t| t.under_way > 0 || t.saved_by(now, rate) < full);
        }
        let taken = known.entry(who.clone()).or_insert(Taken { under_way: 0, saved: full, at: now });
        if at_once > 0 && taken.under_way >= at_once {
            return Err(refused(Duration::from_secs(1)));
        }
        if per_second > 0 {
            let saved = taken.saved_by(now, rate);
            if saved < 1.0 {
                return Err(refused(Duration::from_secs_f64((1.0 - saved) / rate)));
            }
            (taken.saved, taken.at) = (saved - 1.0, now);
        }
        taken.under_way += 1;
        Ok(Turn(Some((self.clone(), who))))
    }
}

impl Taken {
    fn saved_by(&self, now: Instant, rate: f64) -> f64 {
        (self.saved + now.saturating_duration_since(self.at).as_secs_f64() * rate).min(rate * 2.0)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some((tenants, who)) = self.0.take() else { return };
        if let Some(taken) = tenants.lock().get_mut(&who) {
            taken.under_way = taken.under_way.saturating_sub(1);
        }
    }
}

fn refused(wait: Duration) -> Fault {
    metrics::counter!("skyiron_http_rate_limited_total").increment(1);
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    // Nova's words of the time when it had limits itself
    Fault::new(StatusCode::TOO_MANY_REQUESTS, "This request was rate-limited.")
        .header("retry-after", &format!("{seconds:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Timestamp;

    fn of(project: &str) -> TokenFacts {
        TokenFacts {
            user_id: "u".into(),
            user_name: "u".into(),
            user_domain_id: "default".into(),
            user_domain_name: "Default".into(),
            scope: Scope::Project {
                id: project.into(),
                name: project.into(),
                domain_id: "default".into(),
                domain_name: "Default".into(),
            },
            roles: Vec::new(),
            issued_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            audit_ids: vec![],
        }
    }

    fn status(turn: Result<Turn, Fault>) -> u16 {
        turn.map_or_else(|f| f.status.as_u16(), |_| 200)
    }

    #[test]
    fn each_project_has_its_own_share_of_what_is_under_way() {
        let tenants = Tenants::new(TenantLimits { at_once: 2, per_second: 0 });
        let (a, b) = (of("a"), of("b"));
        let (first, _second) = (tenants.admit(&a).unwrap(), tenants.admit(&a).unwrap());
        let fault = tenants.admit(&a).unwrap_err();
        assert_eq!((fault.status.as_u16(), fault.headers.as_slice()), (429, &[("retry-after", "1".to_owned())][..]));
        assert_eq!(status(tenants.admit(&b)), 200);
        drop(first);
        assert_eq!(status(tenants.admit(&a)), 200, "its turn is over");
    }

    #[test]
    fn what_is_saved_is_spent_and_comes_back() {
        let tenants = Tenants::new(TenantLimits { at_once: 0, per_second: 5 });
        let a = of("a");
        let admitted = (0..100).filter(|_| tenants.admit(&a).is_ok()).count();
        assert!((10..=12).contains(&admitted), "{admitted}");
        assert_eq!(status(tenants.admit(&of("b"))), 200);
        std::thread::sleep(Duration::from_millis(250));
        assert_eq!(status(tenants.admit(&a)), 200);
    }

    #[test]
    fn idle_projects_are_forgotten_and_busy_ones_are_not() {
        let tenants = Tenants::new(TenantLimits { at_once: 1, per_second: 0 });
        let _busy = tenants.admit(&of("busy")).unwrap();
        for n in 0..3 * MANY {
            assert_eq!(status(tenants.admit(&of(&n.to_string()))), 200);
        }
        assert!(tenants.lock().len() <= MANY + 1);
        assert_eq!(status(tenants.admit(&of("busy"))), 429);
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let tenants = Tenants::new(TenantLimits::default());
        assert!((0..1000).all(|_| tenants.admit(&of("a")).is_ok()));
        assert!(tenants.lock().is_empty());
    }
}
