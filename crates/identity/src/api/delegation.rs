//! What tokens made from a trust, an application credential or an EC2 key may not do, lest they outgrow it.

use crate::Error;
use crate::auth::Resolved;
use crate::store::access_rules::AccessRuleRow;
use serde_json::Value;

impl Resolved {
    /// A trust's token, or an EC2 key's, makes nothing that would outlive what it is of.
    pub(super) fn refuse_trust(&self) -> Result<(), Error> {
        if self.trust.is_none() && !self.is_of_ec2_key() {
            return Ok(());
        }
        Err(Error::forbidden("Cannot manage application credentials with a token issued via delegation."))
    }

    /// A restricted application credential makes no further credentials, nor does an EC2 key.
    pub(super) fn refuse_restricted(&self, what: &str) -> Result<(), Error> {
        match &self.application_credential {
            _ if self.is_of_ec2_key() => Err(Error::forbidden_action(&format!(
                "Using method 'ec2credential' is not allowed for managing additional {what}."
            ))),
            Some(a) if !a.unrestricted => Err(Error::forbidden_action(&format!(
                "Using method 'application_credential' is not allowed for managing additional {what}."
            ))),
            _ => Ok(()),
        }
    }

    /// An application credential, unrestricted or not, has no say over trusts; an EC2 key has none either.
    pub(super) fn refuse_application_credential(&self) -> Result<(), Error> {
        if self.application_credential.is_none() && !self.is_of_ec2_key() {
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
        if !self.is_delegated() {
            return Ok(());
        }
        if credential_project.is_some() && credential_project == self.project.as_ref().map(|p| p.id.as_str()) {
            return Ok(());
        }
        Err(Error::forbidden_action("Credential project does not match the project scope of the delegated token"))
    }

    /// A delegated token neither makes nor learns a secret with which one could have more than it: one-time passwords are
    /// the user's own login, and an EC2 key is good for what made it.
    pub(super) fn refuse_stronger_secret(&self, kind: &str, blob: &str) -> Result<(), Error> {
        if !self.is_delegated() {
            return Ok(());
        }
        let is_own = || {
            let blob: Value = serde_json::from_str(blob).unwrap_or_default();
            let of_trust = self.trust.as_ref().is_some_and(|t| blob["trust_id"] == t.id.as_str());
            let of_credential =
                self.application_credential.as_ref().is_some_and(|a| blob["app_cred_id"] == a.id.as_str());
            (of_trust || of_credential) && !self.is_of_ec2_key()
        };
        match kind.to_ascii_lowercase().as_str() {
            "totp" => Err(Error::forbidden_action("A delegated token has no say over one-time passwords.")),
            "ec2" if !is_own() => Err(Error::forbidden_action("The EC2 key is not of this delegated token.")),
            _ => Ok(()),
        }
    }
}
