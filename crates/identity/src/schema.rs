//! Request schemas, by `resource.verb`.

use crate::Error;
use platform_http::Query;
use platform_http::schema::Schema;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;

static SCHEMAS: LazyLock<HashMap<String, Schema>> = LazyLock::new(|| {
    let all: HashMap<String, Value> = serde_json::from_str(include_str!("../data/schemas.json")).unwrap_or_default();
    all.into_iter().map(|(name, schema)| (name, Schema::from_value(schema))).collect()
});

/// Holds a body against the schema of that name; the error is Keystone's 400.
pub(crate) fn check(name: &str, body: &Value) -> Result<(), Error> {
    let Some(schema) = SCHEMAS.get(name) else { return Ok(()) };
    match schema.first_finding(body) {
        None => Ok(()),
        Some(f) => Err(Error::bad_request(f.in_body())),
    }
}

/// Holds a query against the schema of that name. Of a repeated parameter the last counts.
pub(crate) fn check_query(name: &str, query: &Query) -> Result<(), Error> {
    check(name, &query.0.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<Map<_, _>>().into())
}

pub(crate) fn exists(name: &str) -> bool {
    SCHEMAS.contains_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn all_schemas_compile() {
        assert!(SCHEMAS.len() > 25);
        for (name, schema) in SCHEMAS.iter() {
            assert_eq!(schema.compile(), Ok(()), "{name}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_parameter_counts() {
        check_query("users.list", &Query::parse("enabled=maybe&enabled=1&made_up=x")).unwrap();
        let error = check_query("users.list", &Query::parse("enabled=1&enabled=maybe")).unwrap_err().to_string();
        assert!(error.starts_with("Invalid input for field/attribute enabled. Value: maybe. "), "{error}");
    }

    #[test]
    fn a_finding_names_the_field() {
        let error = check("users.create", &json!({"user": {"name": ""}})).unwrap_err().to_string();
        assert!(error.starts_with("Invalid input for field/attribute name. Value: . "), "{error}");
        check("users.create", &json!({"user": {"name": "a", "email": "made up"}})).unwrap();
        let error = check("users.create", &json!({})).unwrap_err().to_string();
        assert!(error.contains("'user' is a required property"), "{error}");
    }
}
