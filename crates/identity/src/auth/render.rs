//! The body that describes a token, made once and kept with it.

use super::catalog;
use super::resolve::Resolved;
use crate::token::TokenScope;
use base::Timestamp;
use bytes::Bytes;
use serde_json::{Value, json};

impl Resolved {
    /// `{"token": …}`, ready to send. Kept: who asks once about a token asks again.
    pub(crate) fn body(&self, with_catalog: bool) -> Bytes {
        self.bodies[usize::from(with_catalog)].get_or_init(|| self.fresh_body(with_catalog)).clone()
    }

    /// The same, not kept: most tokens are shown once, at login.
    pub(crate) fn fresh_body(&self, with_catalog: bool) -> Bytes {
        let body = json!({"token": self.render(with_catalog)});
        Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
    }

    fn render(&self, with_catalog: bool) -> Value {
        let expires = self.user.password_expires_at.map(|at| Timestamp(at).micros_naive());
        let mut t = json!({
            "methods": self.token.methods.names().collect::<Vec<_>>(),
            "user": {
                "domain": {"id": self.user_domain.id, "name": self.user_domain.name},
                "id": self.user.id,
                "name": self.user.name,
                "password_expires_at": expires,
            },
            "audit_ids": self.token.audit_ids,
            "expires_at": self.token.expires_at.micros_z(),
            "issued_at": self.token.issued_at.micros_z(),
        });
        match (&self.token.scope, &self.project, &self.domain) {
            (TokenScope::System, ..) => t["system"] = json!({"all": true}),
            (TokenScope::Project(_), Some(p), Some(d)) => {
                t["project"] = json!({"domain": {"id": d.id, "name": d.name}, "id": p.id, "name": p.name});
                if self.trust.is_none() {
                    t["is_domain"] = json!(p.is_domain);
                }
            }
            (TokenScope::Domain(_), _, Some(d)) => t["domain"] = json!({"id": d.id, "name": d.name}),
            _ => return t,
        }
        t["roles"] = self.roles.iter().map(|r| json!({"id": r.id, "name": r.name})).collect();
        if let Some(trust) = &self.trust {
            t["OS-TRUST:trust"] = json!({
                "id": trust.id,
                "trustor_user": {"id": trust.trustor_user_id},
                "trustee_user": {"id": trust.trustee_user_id},
                "impersonation": trust.impersonation,
            });
        }
        if let Some(a) = &self.application_credential {
            t["application_credential"] = json!({"id": a.id, "name": a.name, "restricted": !a.unrestricted});
            if !self.access_rules.is_empty() {
                t["application_credential"]["access_rules"] = self.access_rules.iter().map(|r| r.render()).collect();
            }
        }
        if with_catalog {
            t["catalog"] = self.render_catalog();
        }
        t
    }

    pub(crate) fn render_catalog(&self) -> Value {
        catalog::render(&self.catalog, &self.user.id, self.project.as_ref().map(|p| p.id.as_str()))
    }
}
