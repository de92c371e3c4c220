//! A token for a signed AWS request: what an EC2 or S3 gateway asks for on behalf of who signed it.

use super::issue::Order;
use super::resolve::Resolved;
use super::signature::Signed;
use crate::api::id_of_access_key;
use crate::store::credentials::{self, CredentialRow};
use crate::store::{application_credentials, revocations, trusts};
use crate::token::{Methods, TokenScope};
use crate::{Error, Identity};
use base::{Secret, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How old a signature may be, or how far ahead its clock. 15 min: Keystone's `[credential] auth_ttl`.
const SIGNATURE_TTL: Duration = Duration::from_secs(15 * 60);

/// Whose signature it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Ec2,
    /// Its gateway has looked at the time: a presigned URL may be good for days.
    S3,
}

impl Identity {
    /// The token that the signer's key is good for, never more than the key was made with.
    pub(crate) async fn exchange(&self, body: &Value, dialect: Dialect) -> Result<(Secret, Arc<Resolved>), Error> {
        let none = || Error::unauthorized_because("EC2 signature not supplied.");
        let seen = revocations::latest(self.db()).await?;
        let signed = Signed::parse(body).ok_or_else(none)?;
        let access = signed.access().ok_or_else(none)?;
        let unknown = || Error::gone_missing("EC2 access key not found.");
        let found = credentials::get(self.db(), &id_of_access_key(access)).await?.filter(|c| c.kind == "ec2");
        let found = found.ok_or_else(unknown)?;
        let blob: Value = self.unseal(&found.encrypted_blob).map_or(Ok(Value::Null), |b| serde_json::from_str(&b))?;
        // its id is that of the key it was made with, which may have been replaced
        if blob["access"] != access {
            return Err(unknown());
        }
        let secret = blob["secret"].as_str().unwrap_or_default();
        let right = match dialect {
            Dialect::Ec2 => signed.is_of_ec2(secret),
            Dialect::S3 => signed.is_of_s3(secret),
        };
        if secret.is_empty() || !right {
            return Err(Error::unauthorized_because("Invalid EC2 signature."));
        }
        if dialect == Dialect::Ec2 {
            self.refuse_old_signature(signed.timestamp())?;
        }
        let order = self.order_of(found, &blob, seen).await?;
        self.issue(order).await
    }

    fn refuse_old_signature(&self, at: Option<&str>) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::unauthorized_because(why.to_owned()));
        let Some(at) = at.and_then(parse_time) else { return refuse("Credential timestamp is invalid") };
        let now = self.now();
        if at.plus(SIGNATURE_TTL) < now || now.plus(SIGNATURE_TTL) < at {
            return refuse("Credential is expired");
        }
        Ok(())
    }

    /// Bound to whatever the token was bound to that the key was made with.
    async fn order_of(&self, key: CredentialRow, blob: &Value, seen: Option<Timestamp>) -> Result<Order, Error> {
        let project = key.project_id.ok_or(Error::Unauthorized)?;
        let id = |name: &str| blob[name].as_str();
        let mut order = Order {
            user_id: key.user_id,
            methods: Methods::EC2_CREDENTIAL,
            scope: TokenScope::Project(project.clone()),
            trust_id: None,
            application_credential_id: None,
            not_after: None,
            chain: None,
            seen,
        };
        if let Some(id) = id("trust_id") {
            let trust = trusts::get(self.db(), id).await?.ok_or(Error::Unauthorized)?;
            // with impersonation the trust's token, and what it makes, is the trustor's
            let maker = if trust.impersonation { &trust.trustor_user_id } else { &trust.trustee_user_id };
            if trust.project_id.as_ref() != Some(&project) || *maker != order.user_id {
                return Err(Error::Unauthorized);
            }
            order.user_id = trust.trustee_user_id;
            order.trust_id = Some(trust.id);
        } else if let Some(id) = id("app_cred_id") {
            let own = application_credentials::get(self.db(), id).await?.filter(|a| a.project_id == project);
            order.application_credential_id = Some(own.ok_or(Error::Unauthorized)?.id);
        } else if id("access_token_id").is_some() {
            // OAuth1's: there are none here
            return Err(Error::Unauthorized);
        }
        Ok(order)
    }
}

/// ISO 8601, or as version 4 writes it: 20150830T123600Z.
fn parse_time(text: &str) -> Option<Timestamp> {
    let basic = text.len() == 16 && text.is_ascii();
    let spelled = || {
        let (d, t) = (&text[..8], &text[9..]);
        format!("{}-{}-{}T{}:{}:{}", &d[..4], &d[4..6], &d[6..], &t[..2], &t[2..4], &t[4..])
    };
    if basic && text.as_bytes()[8] == b'T' { Timestamp::parse_iso(&spelled()) } else { Timestamp::parse_iso(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_both_spellings() {
        let at = Timestamp::parse_iso("2015-08-30T12:36:00Z");
        assert!(at.is_some());
        assert_eq!(parse_time("20150830T123600Z"), at);
        assert_eq!(parse_time("2015-08-30T12:36:00Z"), at);
        assert_eq!(parse_time("2015-08-30T12:36:00"), at);
        for bad in ["", "yesterday", "20150830X123600Z", "ééééTéééé"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
