//! Holds a value against the rules and stops at the first that it breaks.

use super::number::PyNumber;
use super::rule::{Node, Pattern, Rule, Type};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

/// A rule, and the part of the value that breaks it. The text is made later, if anybody asks.
#[derive(Debug)]
pub(super) struct Violation<'v, 's> {
    pub(super) value: &'v Value,
    pub(super) rule: &'s Rule,
    /// Keys and indexes, from the inside out.
    pub(super) path: Vec<String>,
}

pub(super) type Checked<'v, 's> = Result<(), Violation<'v, 's>>;

static NEVER: Rule = Rule::Never;

impl Node {
    pub(super) fn check<'v, 's>(&'s self, value: &'v Value) -> Checked<'v, 's> {
        match self {
            Self::Any => Ok(()),
            Self::Never => Err(Violation { value, rule: &NEVER, path: Vec::new() }),
            Self::Rules(rules) => rules.iter().try_for_each(|rule| rule.check(value)),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        self.check(value).is_ok()
    }

    /// Checks a part; the path to it is noted if it fails.
    fn descend<'v, 's>(&'s self, value: &'v Value, step: impl ToString) -> Checked<'v, 's> {
        self.check(value).map_err(|mut violation| {
            violation.path.push(step.to_string());
            violation
        })
    }
}

impl Rule {
    fn check<'v, 's>(&'s self, value: &'v Value) -> Checked<'v, 's> {
        match (self, value) {
            (Self::AllOf(nodes), _) => nodes.iter().try_for_each(|node| node.check(value)),
            (Self::If { test, then, otherwise }, _) => if test.accepts(value) { then } else { otherwise }.check(value),
            (Self::Properties(properties), Value::Object(object)) => properties
                .iter()
                .filter_map(|(name, node)| Some((name, node, object.get(name)?)))
                .try_for_each(|(name, node, field)| node.descend(field, name)),
            (Self::PatternProperties(patterns), Value::Object(object)) => check_patterns(patterns, object),
            (Self::AdditionalProperties(known, node @ Node::Rules(_)), Value::Object(object)) => {
                known.extras(object).into_iter().try_for_each(|extra| node.descend(&object[extra], extra))
            }
            (Self::PrefixItems(nodes), Value::Array(items)) => {
                nodes.iter().zip(items).enumerate().try_for_each(|(i, (node, item))| node.descend(item, i))
            }
            (Self::Items { first, node: node @ Node::Rules(_) }, Value::Array(items)) => {
                items.iter().enumerate().skip(*first).try_for_each(|(i, item)| node.descend(item, i))
            }
            _ if self.holds(value) => Ok(()),
            _ => Err(Violation { value, rule: self, path: Vec::new() }),
        }
    }

    /// Rules that speak about the value itself, not its parts. A rule about another type of value holds.
    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Never, _) => false,
            (Self::Type(types), _) => types.iter().any(|t| t.is_of(value)),
            (Self::Enum(values), _) => values.iter().any(|v| equal(v, value)),
            (Self::Const(want), _) => equal(want, value),
            (Self::Format(format), _) => format.accepts(value),
            (Self::Minimum(min), _) => !is(PyNumber::read(value), Ordering::Less, *min),
            (Self::Maximum(max), _) => !is(PyNumber::read(value), Ordering::Greater, *max),
            (Self::ExclusiveMinimum(min), Value::Number(n)) => PyNumber::of(n).compare(*min) == Some(Ordering::Greater),
            (Self::ExclusiveMaximum(max), Value::Number(n)) => PyNumber::of(n).compare(*max) == Some(Ordering::Less),
            (Self::Pattern(pattern), Value::String(s)) => pattern.found_in(s),
            (Self::MinLength(min), Value::String(s)) => s.chars().take(*min).count() >= *min,
            (Self::MaxLength(max), Value::String(s)) => s.len() <= *max || s.chars().nth(*max).is_none(),
            (Self::AnyOf(nodes), _) => nodes.iter().any(|n| n.accepts(value)),
            (Self::OneOf(nodes), _) => nodes.iter().filter(|(n, _)| n.accepts(value)).take(2).count() == 1,
            (Self::Not(node, _), _) => !node.accepts(value),
            (Self::PropertyNames(node), Value::Object(o)) => {
                o.keys().all(|key| node.accepts(&Value::from(key.as_str())))
            }
            (Self::Required(names), Value::Object(o)) => names.iter().all(|name| o.contains_key(name)),
            (Self::DependentRequired(rules), Value::Object(o)) => missing_dependency(rules, o).is_none(),
            (Self::AdditionalProperties(known, Node::Never), Value::Object(o)) => known.extras(o).is_empty(),
            (Self::MinProperties(min), Value::Object(o)) => o.len() >= *min,
            (Self::MaxProperties(max), Value::Object(o)) => o.len() <= *max,
            (Self::Items { first, node: Node::Never }, Value::Array(a)) => a.len() <= *first,
            (Self::MinItems(min), Value::Array(a)) => a.len() >= *min,
            (Self::MaxItems(max), Value::Array(a)) => a.len() <= *max,
            (Self::UniqueItems, Value::Array(a)) => {
                let mut seen = HashSet::new();
                a.iter().all(|item| seen.insert(canonical(item)))
            }
            _ => true,
        }
    }
}

/// All values of one pattern before the next pattern.
fn check_patterns<'v, 's>(patterns: &'s [(Pattern, Node)], object: &'v Map<String, Value>) -> Checked<'v, 's> {
    patterns.iter().try_for_each(|(pattern, node)| {
        object.iter().filter(|(key, _)| pattern.found_in(key)).try_for_each(|(key, field)| node.descend(field, key))
    })
}

fn is(number: Option<PyNumber>, order: Ordering, limit: PyNumber) -> bool {
    number.is_some_and(|n| n.compare(limit) == Some(order))
}

/// The property that is there, and the one it needs.
pub(super) fn missing_dependency<'s>(
    rules: &'s [(String, Vec<String>)],
    object: &Map<String, Value>,
) -> Option<(&'s str, &'s str)> {
    rules
        .iter()
        .filter(|(name, _)| object.contains_key(name))
        .flat_map(|(name, needs)| needs.iter().map(move |need| (name.as_str(), need.as_str())))
        .find(|(_, need)| !object.contains_key(*need))
}

impl Type {
    fn is_of(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null)
            | (Self::Boolean, Value::Bool(_))
            | (Self::Number, Value::Number(_))
            | (Self::String, Value::String(_))
            | (Self::Array, Value::Array(_))
            | (Self::Object, Value::Object(_)) => true,
            // 1.0 is an integer
            (Self::Integer, Value::Number(n)) => !n.is_f64() || n.as_f64().is_some_and(|f| f.fract() == 0.0),
            _ => false,
        }
    }
}

/// As Python compares, but `True` is not 1.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => PyNumber::of(a).compare(PyNumber::of(b)) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// A text that is the same for equal values: keys sorted, whole floats as integers.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(n) => match (PyNumber::of(n), PyNumber::read(value)) {
            (PyNumber::Float(f), Some(int)) if f.fract() == 0.0 => int.repr(),
            (number, _) => number.repr(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(object) => {
            let sorted: BTreeMap<_, _> = object.iter().map(|(key, field)| (key, canonical(field))).collect();
            format!("{sorted:?}")
        }
        other => other.to_string(),
    }
}
