//! One attempt to prove something: where it comes from, and what the operator may know of its end that the caller may
//! not.

use super::request::Who;
use crate::audit::{Event, Initiator};
use crate::store::users::UserRow;
use crate::{Error, Identity};
use base::Secret;
use platform_http::{Call, StatusCode};
use std::sync::atomic::Ordering;

/// A login, or a change of the own password.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// With the user it is about, once they are known.
    pub(super) initiator: Initiator,
    /// Why it was refused.
    pub(super) why: Option<&'static str>,
}

impl Attempt {
    pub(crate) fn of(me: &Identity, call: &Call) -> Self {
        let address = call.client(&me.0.config.trusted_proxies);
        if let Some(peer) = call.peer.filter(|_| call.header("x-forwarded-for").is_some())
            && address == Some(peer.to_canonical())
            && !me.0.unnamed_proxy.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                %peer,
                "logins come from {peer} with an X-Forwarded-For that is not believed. If this is a balancer, name it in \
                 identity.trusted_proxies: until then all its clients are limited as one"
            );
        }
        Self { initiator: Initiator::of(&call.cx, address, call.header("user-agent")), why: None }
    }

    pub(super) fn is_about(&mut self, user_id: Option<&str>) {
        self.initiator.user_id = user_id.map(str::to_owned);
    }

    /// The refusal that tells the caller nothing. The first reason is the one that counts.
    pub(super) fn refuse(&mut self, why: &'static str) -> Error {
        self.why.get_or_insert(why);
        Error::Unauthorized
    }
}

impl Identity {
    /// Tells the audit how it ended. What went wrong on our side is no event.
    pub(crate) fn tell_attempt<T>(&self, action: &str, attempt: &Attempt, result: &Result<T, Error>) {
        let refused = match result {
            Ok(_) => None,
            Err(Error::TooMany(_)) => Some(StatusCode::TOO_MANY_REQUESTS),
            Err(Error::Unauthorized) => Some(StatusCode::UNAUTHORIZED),
            Err(Error::Refused { status, .. }) => Some(*status),
            Err(_) => return,
        };
        let why = |s: StatusCode| attempt.why.or(s.canonical_reason()).unwrap_or_default();
        let event = Event {
            action: action.to_owned(),
            initiator: &attempt.initiator,
            target: ("service/security/account/user", attempt.initiator.user_id.clone()),
            about: &[],
            refused: refused.map(|s| (s.as_u16(), why(s))),
        };
        self.0.audit.tell(&event, self.now());
    }

    /// 429 if too many wrong proofs came from there, or were about them.
    pub(super) fn admit(&self, about: &str, attempt: &mut Attempt) -> Result<(), Error> {
        self.0.throttle.admit(about, attempt.initiator.address, self.now()).inspect_err(|_| {
            attempt.why.get_or_insert("too many failures");
        })
    }

    pub(super) fn count_if_refused<T>(
        &self,
        about: &str,
        attempt: &Attempt,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        if matches!(result, Err(Error::Unauthorized)) {
            self.0.throttle.failed(about, attempt.initiator.address, self.now());
        }
        result
    }
}

/// What only the user has.
#[derive(Clone, Copy, Debug)]
pub(super) enum OwnProof<'a> {
    Password(&'a Secret),
    Passcode(&'a Secret),
}

impl Identity {
    /// The user, if the proof is theirs and they may log in. All refusals look alike; after too many of them it is 429
    /// before anything is looked at.
    pub(super) async fn user_showing(
        &self,
        proof: OwnProof<'_>,
        who: &Who,
        user: Option<UserRow>,
        attempt: &mut Attempt,
    ) -> Result<UserRow, Error> {
        attempt.is_about(user.as_ref().map(|u| u.id.as_str()));
        let about = about(user.as_ref(), who);
        self.admit(&about, attempt)?;
        let checked = match proof {
            OwnProof::Password(password) => self.check_password(user, password, attempt).await,
            OwnProof::Passcode(passcode) => self.check_passcode(user, passcode, attempt).await,
        };
        self.count_if_refused(&about, attempt, checked)
    }
}

/// What failures are counted under: the user however they are named, or, if there is none, the name.
fn about(user: Option<&UserRow>, who: &Who) -> String {
    user.map_or_else(|| format!("{who:?}"), |u| u.id.clone())
}
