//! What tokens made from a trust or an application credential may not do, lest they outgrow it.

use crate::Error;
use crate::auth::Resolved;
use crate::store::access_rules::AccessRuleRow;

impl Resolved {
    /// A trust's token makes nothing that would outlive the trust.
    pub(super) fn refuse_trust(&self) -> Result<(), Error> {
        if self.trust.is_none() {
            return Ok(());
        }
        Err(Error::forbidden("Cannot manage application credentials with a token issued via delegation."))
    }

    /// A restricted application credential makes no further credentials.
    pub(super) fn refuse_restricted(&self, what: &str) -> Result<(), Error> {
        match &self.application_credential {
            Some(a) if !a.unrestricted => Err(Error::forbidden_action(&format!(
                "Using method 'application_credential' is not allowed for managing additional {what}."
            ))),
            _ => Ok(()),
        }
    }

    /// An application credential, unrestricted or not, has no say over trusts.
    pub(super) fn refuse_application_credential(&self) -> Result<(), Error> {
        if self.application_credential.is_none() {
            return Ok(());
        }
        Err(Error::forbidden_action("Using method 'application_credential' is not allowed for managing trusts."))
    }

    /// The end of a credential made with this token, which may not outlive the one that this token is of.
    pub(super) fn bounded_expiry(&self, asked: Option<i64>) -> Result<Option<i64>, Error> {
        let Some(end) = self.application_credential.as_ref().and_then(|a| a.expires_at) else { return Ok(asked) };
        match asked {
            Some(at) if at > end => {
                Err(Error::forbidden_action("An application credential cannot outlive the one it is made with."))
            }
            asked => Ok(asked.or(Some(end))),
        }
    }

    /// The access rules of a credential made with this token: within those that this token has, which it gets where none
    /// were asked for.
    pub(super) fn bounded_rules(&self, asked: Vec<AccessRuleRow>) -> Result<Vec<AccessRuleRow>, Error> {
        let own = &self.access_rules;
        if own.is_empty() {
            return Ok(asked);
        }
        if asked.is_empty() {
            return Ok(own.clone());
        }
        if asked.iter().all(|rule| own.iter().any(|wider| rule.is_within(wider))) {
            return Ok(asked);
        }
        Err(Error::forbidden_action("An application credential cannot do more than the one it is made with."))
    }

    /// A delegated token touches only credentials of its own project.
    pub(super) fn refuse_other_project(&self, credential_project: Option<&str>) -> Result<(), Error> {
        if self.trust.is_none() && self.application_credential.is_none() {
            return Ok(());
        }
        if credential_project.is_some() && credential_project == self.project.as_ref().map(|p| p.id.as_str()) {
            return Ok(());
        }
        Err(Error::forbidden_action("Credential project does not match the project scope of the delegated token"))
    }
}
