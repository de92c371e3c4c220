//! Passwords of users: checking one, and the rules for a new one.

use super::attempt::{Attempt, OwnProof};
use super::request::Who;
use crate::store::users::{self, UserRow};
use crate::{Error, Identity};
use base::{Secret, Timestamp};
use serde_json::Value;
use std::time::Duration;

impl Identity {
    /// The user, if the password is theirs and they may log in. All refusals take the time of one hash, and of one write
    /// where failures are kept.
    pub(super) async fn check_password(
        &self,
        user: Option<UserRow>,
        password: &Secret,
        attempt: &mut Attempt,
    ) -> Result<UserRow, Error> {
        let locked = user.as_ref().is_some_and(|u| self.is_locked(u));
        let stored = user.as_ref().and_then(|u| u.password_hash.clone()).filter(|_| !locked);
        let right = self.0.passwords.verify(password.clone(), stored).await?;
        let Some(user) = user else {
            self.count_failure(None).await?;
            return Err(attempt.refuse("no such user"));
        };
        if locked {
            self.count_failure(None).await?;
            tracing::warn!(user.id = user.id, "login refused: the account of user {} is locked", user.id);
            return Err(attempt.refuse("account locked"));
        }
        if !right {
            self.count_failure(Some(&user)).await?;
            return Err(attempt.refuse("wrong password"));
        }
        if user.failed_attempts > 0 {
            let mut tx = self.db().begin().await?;
            users::forgive_failures(&mut tx, &user.id).await?;
            tx.commit().await?;
        }
        if !user.enabled {
            return Err(attempt.refuse("user disabled"));
        }
        Ok(user)
    }

    /// After the password was found right: whether it is too old, or not the user's own.
    pub(super) fn refuse_expired_password(&self, user: &UserRow, attempt: &mut Attempt) -> Result<(), Error> {
        let old = user.password_expires_at.is_some_and(|at| Timestamp(at) <= self.now());
        let must_change = self.0.config.security.change_password_upon_first_use
            && user.password_by_admin
            && !option(user, "ignore_change_password_upon_first_use");
        if old || must_change {
            attempt.why = Some("password expired");
            return Err(Error::unauthorized_because(format!(
                "The password is expired and needs to be changed for user: {}.",
                user.id
            )));
        }
        Ok(())
    }

    pub(super) fn is_locked(&self, user: &UserRow) -> bool {
        let security = &self.0.config.security;
        let Some(limit) = security.lockout_failure_attempts else { return false };
        if user.failed_attempts < i64::from(limit) || option(user, "ignore_lockout_failure_attempts") {
            return false;
        }
        match (security.lockout_duration, user.failed_at) {
            (Some(duration), Some(at)) => Timestamp(at).plus(duration) > self.now(),
            _ => true,
        }
    }

    /// Only where there is a limit: else each wrong guess would cost a write. A failure that counts for nobody costs the
    /// same write, so that its time does not say who there is.
    async fn count_failure(&self, user: Option<&UserRow>) -> Result<(), Error> {
        let security = &self.0.config.security;
        if security.lockout_failure_attempts.is_none() {
            return Ok(());
        }
        let mut tx = self.db().begin().await?;
        let Some(user) = user else {
            users::nobody_failed(&mut tx).await?;
            return Ok(tx.commit().await?);
        };
        let again = security.lockout_duration.zip(user.failed_at);
        if again.is_some_and(|(d, at)| Timestamp(at).plus(d) <= self.now()) {
            users::forgive_failures(&mut tx, &user.id).await?;
        }
        users::login_failed(&mut tx, &user.id, self.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Puts a new password into the row: hash, age, expiry.
    pub(crate) fn set_password(&self, user: &mut UserRow, hash: String, by_admin: bool) {
        let now = self.now();
        let lasts = self.0.config.security.password_expires.filter(|_| !option(user, "ignore_password_expiry"));
        user.password_hash = Some(hash);
        user.password_created_at = Some(now.0);
        user.password_expires_at = lasts.map(|d| now.plus(d).0);
        user.password_by_admin = by_admin;
    }

    /// `POST /v3/users/{id}/password`: the user proves the old password and sets a new one.
    pub(crate) async fn change_password(
        &self,
        id: &str,
        original: Secret,
        new: Secret,
        attempt: &mut Attempt,
    ) -> Result<(), Error> {
        let user = users::get(self.db(), id).await?;
        let who = Who::Id(id.to_owned());
        let user = self.user_showing(OwnProof::Password(&original), &who, user, attempt).await?;
        if option(&user, "lock_password") {
            return Err(Error::bad_request(
                "You cannot change your password at this time due to password policy disallowing password changes. Please contact your administrator to reset your password.",
            ));
        }
        self.refuse_too_young(&user)?;
        check_new_password(self, &new)?;
        self.refuse_reused(&user, &new).await?;
        let hash = hash_password(self, new).await?;
        let mut tx = self.db().begin().await?;
        let Some(mut row) = users::lock(&mut tx, id).await? else { return Err(Error::Unauthorized) };
        users::archive_password(&mut tx, &row).await?;
        self.set_password(&mut row, hash, false);
        users::update(&mut tx, &row).await?;
        self.revoke_of_user(&mut tx, id).await?;
        Ok(self.commit_change(tx).await?)
    }

    fn refuse_too_young(&self, user: &UserRow) -> Result<(), Error> {
        let minimum = self.0.config.security.minimum_password_age;
        let Some(at) = user.password_created_at.filter(|_| minimum > Duration::ZERO && !user.password_by_admin) else {
            return Ok(());
        };
        let from = Timestamp(at).plus(minimum);
        if from <= self.now() {
            return Ok(());
        }
        Err(Error::bad_request(format!(
            "Cannot change password before minimum age {} days is met: {} may change it from {} on.",
            minimum.as_secs() / 86_400,
            user.id,
            from.seconds_z()
        )))
    }

    async fn refuse_reused(&self, user: &UserRow, new: &Secret) -> Result<(), Error> {
        let count = self.0.config.security.unique_last_password_count;
        if count == 0 {
            return Ok(());
        }
        let mut stored: Vec<String> = user.password_hash.iter().cloned().collect();
        stored.extend(users::old_passwords(self.db(), &user.id, count.saturating_sub(1)).await?);
        for hash in stored {
            if self.0.passwords.verify(new.clone(), Some(hash)).await? {
                return Err(Error::bad_request(format!(
                    "Password validation error: The new password cannot be identical to a previous password. The total number which includes the new password must be unique is: {count}."
                )));
            }
        }
        Ok(())
    }
}

/// The rules every new password must meet.
pub(crate) fn check_new_password(identity: &Identity, password: &Secret) -> Result<(), Error> {
    match &identity.0.config.security.password_pattern {
        Some(pattern) if !pattern.is_met_by(password) => {
            Err(Error::bad_request(format!("The password does not match the requirements: {}.", pattern.description)))
        }
        _ => Ok(()),
    }
}

pub(crate) async fn hash_password(identity: &Identity, password: Secret) -> Result<String, Error> {
    Ok(identity.0.passwords.hash(password).await??)
}

/// A user option that is on.
fn option(user: &UserRow, name: &str) -> bool {
    let options: Value = serde_json::from_str(&user.options).unwrap_or_default();
    options[name] == Value::Bool(true)
}
