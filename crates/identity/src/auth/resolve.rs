//! What a token means now: names, roles, and whether everything it rests on still stands.

use super::catalog::Catalog;
use super::issue::whole_seconds;
use crate::store::application_credentials::{self, AppCredRow};
use crate::store::assignments::{self, On, RoleRef};
use crate::store::projects::{self, ProjectRow};
use crate::store::trusts::{self, TrustRow};
use crate::store::users::{self, UserRow};
use crate::store::{access_rules, revocations, roles};
use crate::token::{Methods, Token, TokenScope};
use crate::{Error, Identity};
use base::{DomainId, ProjectId, Scope, Timestamp, TokenFacts, UserId};
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A valid token and what was found out about it, as of `revision`.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) token: Token,
    pub(crate) revision: u64,
    pub(crate) facts: Arc<TokenFacts>,
    /// The acting user: with an impersonating trust, the one who gave it.
    pub(crate) user: UserRow,
    pub(crate) user_domain: ProjectRow,
    pub(crate) project: Option<ProjectRow>,
    /// Of the project, or the one the token is scoped to.
    pub(crate) domain: Option<ProjectRow>,
    pub(crate) roles: Vec<RoleRef>,
    pub(crate) trust: Option<TrustRow>,
    pub(crate) application_credential: Option<AppCredRow>,
    pub(crate) access_rules: Vec<access_rules::AccessRuleRow>,
    pub(crate) catalog: Arc<Catalog>,
    /// Ready-made answers to "validate this token", with and without the catalog.
    pub(super) bodies: [OnceLock<Bytes>; 2],
}

impl Resolved {
    /// Whether a signed AWS request was exchanged for it.
    pub(crate) fn is_of_ec2_key(&self) -> bool {
        self.token.methods.has(Methods::EC2_CREDENTIAL)
    }

    /// Whether it is of a trust, an application credential or an EC2 key.
    pub(crate) fn is_delegated(&self) -> bool {
        self.trust.is_some() || self.application_credential.is_some() || self.is_of_ec2_key()
    }
}

/// Why a token is void. The caller learns no more than that it is.
fn void() -> Error {
    Error::gone_missing("Failed to validate token")
}

impl Identity {
    /// What is known of a token, if nothing has changed since it was found out.
    pub(crate) fn cached(&self, text: &str) -> Option<Arc<Resolved>> {
        let known = self.0.tokens.get(text)?;
        (known.revision == self.0.revision.get() && known.token.expires_at > self.now()).then_some(known)
    }

    /// `grace`: how long after its end a token is still taken (for long operations of services).
    pub(crate) async fn resolve_token(&self, text: &str, grace: Duration) -> Result<Arc<Resolved>, Error> {
        if let Some(known) = self.cached(text) {
            return Ok(known);
        }
        let (at, payload) = self.0.keys.open_token(text).ok_or_else(void)?;
        // a thousand requests with one token that a change has made stale ask the database once
        let _turn = self.0.turns.take(text).await;
        if let Some(known) = self.cached(text) {
            return Ok(known);
        }
        let token = Token::unpack(at, &payload).ok_or_else(void)?;
        if token.expires_at.plus(grace) <= self.now() {
            self.0.tokens.forget(text);
            return Err(void());
        }
        let resolved = Arc::new(self.resolve(token).await?);
        self.0.tokens.put(text, resolved.clone());
        Ok(resolved)
    }

    /// Reads everything the token rests on. The token found ends no later than its trust and its application credential.
    pub(super) async fn resolve(&self, mut token: Token) -> Result<Resolved, Error> {
        // before the first read: a change that comes between makes what we find stale at once
        let revision = self.0.revision.get();
        let (own_user, own_domain) = self.enabled_user(&token.user_id).await?;
        let trust = self.trust_of(&token).await?;
        let givers = self.givers(trust.as_ref()).await?;
        let (project, domain) = self.scope_of(&token).await?;
        self.refuse_revoked(&token, &own_domain, &givers, domain.as_ref()).await?;
        let (user, user_domain) = match (&trust, givers.into_iter().next()) {
            (Some(t), Some(trustor)) if t.impersonation => trustor,
            _ => (own_user, own_domain),
        };
        let application_credential = self.application_credential_of(&token).await?;
        let ends =
            [trust.as_ref().and_then(|t| t.expires_at), application_credential.as_ref().and_then(|a| a.expires_at)];
        for end in ends.into_iter().flatten() {
            token.expires_at = token.expires_at.min(whole_seconds(Timestamp(end)));
        }
        let roles = self.roles_of(&token, trust.as_ref(), application_credential.as_ref()).await?;
        if roles.is_empty() && token.scope != TokenScope::Unscoped {
            return Err(void());
        }
        let access_rules = match &application_credential {
            Some(a) => access_rules::of_credential(self.db(), &a.id).await?,
            None => Vec::new(),
        };
        let facts = Arc::new(facts(&token, &user, &user_domain, project.as_ref(), domain.as_ref(), &roles));
        let catalog = self.catalog().await?;
        Ok(Resolved {
            token,
            revision,
            facts,
            user,
            user_domain,
            project,
            domain,
            roles,
            trust,
            application_credential,
            access_rules,
            catalog,
            bodies: [OnceLock::new(), OnceLock::new()],
        })
    }

    async fn enabled_user(&self, id: &str) -> Result<(UserRow, ProjectRow), Error> {
        let user = users::get(self.db(), id).await?.filter(|u| u.enabled).ok_or_else(void)?;
        let domain = projects::domain(self.db(), &user.domain_id).await?.filter(|d| d.enabled).ok_or_else(void)?;
        Ok((user, domain))
    }

    /// Everybody whose roles a trust hands on, its own trustor first: with a redelegated one, those of the trusts above
    /// it, too. Void once any of them may not log in.
    pub(super) async fn givers(&self, trust: Option<&TrustRow>) -> Result<Vec<(UserRow, ProjectRow)>, Error> {
        let Some(trust) = trust else { return Ok(Vec::new()) };
        let mut givers: Vec<(UserRow, ProjectRow)> = Vec::new();
        for link in trusts::chain(self.db(), trust).await? {
            if !givers.iter().any(|(known, _)| known.id == link.trustor_user_id) {
                givers.push(self.enabled_user(&link.trustor_user_id).await?);
            }
        }
        Ok(givers)
    }

    async fn trust_of(&self, token: &Token) -> Result<Option<TrustRow>, Error> {
        let Some(id) = &token.trust_id else { return Ok(None) };
        let trust = trusts::get(self.db(), id).await?.filter(|t| t.trustee_user_id == token.user_id);
        let trust = trust.filter(|t| t.expires_at.is_none_or(|at| Timestamp(at) > self.now()));
        trust.map(Some).ok_or_else(void)
    }

    async fn scope_of(&self, token: &Token) -> Result<(Option<ProjectRow>, Option<ProjectRow>), Error> {
        match &token.scope {
            TokenScope::Unscoped | TokenScope::System => Ok((None, None)),
            TokenScope::Domain(id) => {
                let domain = projects::domain(self.db(), id).await?.filter(|d| d.enabled).ok_or_else(void)?;
                Ok((None, Some(domain)))
            }
            TokenScope::Project(id) => {
                let project = projects::get(self.db(), id).await?.filter(|p| p.enabled).ok_or_else(void)?;
                let domain_id = project.domain_id.as_deref().ok_or_else(void)?;
                let domain = projects::domain(self.db(), domain_id).await?.filter(|d| d.enabled).ok_or_else(void)?;
                Ok((Some(project), Some(domain)))
            }
        }
    }

    async fn refuse_revoked(
        &self,
        token: &Token,
        own: &ProjectRow,
        givers: &[(UserRow, ProjectRow)],
        domain: Option<&ProjectRow>,
    ) -> Result<(), Error> {
        match self.last_revocation(token, &own.id, givers, domain.map(|d| d.id.as_str())).await? {
            Some(at) if token.issued_at <= at => Err(void()),
            _ => Ok(()),
        }
    }

    /// When tokens like this one were last made void: of this user or of one whose roles it carries.
    pub(super) async fn last_revocation(
        &self,
        token: &Token,
        user_domain: &str,
        givers: &[(UserRow, ProjectRow)],
        scope_domain: Option<&str>,
    ) -> Result<Option<Timestamp>, Error> {
        let project = match &token.scope {
            TokenScope::Project(id) => Some(id.as_str()),
            _ => None,
        };
        let audit_id = token.audit_ids.first().map(String::as_str).unwrap_or_default();
        let domains = [Some(user_domain), scope_domain];
        let mut last = revocations::last(self.db(), audit_id, &token.user_id, project, domains).await?;
        for (user, domain) in givers {
            last = last.max(revocations::last(self.db(), audit_id, &user.id, None, [Some(&domain.id), None]).await?);
        }
        Ok(last)
    }

    async fn application_credential_of(&self, token: &Token) -> Result<Option<AppCredRow>, Error> {
        let Some(id) = &token.application_credential_id else { return Ok(None) };
        let found = application_credentials::get(self.db(), id).await?.filter(|a| a.user_id == token.user_id);
        let found = found.filter(|a| a.expires_at.is_none_or(|at| Timestamp(at) > self.now()));
        found.map(Some).ok_or_else(void)
    }

    async fn roles_of(
        &self,
        token: &Token,
        trust: Option<&TrustRow>,
        app_cred: Option<&AppCredRow>,
    ) -> Result<Vec<RoleRef>, Error> {
        if let Some(trust) = trust {
            return self.delegated_roles(trust).await;
        }
        let on = match &token.scope {
            TokenScope::Unscoped => return Ok(Vec::new()),
            TokenScope::Project(id) => On::Project(id),
            TokenScope::Domain(id) => On::Domain(id),
            TokenScope::System => On::System,
        };
        let mut roles = assignments::effective(self.db(), &token.user_id, on).await?;
        if let Some(app_cred) = app_cred {
            let given = application_credentials::role_ids(self.db(), &app_cred.id).await?;
            let given = self.implied_by(given).await?;
            roles.retain(|r| given.contains(&r.id));
        }
        Ok(roles)
    }

    /// What a trust hands on. Void as a whole once the trustor has lost any of it.
    async fn delegated_roles(&self, trust: &TrustRow) -> Result<Vec<RoleRef>, Error> {
        let Some(project) = &trust.project_id else { return Ok(Vec::new()) };
        let original = trusts::original_trustor(self.db(), trust).await?;
        let held = assignments::effective(self.db(), &original, On::Project(project)).await?;
        let given = self.implied_by(trusts::role_ids(self.db(), &trust.id).await?).await?;
        if given.iter().any(|id| !held.iter().any(|r| r.id == *id)) {
            return Err(Error::forbidden("Trustee has no delegated roles."));
        }
        Ok(held.into_iter().filter(|r| given.contains(&r.id)).collect())
    }

    /// The roles and all that they imply.
    pub(crate) async fn implied_by(&self, given: Vec<String>) -> Result<HashSet<String>, Error> {
        let rules = roles::inferences(self.db()).await?;
        let mut all: HashSet<String> = HashSet::new();
        let mut todo = given;
        while let Some(id) = todo.pop() {
            if all.insert(id.clone()) {
                todo.extend(rules.iter().filter(|(prior, _)| *prior == id).map(|(_, implied)| implied.clone()));
            }
        }
        Ok(all)
    }
}

fn facts(
    token: &Token,
    user: &UserRow,
    user_domain: &ProjectRow,
    project: Option<&ProjectRow>,
    domain: Option<&ProjectRow>,
    roles: &[RoleRef],
) -> TokenFacts {
    let scope = match (&token.scope, project, domain) {
        (TokenScope::System, ..) => Scope::System,
        (TokenScope::Project(_), Some(p), Some(d)) => Scope::Project {
            id: ProjectId(p.id.clone()),
            name: p.name.clone(),
            domain_id: DomainId(d.id.clone()),
            domain_name: d.name.clone(),
        },
        (TokenScope::Domain(_), _, Some(d)) => Scope::Domain { id: DomainId(d.id.clone()), name: d.name.clone() },
        _ => Scope::Unscoped,
    };
    TokenFacts {
        user_id: UserId(user.id.clone()),
        user_name: user.name.clone(),
        user_domain_id: DomainId(user_domain.id.clone()),
        user_domain_name: user_domain.name.clone(),
        scope,
        roles: roles.iter().map(|r| r.name.clone()).collect(),
        issued_at: token.issued_at,
        expires_at: token.expires_at,
        audit_ids: token.audit_ids.clone(),
    }
}
