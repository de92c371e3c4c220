//! What python-jsonschema 4 says about a broken rule.

use super::Finding;
use super::check::{Violation, missing_dependency};
use super::number::PyNumber;
use super::pyrepr::{self, py_repr, py_str};
use super::rule::{Properties, Rule, TYPES, Type};
use serde_json::Value;

impl Violation<'_, '_> {
    pub(super) fn into_finding(mut self) -> Finding {
        self.path.reverse();
        let sentence = match self.rule {
            Rule::Format(format) => format.name_reason(),
            _ => None,
        };
        Finding {
            value: py_str(self.value),
            message: self.rule.message(self.value),
            sentence: sentence
                .map(|reason| format!("An invalid 'name' value was provided. The name must be: {reason}")),
            path: self.path,
        }
    }
}

impl Rule {
    /// Only for a value that breaks the rule.
    fn message(&self, value: &Value) -> String {
        let v = || py_repr(value);
        let number = || PyNumber::read(value).map_or_else(v, PyNumber::repr);
        match self {
            Self::Never => format!("False schema does not allow {}", v()),
            Self::Type(types) => format!("{} is not of type {}", v(), type_names(types)),
            Self::Enum(values) => format!("{} is not one of {}", v(), py_repr(&Value::Array(values.clone()))),
            Self::Const(want) => format!("{} was expected", py_repr(want)),
            Self::Pattern(pattern) => format!("{} does not match {}", v(), pyrepr::text(&pattern.text)),
            Self::Format(format) => format!("{} is not a {}", v(), pyrepr::text(format.name())),
            Self::Minimum(min) => format!("{} is less than the minimum of {}", number(), min.repr()),
            Self::Maximum(max) => format!("{} is greater than the maximum of {}", number(), max.repr()),
            Self::ExclusiveMinimum(min) => format!("{} is less than or equal to the minimum of {}", v(), min.repr()),
            Self::ExclusiveMaximum(max) => {
                format!("{} is greater than or equal to the maximum of {}", v(), max.repr())
            }
            Self::MinLength(1) | Self::MinItems(1) | Self::MinProperties(1) => format!("{} should be non-empty", v()),
            Self::MinLength(_) | Self::MinItems(_) => format!("{} is too short", v()),
            Self::MaxLength(0) | Self::MaxItems(0) | Self::MaxProperties(0) => {
                format!("{} is expected to be empty", v())
            }
            Self::MaxLength(_) | Self::MaxItems(_) => format!("{} is too long", v()),
            Self::MinProperties(_) => format!("{} does not have enough properties", v()),
            Self::MaxProperties(_) => format!("{} has too many properties", v()),
            Self::UniqueItems => format!("{} has non-unique elements", v()),
            Self::AnyOf(_) => format!("{} is not valid under any of the given schemas", v()),
            Self::OneOf(_) => self.one_of(value),
            Self::Not(_, schema) => format!("{} should not be valid under {}", v(), py_repr(schema)),
            Self::Required(names) => {
                let missing = names.iter().find(|name| value.get(name.as_str()).is_none());
                format!("{} is a required property", missing.map(|m| pyrepr::text(m)).unwrap_or_default())
            }
            Self::DependentRequired(rules) => {
                let missing = value.as_object().and_then(|o| missing_dependency(rules, o));
                let (name, need) = missing.unwrap_or_default();
                format!("{} is a dependency of {}", pyrepr::text(need), pyrepr::text(name))
            }
            Self::PropertyNames(node) => {
                let names = value.as_object().into_iter().flat_map(|o| o.keys());
                let broken = names.map(|name| Value::from(name.as_str()));
                let message = |name: Value| node.check(&name).err().map(|v| v.rule.message(v.value));
                broken.filter_map(message).next().unwrap_or_default()
            }
            Self::AdditionalProperties(known, _) => additional(known, value),
            Self::Items { first, .. } => too_many(*first, value),
            // rules whose parts are broken, never they themselves
            Self::AllOf(_)
            | Self::If { .. }
            | Self::Properties(_)
            | Self::PatternProperties(_)
            | Self::PrefixItems(_) => String::new(),
        }
    }

    /// None of them, or several: then the first one that fits comes last, as Python lists them.
    fn one_of(&self, value: &Value) -> String {
        let Self::OneOf(nodes) = self else { return String::new() };
        let mut valid: Vec<_> = nodes.iter().filter(|(n, _)| n.check(value).is_ok()).map(|(_, s)| py_repr(s)).collect();
        if valid.is_empty() {
            return format!("{} is not valid under any of the given schemas", py_repr(value));
        }
        valid.rotate_left(1);
        format!("{} is valid under each of {}", py_repr(value), valid.join(", "))
    }
}

fn type_names(types: &[Type]) -> String {
    pyrepr::list(types.iter().filter_map(|t| TYPES.iter().find(|(_, of)| of == t).map(|(name, _)| *name)))
}

fn additional(known: &Properties, value: &Value) -> String {
    let extras = value.as_object().map(|o| known.extras(o)).unwrap_or_default();
    let one = extras.len() == 1;
    let joined = pyrepr::list(extras);
    if known.patterns.is_empty() {
        let verb = if one { "was" } else { "were" };
        return format!("Additional properties are not allowed ({joined} {verb} unexpected)");
    }
    let verb = if one { "does" } else { "do" };
    let mut patterns: Vec<_> = known.patterns.iter().map(|p| p.text.as_str()).collect();
    patterns.sort_unstable();
    format!("{joined} {verb} not match any of the regexes: {}", pyrepr::list(patterns))
}

fn too_many(first: usize, value: &Value) -> String {
    let rest = value.as_array().and_then(|items| items.get(first..)).unwrap_or_default();
    let shown = if let [only] = rest { py_repr(only) } else { py_repr(&Value::from(rest.to_vec())) };
    let item = if first == 1 { "item" } else { "items" };
    format!("Expected at most {first} {item} but found {} extra: {shown}", rest.len())
}
