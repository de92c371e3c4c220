//! JsonFilter: hint `query`, a list like `["and", [">=", "$free_ram_mb", 1024], ["in", "$host", "a", "b"]]`.
//!
//! A query that makes no sense (unknown operator, numbers against texts) matches no host.

use crate::{Config, HostState, Request};
use serde_json::Value;
use std::cmp::Ordering;

pub(super) fn passes(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    match &request.hints.query {
        None => true,
        Some(query) => evaluate(h, query).is_some_and(|v| truth(&v)),
    }
}

/// `None`: nonsense.
fn evaluate(h: &HostState, query: &Value) -> Option<Value> {
    let Value::Array(list) = query else { return Some(query.clone()) };
    let Some((op, args)) = list.split_first() else { return Some(Value::Bool(true)) };
    let args = args.iter().map(|arg| argument(h, arg)).collect::<Option<Vec<Option<Value>>>>()?;
    // a variable without a value drops out
    let args: Vec<Value> = args.into_iter().flatten().collect();
    Some(Value::Bool(match op.as_str()? {
        "=" => compared(&args, |o| o == Ordering::Equal),
        "<" => compared(&args, |o| o == Ordering::Less),
        ">" => compared(&args, |o| o == Ordering::Greater),
        "<=" => compared(&args, |o| o != Ordering::Greater),
        ">=" => compared(&args, |o| o != Ordering::Less),
        "in" => args.split_first().is_some_and(|(first, rest)| rest.contains(first)),
        "and" => args.iter().all(truth),
        "or" => args.iter().any(truth),
        "not" => return Some(Value::Array(args.iter().map(|a| Value::Bool(!truth(a))).collect())),
        _ => return None,
    }))
}

fn argument(h: &HostState, arg: &Value) -> Option<Option<Value>> {
    match arg {
        Value::Array(_) => evaluate(h, arg).map(Some),
        Value::String(s) => Some(match s.strip_prefix('$') {
            None => Some(arg.clone()).filter(|_| !s.is_empty()),
            Some(path) => variable(h, path),
        }),
        Value::Null => Some(None),
        other => Some(Some(other.clone())),
    }
}

fn variable(h: &HostState, path: &str) -> Option<Value> {
    let mut names = path.split('.');
    let first = h.attribute(names.next()?)?;
    names.try_fold(first, |at, name| at.get(name).filter(|v| !v.is_null()).cloned())
}

/// The first against each of the others; false if there are none.
fn compared(args: &[Value], holds: fn(Ordering) -> bool) -> bool {
    let Some((first, rest)) = args.split_first() else { return false };
    !rest.is_empty() && rest.iter().all(|other| order(first, other).is_some_and(holds))
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => (a == b).then_some(Ordering::Equal),
    }
}

/// As Python sees it. Of a list (what `not` gives) one true member is enough at the end.
fn truth(v: &Value) -> bool {
    match v {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(list) => list.iter().any(truth),
        Value::Object(o) => !o.is_empty(),
    }
}
