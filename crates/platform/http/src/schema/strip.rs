//! Leaves out what a schema does not know: Nova's `_soft_validate_additional_properties`, for its API before
//! microversions.

use super::rule::{Node, Rule};
use serde_json::Value;

impl Node {
    pub(super) fn strip(&self, value: &mut Value) {
        if let Self::Rules(rules) = self {
            rules.iter().for_each(|rule| rule.strip(value));
        }
    }

    /// What is left if it is acceptable then.
    fn stripped(&self, value: &Value) -> Option<Value> {
        let mut value = value.clone();
        self.strip(&mut value);
        self.check(&value).is_ok().then_some(value)
    }
}

impl Rule {
    fn strip(&self, value: &mut Value) {
        match (self, value) {
            (Self::AllOf(nodes), value) => nodes.iter().for_each(|node| node.strip(value)),
            (Self::AnyOf(nodes), value) => replace(value, nodes.iter()),
            (Self::OneOf(nodes), value) => replace(value, nodes.iter().map(|(node, _)| node)),
            (Self::Properties(properties), Value::Object(object)) => {
                for (name, node) in properties {
                    if let Some(field) = object.get_mut(name) {
                        node.strip(field);
                    }
                }
            }
            (Self::PatternProperties(patterns), Value::Object(object)) => {
                for (pattern, node) in patterns {
                    object.iter_mut().filter(|(key, _)| pattern.found_in(key)).for_each(|(_, field)| node.strip(field));
                }
            }
            (Self::AdditionalProperties(known, Node::Never), Value::Object(object)) if known.patterns.is_empty() => {
                object.retain(|key, _| known.names.contains(key));
            }
            (Self::PrefixItems(nodes), Value::Array(items)) => {
                nodes.iter().zip(items).for_each(|(node, item)| node.strip(item));
            }
            (Self::Items { first, node }, Value::Array(items)) => {
                items.iter_mut().skip(*first).for_each(|item| node.strip(item));
            }
            _ => {}
        }
    }
}

/// By what the first leaves that takes it.
fn replace<'s>(value: &mut Value, mut nodes: impl Iterator<Item = &'s Node>) {
    if let Some(stripped) = nodes.find_map(|node| node.stripped(value)) {
        *value = stripped;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Schema;
    use serde_json::{Value, json};

    fn stripped(schema: Value, mut body: Value) -> Value {
        Schema::from_value(schema).strip_body(&mut body);
        body
    }

    #[test]
    fn what_nobody_knows_goes_at_any_depth() {
        let inner = json!({"type": "object", "properties": {"id": {}}, "additionalProperties": false});
        let schema = json!({
            "type": "object",
            "properties": {"one": inner, "many": {"type": "array", "items": inner}, "any": {"anyOf": [{"type": "null"}, inner]}},
            "additionalProperties": false,
        });
        let body = json!({"x": 1, "one": {"id": 1, "x": 2}, "many": [{"x": 3}, {"id": 2}], "any": {"id": 3, "x": 4}});
        assert_eq!(stripped(schema, body), json!({"one": {"id": 1}, "many": [{}, {"id": 2}], "any": {"id": 3}}));
    }

    #[test]
    fn names_by_pattern_and_open_objects_stay() {
        let schema = json!({
            "type": "object",
            "properties": {
                "metadata": {"type": "object", "patternProperties": {"^[a-z]+$": {}}, "additionalProperties": false},
                "hints": {"type": "object", "properties": {"group": {}}, "additionalProperties": true},
            },
        });
        let body = json!({"metadata": {"A": 1, "b": 2}, "hints": {"x": 3}, "y": 4});
        assert_eq!(stripped(schema.clone(), body.clone()), body);
        assert!(Schema::from_value(schema).check_body(&body).is_err(), "and what the pattern refuses is refused");
    }
}
