//! Request schemas, by `resource.verb`.

use crate::Error;
use platform_http::schema::Schema;
use serde_json::Value;
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
        Some(f) if f.path.is_empty() => Err(Error::bad_request(f.message)),
        Some(f) => Err(Error::bad_request(format!("Invalid input for field '{}': {}", f.path.join("/"), f.message))),
    }
}

pub(crate) fn exists(name: &str) -> bool {
    SCHEMAS.contains_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_schemas_compile() {
        assert!(SCHEMAS.len() > 25);
        for (name, schema) in SCHEMAS.iter() {
            assert_eq!(schema.compile(), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_finding_names_the_field() {
        let error = check("users.create", &json!({"user": {"name": ""}})).unwrap_err().to_string();
        assert!(error.starts_with("Invalid input for field 'user/name': "), "{error}");
        check("users.create", &json!({"user": {"name": "a", "email": "made up"}})).unwrap();
        let error = check("users.create", &json!({})).unwrap_err().to_string();
        assert!(error.contains("'user' is a required property"), "{error}");
    }
}
