//! Checks request bodies and query strings against JSON Schemas, in Nova's dialect and Nova's words.
//!
//! Clients, and their tests, read the text of a 400. It comes from python-jsonschema ("'' should be non-empty") inside
//! a sentence of Nova's ("Invalid input for field/attribute name. Value: . …"), so the checks and their order follow
//! python-jsonschema 4 keyword by keyword, and the *first* broken one is reported, as `Validator.validate` does.
//! A general library has neither its words nor its order, nor Nova's two changes: `minimum` and `maximum` also apply
//! to text that Python's `int()` or `float()` would read, and formats of its own (see [`format`]).

mod check;
mod depth;
mod format;
mod message;
mod number;
mod pyrepr;
mod rule;
mod set;
mod strip;

pub use depth::json_depth_within;
pub use pyrepr::{py_repr, py_str};
pub use set::SchemaSet;

use rule::{Node, Properties};
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// One schema, compiled at its first use.
#[derive(Debug)]
pub struct Schema {
    source: Source,
    compiled: OnceLock<Result<Compiled, String>>,
}

#[derive(Debug)]
enum Source {
    Text(&'static str),
    Value(Value),
}

#[derive(Debug)]
struct Compiled {
    root: Node,
    /// What the outermost object may hold.
    properties: Properties,
    /// Whether it may hold anything else.
    open: bool,
}

/// The first thing wrong with a value, in parts, for services whose sentences differ from Nova's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Keys and indexes from the outside in; empty if the whole value is meant.
    pub path: Vec<String>,
    /// The offending part, as Python's `str()` prints it.
    pub value: String,
    /// python-jsonschema's words.
    pub message: String,
    /// A whole sentence of Nova's that takes the place of everything else: names are refused with it.
    pub sentence: Option<String>,
}

impl Finding {
    /// The sentence for a body: names the innermost key or index.
    pub fn in_body(self) -> String {
        let field = self.path.last().cloned();
        self.say("field/attribute", field)
    }

    /// The sentence for a query string: names the parameter.
    pub fn in_query(self) -> String {
        let field = self.path.first().cloned();
        self.say("query parameters", field)
    }

    fn say(self, what: &str, field: Option<String>) -> String {
        match (self.sentence, field) {
            (Some(sentence), _) => sentence,
            (None, Some(field)) => {
                format!("Invalid input for {what} {field}. Value: {}. {}", self.value, self.message)
            }
            (None, None) => self.message,
        }
    }
}

impl Schema {
    /// Nothing is read before the first check.
    pub const fn new(text: &'static str) -> Self {
        Self { source: Source::Text(text), compiled: OnceLock::new() }
    }

    pub const fn from_value(schema: Value) -> Self {
        Self { source: Source::Value(schema), compiled: OnceLock::new() }
    }

    /// What is wrong with the schema itself. A service's tests call it for each schema it ships.
    pub fn compile(&self) -> Result<(), String> {
        self.compiled().map(|_| ()).map_err(Clone::clone)
    }

    /// Checks a request's body; the error is the text of the 400.
    ///
    /// # Panics
    /// If the schema does not compile.
    pub fn check_body(&self, body: &Value) -> Result<(), String> {
        self.first_finding(body).map_or(Ok(()), |f| Err(f.in_body()))
    }

    /// Checks decoded query parameters, repeated ones included; the error is the text of the 400.
    ///
    /// # Panics
    /// If the schema does not compile.
    pub fn check_query(&self, query: &[(String, String)]) -> Result<(), String> {
        let mut lists: Map<String, Value> = Map::new();
        for (key, value) in query {
            match lists.get_mut(key) {
                Some(Value::Array(list)) => list.push(value.as_str().into()),
                _ => {
                    lists.insert(key.clone(), Value::from(vec![value.as_str()]));
                }
            }
        }
        self.first_finding(&Value::Object(lists)).map_or(Ok(()), |f| Err(f.in_query()))
    }

    /// Drops what nobody knows from a body, wherever the schema would refuse it; what has names by a pattern stays. For
    /// clients older than the schema, before [`Schema::check_body`].
    ///
    /// # Panics
    /// If the schema does not compile.
    pub fn strip_body(&self, body: &mut Value) {
        self.ready().root.strip(body);
    }

    /// The first thing wrong with `value`, if any.
    ///
    /// # Panics
    /// If the schema does not compile.
    pub fn first_finding(&self, value: &Value) -> Option<Finding> {
        self.ready().root.check(value).err().map(|v| v.into_finding())
    }

    /// Parameters that the schema names. Empty if it takes any by pattern only.
    ///
    /// # Panics
    /// If the schema does not compile.
    pub fn known_query_keys(&self) -> impl Iterator<Item = &str> {
        self.ready().properties.names.iter().map(String::as_str)
    }

    /// Drops parameters nobody knows, as Nova does up to 2.74: only where the schema lets any pass. To be called
    /// after [`Schema::check_query`].
    ///
    /// # Panics
    /// If the schema does not compile.
    pub fn strip_query(&self, query: &mut Vec<(String, String)>) {
        let compiled = self.ready();
        if compiled.open {
            query.retain(|(key, _)| compiled.properties.know(key));
        }
    }

    fn compiled(&self) -> Result<&Compiled, &String> {
        let compile = || match &self.source {
            Source::Text(text) => serde_json::from_str(text).map_err(|e| e.to_string()).and_then(|v| Compiled::of(&v)),
            Source::Value(value) => Compiled::of(value),
        };
        self.compiled.get_or_init(compile).as_ref()
    }

    #[expect(clippy::panic, reason = "a schema that does not compile is a fault of the build, found by its tests")]
    fn ready(&self) -> &Compiled {
        self.compiled().unwrap_or_else(|why| panic!("schema does not compile: {why}"))
    }
}

impl Compiled {
    fn of(schema: &Value) -> Result<Self, String> {
        let root = Node::compile(schema)?;
        let empty = Map::new();
        let object = schema.as_object().unwrap_or(&empty);
        let open = object.get("additionalProperties") != Some(&Value::Bool(false));
        Ok(Self { root, properties: Properties::of(object)?, open })
    }
}

#[cfg(test)]
mod tests;
