//! What Keystone says of a token.

use base::{DomainId, ProjectId, Scope, Timestamp, TokenFacts, UserId};
use serde::Deserialize;
use std::sync::Arc;

pub(crate) struct Said {
    pub facts: Arc<TokenFacts>,
    /// `Some`: good only for requests that one of them permits; an empty list permits none.
    pub access_rules: Option<Vec<AccessRule>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AccessRule {
    pub service: String,
    pub method: String,
    pub path: String,
}

#[derive(Deserialize)]
pub(super) struct Envelope {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: User,
    project: Option<Project>,
    domain: Option<Domain>,
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Named>,
    issued_at: String,
    expires_at: String,
    #[serde(default)]
    audit_ids: Vec<String>,
    application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    name: String,
    domain: Domain,
}

#[derive(Deserialize)]
struct Project {
    id: String,
    name: String,
    domain: Domain,
}

#[derive(Deserialize)]
struct Domain {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    access_rules: Option<Vec<AccessRule>>,
}

/// What the body of `GET /v3/auth/tokens` (or of a login's answer) says. `None`: it is none.
pub fn facts_of(body: &str) -> Option<Arc<TokenFacts>> {
    let envelope: Envelope = serde_json::from_str(body).ok()?;
    envelope.said().map(|said| said.facts)
}

impl Envelope {
    /// `None`: it makes no sense, and an answer that makes no sense lets nobody in.
    pub(super) fn said(self) -> Option<Said> {
        let Token { user, project, domain, system, roles, issued_at, expires_at, audit_ids, application_credential } =
            self.token;
        let scope = match (project, domain, system) {
            (Some(p), None, None) => Scope::Project {
                id: ProjectId(p.id),
                name: p.name,
                domain_id: DomainId(p.domain.id),
                domain_name: p.domain.name,
            },
            (None, Some(d), None) => Scope::Domain { id: DomainId(d.id), name: d.name },
            (None, None, Some(System { all: true })) => Scope::System,
            (None, None, None) => Scope::Unscoped,
            _ => return None,
        };
        let facts = TokenFacts {
            user_id: UserId(user.id),
            user_name: user.name,
            user_domain_id: DomainId(user.domain.id),
            user_domain_name: user.domain.name,
            scope,
            roles: roles.into_iter().map(|r| r.name).collect(),
            issued_at: Timestamp::parse_iso(&issued_at)?,
            expires_at: Timestamp::parse_iso(&expires_at)?,
            audit_ids,
        };
        let access_rules = application_credential.and_then(|a| a.access_rules);
        Some(Said { facts: Arc::new(facts), access_rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(change: impl FnOnce(&mut Value)) -> Option<Said> {
        let mut token = json!({"token": {
            "methods": ["password"], "audit_ids": ["a"],
            "user": {"id": "u", "name": "alice", "domain": {"id": "default", "name": "Default"},
                     "password_expires_at": null},
            "project": {"id": "p", "name": "demo", "domain": {"id": "default", "name": "Default"}},
            "is_domain": false, "roles": [{"id": "r", "name": "member"}],
            "issued_at": "2026-01-02T03:04:05.000000Z", "expires_at": "2026-01-02T04:04:05.000000Z"}});
        change(&mut token["token"]);
        serde_json::from_value::<Envelope>(token).ok()?.said()
    }

    #[test]
    fn every_scope_is_told_apart() {
        let project = said(|_| {}).unwrap();
        assert_eq!(project.facts.project_id(), Some(&ProjectId("p".into())));
        assert!(project.facts.has_role("member") && project.access_rules.is_none());
        let system = said(|t| {
            t["project"] = Value::Null;
            t["system"] = json!({"all": true});
        });
        assert_eq!(system.unwrap().facts.scope, Scope::System);
        let domain = said(|t| {
            t["project"] = Value::Null;
            t["domain"] = json!({"id": "d", "name": "D"});
        });
        assert_eq!(domain.unwrap().facts.scope, Scope::Domain { id: DomainId("d".into()), name: "D".into() });
        assert_eq!(said(|t| t["project"] = Value::Null).unwrap().facts.scope, Scope::Unscoped);
    }

    #[test]
    fn what_makes_no_sense_lets_nobody_in() {
        assert!(said(|t| t["system"] = json!({"all": true})).is_none());
        assert!(
            said(|t| {
                t["project"] = Value::Null;
                t["system"] = json!({});
            })
            .is_none()
        );
        assert!(said(|t| t["expires_at"] = json!("soon")).is_none());
        assert!(said(|t| t["user"] = Value::Null).is_none());
    }

    #[test]
    fn no_rules_and_an_empty_list_of_rules_differ() {
        let rules = |r: Value| said(|t| t["application_credential"] = json!({"id": "c", "access_rules": r})).unwrap();
        assert!(rules(Value::Null).access_rules.is_none());
        assert_eq!(rules(json!([])).access_rules.unwrap().len(), 0);
        let one = rules(json!([{"id": "x", "service": "compute", "method": "GET", "path": "/v2.1/servers"}]));
        assert_eq!(one.access_rules.unwrap()[0].path, "/v2.1/servers");
    }
}
