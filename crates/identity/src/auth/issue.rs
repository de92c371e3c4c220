//! Making a token.

use super::resolve::Resolved;
use crate::store::revocations::{self, Revoked};
use crate::store::{projects, trusts, users};
use crate::token::{Methods, Token, TokenScope, payload::new_audit_id};
use crate::{Error, Identity};
use base::{Secret, Timestamp};
use platform_db::{DbError, Tx};
use std::sync::Arc;
use std::time::Duration;

/// Everything about a token to be made but when.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) user_id: String,
    pub(super) methods: Methods,
    pub(super) scope: TokenScope,
    pub(super) trust_id: Option<String>,
    pub(super) application_credential_id: Option<String>,
    /// Not later than this: the end of the token, or credential, it is made from.
    pub(super) not_after: Option<Timestamp>,
    /// The first token of the chain this one continues.
    pub(super) chain: Option<String>,
    /// The last revocation of anything when the first proof was looked at.
    pub(super) seen: Option<Timestamp>,
}

/// Keystone's times of issue are whole seconds.
const SECOND: i64 = 1_000_000;

/// Down to the second.
pub(super) fn whole_seconds(t: Timestamp) -> Timestamp {
    Timestamp(t.0 - t.0.rem_euclid(SECOND))
}

/// Whether the project or the trustor is gone, disabled or not theirs is nothing to tell.
fn unless_void(e: Error) -> Error {
    match e {
        Error::Refused { status, .. } if status == platform_http::StatusCode::NOT_FOUND => Error::Unauthorized,
        other => other,
    }
}

impl Identity {
    /// The token's text, and what it means. 401 if the user may not have it.
    pub(super) async fn issue(&self, order: Order) -> Result<(Secret, Arc<Resolved>), Error> {
        let seen = order.seen;
        let now = self.now();
        let latest = now.plus(self.0.config.token_ttl);
        let ends = order.not_after.map_or(latest, |t| t.min(latest));
        let mut audit_ids = vec![new_audit_id()];
        audit_ids.extend(order.chain);
        let mut token = Token {
            user_id: order.user_id,
            methods: order.methods,
            scope: order.scope,
            trust_id: order.trust_id,
            application_credential_id: order.application_credential_id,
            issued_at: whole_seconds(now),
            expires_at: whole_seconds(ends),
            audit_ids,
        };
        token.issued_at = self.after_revocations(&token, seen).await?;
        let resolved = self.resolve(token).await.map_err(unless_void)?;
        if let Some(trust) = &resolved.trust {
            self.consume_trust(&trust.id).await?;
        }
        let seconds = u64::try_from(resolved.token.issued_at.0 / SECOND).unwrap_or_default();
        let text = self.0.keys.seal(seconds, &resolved.token.pack());
        let resolved = Arc::new(resolved);
        self.0.tokens.put(&text, resolved.clone());
        Ok((Secret::new(text), resolved))
    }

    /// When the token may be issued. A time of issue is cut to a second, and a revocation voids all tokens of its own
    /// second and before. So a token asked for in the second of a revocation (a login right after a password change)
    /// waits for the next one: dated ahead, it would outlive a second revocation in that second. Is something revoked
    /// after the proofs were looked at, they prove nothing any more: 401.
    async fn after_revocations(&self, token: &Token, seen: Option<Timestamp>) -> Result<Timestamp, Error> {
        let mut issued_at = token.issued_at;
        while let Some(last) = self.last_of(token).await?.filter(|last| issued_at <= *last) {
            if Some(last) > seen {
                return Err(Error::Unauthorized);
            }
            issued_at = Timestamp((last.0.div_euclid(SECOND) + 1) * SECOND);
            // no longer, should another process's clock be wrong
            tokio::time::sleep(issued_at.since(self.now()).min(Duration::from_secs(1))).await;
        }
        Ok(issued_at)
    }

    /// The last revocation of what the token is about.
    async fn last_of(&self, token: &Token) -> Result<Option<Timestamp>, Error> {
        let Some(user) = users::get(self.db(), &token.user_id).await? else { return Err(Error::Unauthorized) };
        let scope_domain = match &token.scope {
            TokenScope::Domain(id) => Some(id.clone()),
            TokenScope::Project(id) => projects::get(self.db(), id).await?.and_then(|p| p.domain_id),
            TokenScope::Unscoped | TokenScope::System => None,
        };
        let trust = match &token.trust_id {
            Some(id) => trusts::get(self.db(), id).await?,
            None => None,
        };
        let givers = self.givers(trust.as_ref()).await.map_err(unless_void)?;
        self.last_revocation(token, &user.domain_id, &givers, scope_domain.as_deref()).await
    }

    async fn consume_trust(&self, id: &str) -> Result<(), Error> {
        let mut tx = self.db().begin().await?;
        if !trusts::consume(&mut tx, id).await? {
            return Err(Error::forbidden(format!("No remaining uses for trust: {id}.")));
        }
        Ok(tx.commit().await?)
    }

    /// Makes one token void.
    pub(crate) async fn revoke_token(&self, resolved: &Resolved) -> Result<(), Error> {
        let Some(audit_id) = resolved.token.audit_ids.first() else { return Ok(()) };
        let mut tx = self.db().begin().await?;
        self.revoke(&mut tx, Revoked::Token { audit_id }).await?;
        Ok(self.commit_change(tx).await?)
    }

    /// Makes all tokens void that a user has now.
    pub(crate) async fn revoke_of_user(&self, tx: &mut Tx, user_id: &str) -> Result<(), DbError> {
        self.revoke(tx, Revoked::User(user_id)).await
    }

    /// Writes the event, and forgets those that have nothing to say any more.
    pub(crate) async fn revoke(&self, tx: &mut Tx, what: Revoked<'_>) -> Result<(), DbError> {
        let now = self.now();
        revocations::add(tx, what, now).await?;
        // clocks of processes differ
        revocations::prune(tx, now.minus(self.0.config.token_ttl * 2)).await.map(drop)
    }
}
