//! A schema, compiled: one [`Rule`] a keyword, in the order in which Nova's own schemas write them. That order decides
//! which of several faults is reported.

use super::format::Format;
use super::number::PyNumber;
use fancy_regex::Regex;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

#[derive(Debug)]
pub(super) enum Node {
    /// `true`
    Any,
    /// `false`
    Never,
    Rules(Vec<Rule>),
}

#[derive(Debug)]
pub(super) enum Rule {
    /// The value `false` in the place of a schema.
    Never,
    Type(Vec<Type>),
    Enum(Vec<Value>),
    Const(Value),
    Pattern(Pattern),
    Format(Format),
    Minimum(PyNumber),
    Maximum(PyNumber),
    ExclusiveMinimum(PyNumber),
    ExclusiveMaximum(PyNumber),
    MinLength(usize),
    MaxLength(usize),
    AllOf(Vec<Node>),
    AnyOf(Vec<Node>),
    /// With the schemas as they were written, which a message shows.
    OneOf(Vec<(Node, Value)>),
    Not(Node, Value),
    If {
        test: Node,
        then: Node,
        otherwise: Node,
    },
    Properties(Vec<(String, Node)>),
    PatternProperties(Vec<(Pattern, Node)>),
    PropertyNames(Node),
    Required(Vec<String>),
    DependentRequired(Vec<(String, Vec<String>)>),
    AdditionalProperties(Properties, Node),
    MinProperties(usize),
    MaxProperties(usize),
    PrefixItems(Vec<Node>),
    /// `first`: how many items `prefixItems` has dealt with.
    Items {
        first: usize,
        node: Node,
    },
    MinItems(usize),
    MaxItems(usize),
    UniqueItems,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

pub(super) const TYPES: &[(&str, Type)] = &[
    ("null", Type::Null),
    ("boolean", Type::Boolean),
    ("integer", Type::Integer),
    ("number", Type::Number),
    ("string", Type::String),
    ("array", Type::Array),
    ("object", Type::Object),
];

/// A regular expression with its text, found anywhere in a value.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    regex: Arc<Regex>,
}

/// Names and patterns of the properties an object may have.
#[derive(Debug)]
pub(super) struct Properties {
    pub(super) names: BTreeSet<String>,
    pub(super) patterns: Vec<Pattern>,
}

type Build = fn(&Value, &Map<String, Value>) -> Result<Rule, String>;

/// Keywords in the order of checking.
const KEYWORDS: &[(&str, Build)] = &[
    ("type", |v, _| types(v)),
    ("enum", |v, _| Ok(Rule::Enum(array(v)?.clone()))),
    ("const", |v, _| Ok(Rule::Const(v.clone()))),
    ("pattern", |v, _| Ok(Rule::Pattern(Pattern::new(text(v)?)?))),
    ("format", |v, _| Ok(Format::named(text(v)?).map_or(Rule::AllOf(Vec::new()), Rule::Format))),
    ("minimum", |v, _| Ok(Rule::Minimum(number(v)?))),
    ("maximum", |v, _| Ok(Rule::Maximum(number(v)?))),
    ("exclusiveMinimum", |v, _| Ok(Rule::ExclusiveMinimum(number(v)?))),
    ("exclusiveMaximum", |v, _| Ok(Rule::ExclusiveMaximum(number(v)?))),
    ("minLength", |v, _| Ok(Rule::MinLength(count(v)?))),
    ("maxLength", |v, _| Ok(Rule::MaxLength(count(v)?))),
    ("allOf", |v, _| Ok(Rule::AllOf(nodes(v)?))),
    ("anyOf", |v, _| Ok(Rule::AnyOf(nodes(v)?))),
    ("oneOf", |v, _| Ok(Rule::OneOf(nodes(v)?.into_iter().zip(array(v)?.iter().cloned()).collect()))),
    ("not", |v, _| Ok(Rule::Not(Node::compile(v)?, v.clone()))),
    ("if", |v, all| {
        let branch = |key| all.get(key).map_or(Ok(Node::Any), Node::compile);
        Ok(Rule::If { test: Node::compile(v)?, then: branch("then")?, otherwise: branch("else")? })
    }),
    ("properties", |v, _| Ok(Rule::Properties(each(v, |name, node| Ok((name.to_owned(), Node::compile(node)?)))?))),
    ("patternProperties", |v, _| {
        Ok(Rule::PatternProperties(each(v, |pattern, node| Ok((Pattern::new(pattern)?, Node::compile(node)?)))?))
    }),
    ("propertyNames", |v, _| Ok(Rule::PropertyNames(Node::compile(v)?))),
    ("required", |v, _| Ok(Rule::Required(texts(v)?))),
    ("dependentRequired", |v, _| {
        Ok(Rule::DependentRequired(each(v, |name, needs| Ok((name.to_owned(), texts(needs)?)))?))
    }),
    ("additionalProperties", |v, all| Ok(Rule::AdditionalProperties(Properties::of(all)?, Node::compile(v)?))),
    ("minProperties", |v, _| Ok(Rule::MinProperties(count(v)?))),
    ("maxProperties", |v, _| Ok(Rule::MaxProperties(count(v)?))),
    ("prefixItems", |v, _| Ok(Rule::PrefixItems(nodes(v)?))),
    ("items", |v, all| {
        let first = all.get("prefixItems").map_or(Ok(0), |p| array(p).map(Vec::len))?;
        Ok(Rule::Items { first, node: Node::compile(v)? })
    }),
    ("minItems", |v, _| Ok(Rule::MinItems(count(v)?))),
    ("maxItems", |v, _| Ok(Rule::MaxItems(count(v)?))),
    ("uniqueItems", |v, _| Ok(if v == &Value::Bool(true) { Rule::UniqueItems } else { Rule::AllOf(Vec::new()) })),
];

/// Keywords that mean something and that no schema of ours has. Anything else unknown is a remark, as the standard says.
const UNSUPPORTED: &[&str] = &[
    "$ref",
    "$dynamicRef",
    "contains",
    "dependencies",
    "dependentSchemas",
    "multipleOf",
    "unevaluatedItems",
    "unevaluatedProperties",
];

impl Node {
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        let keywords = match schema {
            Value::Bool(true) => return Ok(Self::Any),
            Value::Bool(false) => return Ok(Self::Never),
            Value::Object(keywords) => keywords,
            other => return Err(format!("a schema is an object or a boolean, not {other}")),
        };
        if let Some(keyword) = UNSUPPORTED.iter().find(|k| keywords.contains_key(**k)) {
            return Err(format!("{keyword} is not supported"));
        }
        let present = KEYWORDS.iter().filter_map(|(name, build)| Some((name, build, keywords.get(*name)?)));
        let rules = present.map(|(name, build, value)| build(value, keywords).map_err(|e| format!("{name}: {e}")));
        Ok(Self::Rules(rules.collect::<Result<_, _>>()?))
    }
}

impl Pattern {
    /// Schemas repeat few patterns many times, one of them of several kilobytes: each is compiled once.
    fn new(text: &str) -> Result<Self, String> {
        static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Regex>>>> = LazyLock::new(Mutex::default);
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        let regex = match compiled.get(text) {
            Some(regex) => regex.clone(),
            None => {
                let regex = Arc::new(Regex::new(text).map_err(|e| format!("{text:?}: {e}"))?);
                compiled.insert(text.to_owned(), regex.clone());
                regex
            }
        };
        Ok(Self { text: text.to_owned(), regex })
    }

    /// Python's `re.search`, but for `$`: here it is the very end, not also the place before a last line feed.
    pub(super) fn found_in(&self, text: &str) -> bool {
        self.regex.is_match(text).unwrap_or(false)
    }

    /// Python's `re.match`: at the start of the text.
    fn matches(&self, text: &str) -> bool {
        self.regex.find(text).is_ok_and(|m| m.is_some_and(|m| m.start() == 0))
    }
}

impl Properties {
    pub(super) fn of(schema: &Map<String, Value>) -> Result<Self, String> {
        let keys = |keyword: &str| schema.get(keyword).and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let patterns = keys("patternProperties").map(|p| Pattern::new(p)).collect::<Result<_, _>>()?;
        Ok(Self { names: keys("properties").cloned().collect(), patterns })
    }

    pub(super) fn know(&self, key: &str) -> bool {
        self.names.contains(key) || self.patterns.iter().any(|p| p.matches(key))
    }

    /// Keys of an object that nothing names, in order of the alphabet.
    pub(super) fn extras<'v>(&self, object: &'v Map<String, Value>) -> Vec<&'v str> {
        let is_extra = |key: &&str| !self.names.contains(*key) && !self.patterns.iter().any(|p| p.found_in(key));
        let mut extras: Vec<_> = object.keys().map(String::as_str).filter(is_extra).collect();
        extras.sort_unstable();
        extras
    }
}

fn types(v: &Value) -> Result<Rule, String> {
    let names = if v.is_string() { vec![text(v)?.to_owned()] } else { texts(v)? };
    let named = |name: &String| {
        TYPES.iter().find(|(n, _)| n == name).map(|(_, t)| *t).ok_or_else(|| format!("no type is called {name:?}"))
    };
    Ok(Rule::Type(names.iter().map(named).collect::<Result<_, _>>()?))
}

fn array(v: &Value) -> Result<&Vec<Value>, String> {
    v.as_array().ok_or_else(|| format!("expected an array, found {v}"))
}

fn text(v: &Value) -> Result<&str, String> {
    v.as_str().ok_or_else(|| format!("expected text, found {v}"))
}

fn texts(v: &Value) -> Result<Vec<String>, String> {
    array(v)?.iter().map(|t| text(t).map(str::to_owned)).collect()
}

fn count(v: &Value) -> Result<usize, String> {
    v.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| format!("expected a count, found {v}"))
}

fn number(v: &Value) -> Result<PyNumber, String> {
    v.as_number().map(PyNumber::of).ok_or_else(|| format!("expected a number, found {v}"))
}

fn nodes(v: &Value) -> Result<Vec<Node>, String> {
    array(v)?.iter().map(Node::compile).collect()
}

fn each<T>(v: &Value, build: impl Fn(&str, &Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    let object = v.as_object().ok_or_else(|| format!("expected an object, found {v}"))?;
    object.iter().map(|(name, value)| build(name, value).map_err(|e| format!("{name}: {e}"))).collect()
}
