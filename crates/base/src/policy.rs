//! oslo.policy rules: names, defaults and the file syntax operators already have.
//!
//! A rule is parsed once into a tree ([`check::Check`]) and evaluated against two things only: the caller's token and
//! a [`Target`], which the caller of [`Enforcer::allows`] fills from the *stored row* (never from a request's body).
//!
//! Where we are stricter than oslo.policy, on purpose: a check that does not parse, a cycle, a duplicate key or an
//! empty value is an error at load instead of "deny" or "allow"; and an attribute that is `None` on both sides is not
//! a match (in Python `None` and `None` print alike, so an unscoped token would own what nobody owns).

mod check;
mod file;
mod parse;
mod target;

pub use target::{Attribute, Target};

use crate::context::{RequestContext, Scope};
use check::{Check, Facts};
use parse::NotACheck;
use serde::Deserialize;
use std::collections::HashMap;

/// Why rules were refused. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("rule {rule:?}: {why}")]
    Check { rule: String, why: String },
    #[error("line {line}: {why}")]
    Line { line: usize, why: String },
    #[error("not a list of rules: {0}")]
    Json(String),
    #[error("rules refer to each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
}

/// One rule as the services declare it.
#[derive(Clone, Debug, Deserialize)]
pub struct RuleDefault {
    pub name: String,
    pub check: String,
    /// Kinds of token scope that may use it at all; empty: any.
    #[serde(default)]
    pub scope_types: Vec<ScopeType>,
    /// `POST /servers/{server_id}/action (os-resetState)`: what it protects, for people and for coverage tests.
    #[serde(default)]
    pub operations: Vec<String>,
}

/// Kinds of scope, as rules name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeType {
    System,
    Domain,
    Project,
}

impl ScopeType {
    /// As rules write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Domain => "domain",
            Self::Project => "project",
        }
    }

    /// As oslo.policy sorts tokens: what is neither system nor domain scoped counts as project.
    fn of(cx: &RequestContext) -> Self {
        match cx.token.as_ref().map(|t| &t.scope) {
            Some(Scope::System) => Self::System,
            Some(Scope::Domain { .. }) => Self::Domain,
            Some(Scope::Project { .. } | Scope::Unscoped) | None => Self::Project,
        }
    }
}

/// Position of a rule in [`Enforcer::rules`].
type RuleId = usize;

/// The rule asked when a name has none.
const DEFAULT: &str = "default";
const DEFAULT_ID: RuleId = 0;

#[derive(Clone, Debug)]
struct Rule {
    name: String,
    /// `None`: other rules mention the name, nobody defines it.
    check: Option<Check>,
    /// The check as it was written.
    text: String,
    scope_types: Vec<ScopeType>,
    operations: Vec<String>,
}

/// All rules of one service.
#[derive(Clone, Debug)]
pub struct Enforcer {
    rules: Vec<Rule>,
    ids: HashMap<String, RuleId>,
}

impl Enforcer {
    pub fn from_defaults(defaults: &[RuleDefault]) -> Result<Self, PolicyError> {
        let mut new = Self::empty();
        for d in defaults {
            let id = new.define(&d.name, &d.check).map_err(|e| e.in_rule(&d.name))?;
            new.rules[id].scope_types.clone_from(&d.scope_types);
            new.rules[id].operations.clone_from(&d.operations);
        }
        new.without_cycles()
    }

    /// A JSON list of objects with `name`, `check` and, if the rule has them, `scope_types` and `operations`.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        let defaults: Vec<RuleDefault> = serde_json::from_str(text).map_err(|e| PolicyError::Json(e.to_string()))?;
        Self::from_defaults(&defaults)
    }

    /// Rules without scope types, for tests and small services.
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Result<Self, PolicyError> {
        let defaults: Vec<_> = pairs
            .iter()
            .map(|(name, check)| RuleDefault {
                name: (*name).to_owned(),
                check: (*check).to_owned(),
                scope_types: Vec::new(),
                operations: Vec::new(),
            })
            .collect();
        Self::from_defaults(&defaults)
    }

    /// Lays an operator's `policy.yaml` (or `policy.json`) over the defaults: checks are replaced, scope types stay.
    /// A name that no default has becomes a rule of its own, which others may refer to.
    pub fn override_with(&mut self, text: &str) -> Result<(), PolicyError> {
        let mut new = self.clone();
        for entry in file::entries(text)? {
            new.define(&entry.name, &entry.check).map_err(|e| match entry.line {
                Some(line) => PolicyError::Line { line, why: format!("rule {:?}: {e}", entry.name) },
                None => e.in_rule(&entry.name),
            })?;
        }
        *self = new.without_cycles()?;
        Ok(())
    }

    /// Whether the caller of `cx` may do what `rule` protects to `target`. An unknown rule is judged by the rule
    /// `default`; without one the answer is no.
    pub fn allows(&self, rule: &str, cx: &RequestContext, target: &Target) -> bool {
        let id = self.ids.get(rule).copied().unwrap_or(DEFAULT_ID);
        let scopes = &self.rules[id].scope_types;
        (scopes.is_empty() || scopes.contains(&ScopeType::of(cx)))
            && self.holds(id, &Facts { token: cx.token.as_deref(), target })
    }

    /// Names of the rules that are defined, in the order of definition.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|r| r.check.is_some()).map(|r| r.name.as_str())
    }

    /// What a rule protects, as in `GET /servers/{server_id}`; empty for aliases.
    pub fn operations(&self, rule: &str) -> &[String] {
        self.ids.get(rule).map_or(&[], |id| &self.rules[*id].operations)
    }

    /// The check of a rule as it was written; `None` if nobody defines it.
    pub fn text(&self, rule: &str) -> Option<&str> {
        let rule = &self.rules[*self.ids.get(rule)?];
        rule.check.is_some().then_some(rule.text.as_str())
    }

    /// Kinds of token scope that may use a rule at all; empty: any.
    pub fn scope_types(&self, rule: &str) -> &[ScopeType] {
        self.ids.get(rule).map_or(&[], |id| &self.rules[*id].scope_types)
    }

    /// Names that some rule refers to and nobody defines: probably a slip in an operator's file.
    pub fn undefined(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().skip(1).filter(|r| r.check.is_none()).map(|r| r.name.as_str())
    }

    fn empty() -> Self {
        let mut new = Self { rules: Vec::new(), ids: HashMap::new() };
        let id = new.id_of(DEFAULT);
        debug_assert_eq!(id, DEFAULT_ID);
        new
    }

    fn define(&mut self, name: &str, check: &str) -> Result<RuleId, NotACheck> {
        let id = self.id_of(name);
        let parsed = parse::check(check, &mut |referred| self.id_of(referred))?;
        self.rules[id].check = Some(parsed);
        self.rules[id].text = check.to_owned();
        Ok(id)
    }

    fn id_of(&mut self, name: &str) -> RuleId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.rules.len();
        self.rules.push(Rule {
            name: name.to_owned(),
            check: None,
            text: String::new(),
            scope_types: Vec::new(),
            operations: Vec::new(),
        });
        self.ids.insert(name.to_owned(), id);
        id
    }

    fn holds(&self, id: RuleId, facts: &Facts<'_>) -> bool {
        let check = self.rules[id].check.as_ref().or(self.rules[DEFAULT_ID].check.as_ref());
        check.is_some_and(|c| c.holds(facts, &|id| self.holds(id, facts)))
    }

    /// Walks every chain of references once, in depth.
    fn without_cycles(self) -> Result<Self, PolicyError> {
        let mut done = vec![false; self.rules.len()];
        for id in 0..self.rules.len() {
            self.walk(id, &mut Vec::new(), &mut done)?;
        }
        Ok(self)
    }

    fn walk(&self, id: RuleId, path: &mut Vec<RuleId>, done: &mut [bool]) -> Result<(), PolicyError> {
        if done[id] {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|p| *p == id) {
            let circle = path[start..].iter().chain([&id]);
            return Err(PolicyError::Cycle(circle.map(|id| self.rules[*id].name.clone()).collect()));
        }
        path.push(id);
        match &self.rules[id].check {
            Some(check) => check.each_rule(&mut |next| self.walk(next, path, done))?,
            None if id != DEFAULT_ID => self.walk(DEFAULT_ID, path, done)?,
            None => {}
        }
        path.pop();
        done[id] = true;
        Ok(())
    }
}

impl NotACheck {
    fn in_rule(self, rule: &str) -> PolicyError {
        PolicyError::Check { rule: rule.to_owned(), why: self.to_string() }
    }
}

#[cfg(test)]
mod tests;
