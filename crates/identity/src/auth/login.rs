//! `POST /v3/auth/tokens`: proofs to a user, what was asked to a scope, both to a token.

use super::attempt::{Attempt, OwnProof};
use super::issue::Order;
use super::request::{AppCredProof, Asked, AuthRequest, DomainRef, Proof, Who};
use super::resolve::Resolved;
use crate::store::application_credentials::{self, AppCredRow};
use crate::store::assignments::{self, On};
use crate::store::projects::{self, ProjectRow};
use crate::store::revocations;
use crate::store::trusts;
use crate::store::users::{self, UserRow};
use crate::token::{Methods, TokenScope};
use crate::{Error, Identity};
use base::{Secret, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What the proofs have shown so far.
#[derive(Debug, Default)]
struct Shown {
    user: Option<UserRow>,
    methods: Methods,
    not_after: Option<Timestamp>,
    chain: Option<String>,
    /// The token is of it, whatever else was shown.
    application_credential: Option<AppCredRow>,
}

impl Shown {
    /// The token ends with the proof that ends first.
    fn ends(&mut self, at: Option<Timestamp>) {
        self.not_after = [self.not_after, at].into_iter().flatten().min();
    }
}

impl Identity {
    /// The text of a new token, and what it means.
    pub(crate) async fn log_in(&self, body: &Value, attempt: &mut Attempt) -> Result<(Secret, Arc<Resolved>), Error> {
        let request = AuthRequest::parse(body)?;
        let by_app_cred = request.proofs.iter().any(|p| matches!(p, Proof::ApplicationCredential(_)));
        if by_app_cred && request.scope != Asked::Default {
            return Err(Error::unauthorized_because(
                "Error authenticating with application credential: Application credentials cannot request a scope.",
            ));
        }
        // before the first look at a proof: what is revoked from here on voids what is shown
        let seen = revocations::latest(self.db()).await?;
        let mut shown = Shown::default();
        for proof in &request.proofs {
            self.examine(proof, &request.scope, &mut shown, attempt).await?;
        }
        let user = shown.user.ok_or(Error::Unauthorized)?;
        attempt.is_about(Some(&user.id));
        require_all_factors(&user, shown.methods)?;
        let (scope, trust_id) = match &shown.application_credential {
            Some(a) => (TokenScope::Project(a.project_id.clone()), None),
            None => self.scope(&request.scope, &user).await?,
        };
        self.issue(Order {
            user_id: user.id,
            methods: shown.methods,
            scope,
            trust_id,
            application_credential_id: shown.application_credential.map(|a| a.id),
            not_after: shown.not_after,
            chain: shown.chain,
            seen,
        })
        .await
    }

    async fn examine(
        &self,
        proof: &Proof,
        scope: &Asked,
        shown: &mut Shown,
        attempt: &mut Attempt,
    ) -> Result<(), Error> {
        let (user, method) = match proof {
            Proof::Password { user, password } => {
                let found = self.find_user(user).await?;
                let user = self.user_showing(OwnProof::Password(password), user, found, attempt).await?;
                self.refuse_expired_password(&user, attempt)?;
                (user, Methods::PASSWORD)
            }
            Proof::Totp { user, passcode } => {
                let found = self.find_user(user).await?;
                (self.user_showing(OwnProof::Passcode(passcode), user, found, attempt).await?, Methods::TOTP)
            }
            Proof::Token(text) => (self.by_token(text, scope, shown).await?, Methods::TOKEN),
            Proof::ApplicationCredential(proof) => {
                (self.by_application_credential(proof, shown, attempt).await?, Methods::APPLICATION_CREDENTIAL)
            }
        };
        if shown.user.as_ref().is_some_and(|other| other.id != user.id) {
            return Err(attempt.refuse("proofs of different users"));
        }
        shown.user = Some(user);
        shown.methods = shown.methods.and(method);
        Ok(())
    }

    /// A token for a token: never longer than the old one, and never for one that a trust, a credential or a key gave.
    async fn by_token(&self, text: &Secret, scope: &Asked, shown: &mut Shown) -> Result<UserRow, Error> {
        // a token that is void is answered with 404 here, as Keystone does
        let old = self.resolve_token(text.expose(), Duration::ZERO).await?;
        if old.trust.is_some() {
            return Err(Error::forbidden_action(
                "Using trust-scoped token to create another token. Create a new trust-scoped token instead",
            ));
        }
        if old.token.scope == TokenScope::System && matches!(scope, Asked::Project(_) | Asked::Domain(_)) {
            return Err(Error::forbidden_action(
                "Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed.",
            ));
        }
        if old.is_delegated() {
            return Err(Error::forbidden_action("Using a delegated token to create another token is not allowed."));
        }
        shown.methods = shown.methods.and(old.token.methods);
        shown.ends(Some(old.token.expires_at));
        shown.chain = old.token.audit_ids.last().cloned();
        Ok(old.user.clone())
    }

    async fn by_application_credential(
        &self,
        proof: &AppCredProof,
        shown: &mut Shown,
        attempt: &mut Attempt,
    ) -> Result<UserRow, Error> {
        let about = format!("application credential {:?} {:?} {:?}", proof.id, proof.name, proof.user);
        self.admit(&about, attempt)?;
        let found = match (&proof.id, &proof.name, &proof.user) {
            (Some(id), ..) => application_credentials::get(self.db(), id).await?,
            (None, Some(name), Some(owner)) => match self.find_user(owner).await? {
                Some(user) => application_credentials::by_name(self.db(), &user.id, name).await?,
                None => None,
            },
            _ => None,
        };
        attempt.is_about(found.as_ref().map(|a| a.user_id.as_str()));
        let checked = self.check_application_credential(found, &proof.secret, attempt).await;
        let (found, user) = self.count_if_refused(&about, attempt, checked)?;
        shown.ends(found.expires_at.map(Timestamp));
        shown.application_credential = Some(found);
        Ok(user)
    }

    /// All refusals look alike and take the time of one hash.
    async fn check_application_credential(
        &self,
        found: Option<AppCredRow>,
        secret: &Secret,
        attempt: &mut Attempt,
    ) -> Result<(AppCredRow, UserRow), Error> {
        let stored = found.as_ref().map(|a| a.secret_hash.clone());
        let right = self.0.passwords.verify(secret.clone(), stored).await?;
        let found = found.ok_or_else(|| attempt.refuse("no such application credential"))?;
        if !right {
            return Err(attempt.refuse("wrong secret"));
        }
        if found.expires_at.is_some_and(|at| Timestamp(at) <= self.now()) {
            return Err(attempt.refuse("application credential expired"));
        }
        let user = users::get(self.db(), &found.user_id).await?.filter(|u| u.enabled);
        Ok((found, user.ok_or_else(|| attempt.refuse("user disabled"))?))
    }

    /// `None`: nobody of that name, or their domain is missing or disabled.
    async fn find_user(&self, who: &Who) -> Result<Option<UserRow>, Error> {
        let user = match who {
            Who::Id(id) => users::get(self.db(), id).await?,
            Who::Named { name, domain } => match self.find_domain(domain).await? {
                Some(domain) => users::by_name(self.db(), &domain.id, name).await?,
                None => None,
            },
        };
        // asked for nobody's, too: the answer's time does not say who there is
        let domain_id = user.as_ref().map(|u| u.domain_id.as_str()).unwrap_or_default();
        let domain = projects::domain(self.db(), domain_id).await?;
        Ok(user.filter(|_| domain.is_some_and(|d| d.enabled)))
    }

    async fn find_domain(&self, domain: &DomainRef) -> Result<Option<ProjectRow>, Error> {
        Ok(match domain {
            DomainRef::Id(id) => projects::domain(self.db(), id).await?,
            DomainRef::Name(name) => projects::domain_by_name(self.db(), name).await?,
        })
    }

    /// What was asked for, as ids. Whether the user has a role there is found out with the token itself.
    async fn scope(&self, asked: &Asked, user: &UserRow) -> Result<(TokenScope, Option<String>), Error> {
        let scope = match asked {
            Asked::Unscoped => TokenScope::Unscoped,
            Asked::System => TokenScope::System,
            Asked::Default => self.default_scope(user).await?,
            Asked::Domain(domain) => TokenScope::Domain(self.find_domain(domain).await?.ok_or(Error::Unauthorized)?.id),
            Asked::Project(who) => {
                let project = match who {
                    Who::Id(id) => projects::get(self.db(), id).await?,
                    Who::Named { name, domain } => {
                        let domain = self.find_domain(domain).await?.ok_or(Error::Unauthorized)?;
                        projects::by_name(self.db(), &domain.id, name).await?
                    }
                };
                TokenScope::Project(project.ok_or(Error::Unauthorized)?.id)
            }
            Asked::Trust(id) => {
                let trust = trusts::get(self.db(), id).await?.ok_or(Error::Unauthorized)?;
                if trust.trustee_user_id != user.id {
                    return Err(Error::forbidden("User is not a trustee."));
                }
                let scope = trust.project_id.map_or(TokenScope::Unscoped, TokenScope::Project);
                return Ok((scope, Some(trust.id)));
            }
        };
        Ok((scope, None))
    }

    /// The default project, if it is there, enabled, and the user has a role on it.
    async fn default_scope(&self, user: &UserRow) -> Result<TokenScope, Error> {
        let Some(id) = &user.default_project_id else { return Ok(TokenScope::Unscoped) };
        let Some(project) = projects::get(self.db(), id).await?.filter(|p| p.enabled) else {
            return Ok(TokenScope::Unscoped);
        };
        let Some(domain_id) = &project.domain_id else { return Ok(TokenScope::Unscoped) };
        let enabled = projects::domain(self.db(), domain_id).await?.is_some_and(|d| d.enabled);
        let roles = assignments::effective(self.db(), &user.id, On::Project(id)).await?;
        Ok(if enabled && !roles.is_empty() { TokenScope::Project(project.id) } else { TokenScope::Unscoped })
    }
}

/// The user's own rules for which proofs together are enough. A rule counts only the methods that exist here.
fn require_all_factors(user: &UserRow, methods: Methods) -> Result<(), Error> {
    const KNOWN: [&str; 4] = ["password", "token", "application_credential", "totp"];
    let options: Value = serde_json::from_str(&user.options).unwrap_or_default();
    let Some(rules) = options["multi_factor_auth_rules"].as_array() else { return Ok(()) };
    if options["multi_factor_auth_enabled"] == Value::Bool(false) {
        return Ok(());
    }
    let rules: Vec<Vec<&str>> = rules
        .iter()
        .map(|r| r.as_array().into_iter().flatten().filter_map(Value::as_str).filter(|m| KNOWN.contains(m)).collect())
        .filter(|r: &Vec<&str>| !r.is_empty())
        .collect();
    let shown: Vec<&str> = methods.names().collect();
    if rules.is_empty() || rules.iter().any(|rule| rule.iter().all(|m| shown.contains(m))) {
        return Ok(());
    }
    Err(Error::unauthorized_because(format!(
        "Insufficient auth methods received for {}. Auth Methods Provided: [{}].",
        user.id,
        shown.join(",")
    )))
}
