//! The rules of `data/policies.json`, with an operator's own laid over them.

use crate::Error;
use base::RequestContext;
use base::policy::{Enforcer, PolicyError, Target};

const DEFAULTS: &str = include_str!("../data/policies.json");

/// Keystone's default rules.
pub fn default_policy() -> Result<Enforcer, PolicyError> {
    Enforcer::from_json(DEFAULTS)
}

#[derive(Debug)]
pub(crate) struct Policy(Enforcer);

impl Policy {
    pub(crate) fn load(overrides: Option<&str>) -> Result<Self, Error> {
        let mut enforcer = default_policy()?;
        if let Some(text) = overrides {
            enforcer.override_with(text)?;
        }
        Ok(Self(enforcer))
    }

    pub(crate) fn allows(&self, rule: &str, cx: &RequestContext, target: &Target) -> bool {
        self.0.allows(rule, cx, target)
    }

    /// 403 in Keystone's words if not.
    pub(crate) fn check(&self, rule: &str, cx: &RequestContext, target: &Target) -> Result<(), Error> {
        if self.allows(rule, cx, target) { Ok(()) } else { Err(Error::forbidden_action(rule)) }
    }

    /// Whether there is such a rule at all.
    #[cfg(test)]
    pub(crate) fn knows(&self, rule: &str) -> bool {
        self.0.rule_names().any(|r| r == rule)
    }
}
