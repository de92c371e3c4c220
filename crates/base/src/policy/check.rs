//! A parsed check and its evaluation.

use super::{RuleId, Target};
use crate::context::{Scope, TokenFacts};
use regex::Regex;

/// What a check may look at.
pub(super) struct Facts<'a> {
    pub(super) token: Option<&'a TokenFacts>,
    pub(super) target: &'a Target,
}

#[derive(Clone, Debug)]
pub(super) enum Check {
    /// `@` or nothing at all.
    Always,
    /// `!`
    Never,
    Not(Box<Check>),
    All(Vec<Check>),
    Any(Vec<Check>),
    /// `rule:name`
    Rule(RuleId),
    /// `role:name`; case does not matter.
    Role(Template),
    /// `user_id:%(user_id)s`: something the token says.
    Credential(Credential, Template),
    /// `'public':%(visibility)s`, `True:%(enabled)s`: the left side stands for itself.
    Literal(String, Template),
    /// `None:%(domain_id)s`: the row has no value there.
    NoValue(Template),
    /// `field:networks:shared=True`: Neutron's way to ask for a value of the row.
    Field {
        attribute: String,
        want: FieldValue,
    },
}

#[derive(Clone, Debug)]
pub(super) enum FieldValue {
    Text(String),
    /// `=~regex`, from the start of the value.
    Match(Regex),
}

/// The right side of a check: text with `%(name)s` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Template {
    Text(String),
    Attribute(String),
    Mixed(Vec<Template>),
}

/// What can stand on the left side of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    UserId,
    UserName,
    UserDomainId,
    ProjectId,
    ProjectName,
    ProjectDomainId,
    DomainId,
    SystemScope,
    IsAdmin,
    IsAdminProject,
    /// A name no token of ours has: never matches, as in oslo.policy.
    Unknown,
}

/// Names as services' rules write them; several services have their own for the same thing.
const CREDENTIALS: &[(&str, Credential)] = &[
    ("user_id", Credential::UserId),
    ("token.user.id", Credential::UserId),
    ("user_name", Credential::UserName),
    ("user_domain_id", Credential::UserDomainId),
    ("token.user.domain.id", Credential::UserDomainId),
    ("project_id", Credential::ProjectId),
    ("tenant_id", Credential::ProjectId),
    ("tenant", Credential::ProjectId),
    ("token.project.id", Credential::ProjectId),
    ("project_name", Credential::ProjectName),
    ("project_domain_id", Credential::ProjectDomainId),
    ("token.project.domain.id", Credential::ProjectDomainId),
    ("domain_id", Credential::DomainId),
    ("token.domain.id", Credential::DomainId),
    ("system_scope", Credential::SystemScope),
    ("system", Credential::SystemScope),
    ("is_admin", Credential::IsAdmin),
    ("is_admin_project", Credential::IsAdminProject),
];

impl Credential {
    pub(super) fn named(name: &str) -> Self {
        CREDENTIALS.iter().find(|(n, _)| *n == name).map_or(Self::Unknown, |(_, c)| *c)
    }

    /// `None`: the token says nothing about it.
    fn of(self, token: &TokenFacts) -> Option<&str> {
        match (self, &token.scope) {
            (Self::UserId, _) => Some(token.user_id.as_str()),
            (Self::UserName, _) => Some(&token.user_name),
            (Self::UserDomainId, _) => Some(token.user_domain_id.as_str()),
            (Self::ProjectId, Scope::Project { id, .. }) => Some(id.as_str()),
            (Self::ProjectName, Scope::Project { name, .. }) => Some(name),
            (Self::ProjectDomainId, Scope::Project { domain_id, .. }) => Some(domain_id.as_str()),
            (Self::DomainId, Scope::Domain { id, .. }) => Some(id.as_str()),
            (Self::SystemScope, Scope::System) => Some("all"),
            (Self::IsAdmin, _) => Some(if token.has_role("admin") { "True" } else { "False" }),
            // without an admin project configured, every project is one
            (Self::IsAdminProject, _) => Some("True"),
            _ => None,
        }
    }
}

impl Check {
    /// `rule` evaluates another rule.
    pub(super) fn holds(&self, facts: &Facts<'_>, rule: &dyn Fn(RuleId) -> bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Not(c) => !c.holds(facts, rule),
            Self::All(cs) => cs.iter().all(|c| c.holds(facts, rule)),
            Self::Any(cs) => cs.iter().any(|c| c.holds(facts, rule)),
            Self::Rule(id) => rule(*id),
            Self::Role(name) => {
                facts.token.is_some_and(|token| name.is_what(facts.target, &|want| token.has_role(want)))
            }
            Self::Credential(what, want) => match facts.token.and_then(|t| what.of(t)) {
                Some(have) => want.is_what(facts.target, &|w| w == have),
                // `domain_id:None` asks for a token without one; a row's None is no such question
                None => facts.token.is_some() && *what != Credential::Unknown && *want == Template::Text("None".into()),
            },
            Self::Literal(have, want) => want.is_what(facts.target, &|w| w == have),
            Self::NoValue(Template::Attribute(name)) => facts.target.get(name).is_some_and(|a| a.text().is_none()),
            Self::NoValue(want) => want.is_what(facts.target, &|w| w == "None"),
            Self::Field { attribute, want } => {
                facts.target.get(attribute).and_then(|a| a.text()).is_some_and(|have| match want {
                    FieldValue::Text(want) => have == want,
                    FieldValue::Match(regex) => regex.is_match(have),
                })
            }
        }
    }

    /// Calls `visit` for each rule this check refers to.
    pub(super) fn each_rule<E>(&self, visit: &mut dyn FnMut(RuleId) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Rule(id) => visit(*id),
            Self::Not(c) => c.each_rule(visit),
            Self::All(cs) | Self::Any(cs) => cs.iter().try_for_each(|c| c.each_rule(visit)),
            _ => Ok(()),
        }
    }
}

impl Template {
    /// Fills in the target's attributes and asks `is`. An attribute that is missing or `None` matches nothing.
    fn is_what(&self, target: &Target, is: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Text(t) => is(t),
            Self::Attribute(name) => target.get(name).and_then(|a| a.text()).is_some_and(is),
            Self::Mixed(_) => {
                let mut text = String::new();
                self.append(target, &mut text).is_some() && is(&text)
            }
        }
    }

    fn append(&self, target: &Target, to: &mut String) -> Option<()> {
        match self {
            Self::Text(t) => to.push_str(t),
            Self::Attribute(name) => to.push_str(target.get(name)?.text()?),
            Self::Mixed(parts) => parts.iter().try_for_each(|p| p.append(target, to))?,
        }
        Some(())
    }
}
