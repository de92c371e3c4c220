use super::*;
use serde_json::json;

fn body(schema: Value, value: Value) -> Result<(), String> {
    Schema::from_value(schema).check_body(&value)
}

fn says(schema: Value, value: Value, want: &str) {
    assert_eq!(body(schema.clone(), value.clone()), Err(want.to_owned()), "{schema} against {value}");
}

/// Checks one attribute `f` and takes the constant part of the sentence away.
fn field(rule: Value, value: Value) -> Option<String> {
    let shown = py_str(&value);
    let answer = body(json!({"properties": {"f": rule}}), json!({"f": value}));
    let start = format!("Invalid input for field/attribute f. Value: {shown}. ");
    answer.err().map(|text| text.strip_prefix(&start).unwrap_or(&text).to_owned())
}

#[test]
fn every_keyword_in_pythons_words() {
    let big = "x".repeat(256);
    for (rule, value, want) in [
        (json!({"type": "string"}), json!(null), "None is not of type 'string'"),
        (json!({"type": ["integer", "string"]}), json!(true), "True is not of type 'integer', 'string'"),
        (json!({"type": "integer"}), json!(1.5), "1.5 is not of type 'integer'"),
        (json!({"enum": ["a", "b", 1]}), json!("x"), "'x' is not one of ['a', 'b', 1]"),
        (json!({"enum": [1]}), json!(true), "True is not one of [1]"),
        (json!({"const": "a"}), json!("b"), "'a' was expected"),
        (json!({"pattern": "^[0-9]+$"}), json!("x"), "'x' does not match '^[0-9]+$'"),
        (json!({"pattern": "^[0-9]+$"}), json!("1\n"), r"'1\n' does not match '^[0-9]+$'"),
        (json!({"pattern": "^(?! )[a-z ]+(?<! )$"}), json!(" a"), "' a' does not match '^(?! )[a-z ]+(?<! )$'"),
        (json!({"format": "uuid"}), json!("x"), "'x' is not a 'uuid'"),
        (json!({"format": "date-time"}), json!("x"), "'x' is not a 'date-time'"),
        (json!({"minimum": 0}), json!(-1), "-1 is less than the minimum of 0"),
        (json!({"minimum": 0}), json!("-1"), "-1 is less than the minimum of 0"),
        (json!({"maximum": 2}), json!("1_0"), "10 is greater than the maximum of 2"),
        (json!({"maximum": 2.5}), json!("2.75"), "2.75 is greater than the maximum of 2.5"),
        (json!({"exclusiveMinimum": 0}), json!(0), "0 is less than or equal to the minimum of 0"),
        (json!({"exclusiveMaximum": 1}), json!(1.0), "1.0 is greater than or equal to the maximum of 1"),
        (json!({"minLength": 1}), json!(""), "'' should be non-empty"),
        (json!({"minLength": 2}), json!("ü"), "'ü' is too short"),
        (json!({"maxLength": 255}), json!(big), &format!("'{big}' is too long")),
        (json!({"maxLength": 0}), json!("a"), "'a' is expected to be empty"),
        (json!({"allOf": [{}, {"minLength": 2}]}), json!("a"), "'a' is too short"),
        (
            json!({"anyOf": [{"type": "null"}, {"maxLength": 1}]}),
            json!("ab"),
            "'ab' is not valid under any of the given schemas",
        ),
        (
            json!({"oneOf": [{"type": "null"}, {"type": "array"}]}),
            json!({"a": 1}),
            "{'a': 1} is not valid under any of the given schemas",
        ),
        (
            json!({"oneOf": [{"minLength": 1}, {"type": "null"}, {"maxLength": 3}]}),
            json!("ab"),
            "'ab' is valid under each of {'maxLength': 3}, {'minLength': 1}",
        ),
        (json!({"not": {"type": "null"}}), json!(null), "None should not be valid under {'type': 'null'}"),
        (json!({"if": {"type": "string"}, "then": {"minLength": 2}}), json!("a"), "'a' is too short"),
        (json!({"if": {"type": "string"}, "else": {"type": "null"}}), json!(1), "1 is not of type 'null'"),
        (json!({"required": ["a", "b"]}), json!({"a": 1}), "'b' is a required property"),
        (json!({"dependentRequired": {"a": ["b"]}}), json!({"a": 1}), "'b' is a dependency of 'a'"),
        (json!({"propertyNames": {"maxLength": 1}}), json!({"a": 1, "bb": 1}), "'bb' is too long"),
        (
            json!({"additionalProperties": false, "properties": {"a": {}}}),
            json!({"a": 1, "z": 1}),
            "Additional properties are not allowed ('z' was unexpected)",
        ),
        (
            json!({"additionalProperties": false}),
            json!({"z": 1, "b": 1}),
            "Additional properties are not allowed ('b', 'z' were unexpected)",
        ),
        (
            json!({"additionalProperties": false, "patternProperties": {"^[a-z]+$": {}}}),
            json!({"A": 1}),
            "'A' does not match any of the regexes: '^[a-z]+$'",
        ),
        (json!({"minProperties": 1}), json!({}), "{} should be non-empty"),
        (json!({"minProperties": 2}), json!({}), "{} does not have enough properties"),
        (json!({"maxProperties": 1}), json!({"a": 1, "b": 2}), "{'a': 1, 'b': 2} has too many properties"),
        (json!({"minItems": 1}), json!([]), "[] should be non-empty"),
        (json!({"maxItems": 1}), json!([1, 2]), "[1, 2] is too long"),
        (json!({"uniqueItems": true}), json!(["a", "a"]), "['a', 'a'] has non-unique elements"),
        (
            json!({"uniqueItems": true}),
            json!([{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]),
            "[{'a': 1, 'b': 2}, {'b': 2.0, 'a': 1}] has non-unique elements",
        ),
        (json!({"prefixItems": [{}], "items": false}), json!([1, 2]), "Expected at most 1 item but found 1 extra: 2"),
    ] {
        assert_eq!(field(rule.clone(), value.clone()).as_deref(), Some(want), "{rule} against {value}");
    }
}

#[test]
fn what_passes() {
    for (rule, value) in [
        (json!({"type": "integer"}), json!(1.0)),
        (json!({"type": ["string", "null"], "maxLength": 3}), json!(null)),
        (json!({"enum": [1]}), json!(1.0)),
        (json!({"minimum": 1, "maximum": 5}), json!("5")),
        (json!({"minimum": 1}), json!("not a number")),
        (json!({"minimum": 1}), json!([])),
        (json!({"maxLength": 2}), json!("üü")),
        (json!({"pattern": "b"}), json!("abc")),
        (json!({"uniqueItems": true}), json!([1, true, "1", null])),
        (json!({"uniqueItems": false}), json!([1, 1])),
        (json!({"format": "unheard-of"}), json!("x")),
        (json!({"additionalProperties": {"type": "string"}}), json!({"a": "b"})),
        (json!({"x-openstack": 1, "description": "d"}), json!(1)),
        (json!(true), json!(1)),
    ] {
        assert_eq!(field(rule.clone(), value.clone()), None, "{rule} against {value}");
    }
}

#[test]
fn the_sentence_names_the_innermost_field_of_a_body() {
    let schema = json!({
        "type": "object", "required": ["server"], "additionalProperties": false,
        "properties": {"server": {"type": "object", "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"},
            "networks": {"type": "array", "items": {"type": "object", "properties": {"uuid": {"format": "uuid"}}}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "metadata": {"patternProperties": {"^[a-z]+$": {"maxLength": 2}}, "additionalProperties": false},
        }}},
    });
    says(schema.clone(), json!(null), "None is not of type 'object'");
    says(schema.clone(), json!({}), "'server' is a required property");
    says(
        schema.clone(),
        json!({"server": 5}),
        "Invalid input for field/attribute server. Value: 5. 5 is not of type 'object'",
    );
    says(
        schema.clone(),
        json!({"server": {"name": ""}}),
        "Invalid input for field/attribute name. Value: . '' should be non-empty",
    );
    says(
        schema.clone(),
        json!({"server": {"name": " a"}}),
        "An invalid 'name' value was provided. The name must be: printable characters. \
         Can not start or end with whitespace.",
    );
    says(
        schema.clone(),
        json!({"server": {"networks": [{"uuid": "n"}]}}),
        "Invalid input for field/attribute uuid. Value: n. 'n' is not a 'uuid'",
    );
    says(
        schema.clone(),
        json!({"server": {"tags": ["a", null]}}),
        "Invalid input for field/attribute 1. Value: None. None is not of type 'string'",
    );
    says(
        schema.clone(),
        json!({"server": {"metadata": {"k": "abc"}}}),
        "Invalid input for field/attribute k. Value: abc. 'abc' is too long",
    );
    says(schema, json!({"server": {}, "x": 1}), "Additional properties are not allowed ('x' was unexpected)");
}

#[test]
fn properties_come_before_required_and_type_before_all() {
    let rule = json!({"additionalProperties": false, "required": ["b"], "properties": {"a": {"type": "string"}},
                      "type": "object"});
    assert_eq!(
        body(rule.clone(), json!({"a": 1, "x": 1})),
        Err("Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'".into())
    );
    assert_eq!(body(rule.clone(), json!({"x": 1})), Err("'b' is a required property".into()));
    assert_eq!(body(rule, json!([])), Err("[] is not of type 'object'".into()));
    assert_eq!(
        field(json!({"minLength": 1, "pattern": "^a", "type": "string"}), json!("")).unwrap(),
        "'' does not match '^a'"
    );
}

fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
    query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn query_values_are_lists() {
    let limit = json!({"type": "array", "items": {"type": "string", "pattern": "^[0-9]*$"}, "maxItems": 1});
    let schema = Schema::from_value(json!({"properties": {"limit": limit}, "additionalProperties": false}));
    assert_eq!(schema.check_query(&pairs(&[("limit", "5")])), Ok(()));
    assert_eq!(
        schema.check_query(&pairs(&[("limit", "x")])).unwrap_err(),
        "Invalid input for query parameters limit. Value: x. 'x' does not match '^[0-9]*$'"
    );
    assert_eq!(
        schema.check_query(&pairs(&[("limit", "1"), ("limit", "2")])).unwrap_err(),
        "Invalid input for query parameters limit. Value: ['1', '2']. ['1', '2'] is too long"
    );
    assert_eq!(
        schema.check_query(&pairs(&[("foo", "1")])).unwrap_err(),
        "Additional properties are not allowed ('foo' was unexpected)"
    );
}

#[test]
fn unknown_parameters_are_dropped_where_any_may_pass() {
    let all = pairs(&[("name", "a"), ("_x", "1"), ("x_", "1"), ("name", "b"), ("foo", "1")]);
    let properties = json!({"name": {}});
    for (schema, want) in [
        (json!({"properties": properties, "additionalProperties": true}), &["name", "name"][..]),
        (json!({"properties": properties}), &["name", "name"]),
        (json!({"properties": properties, "patternProperties": {"_": {}}}), &["name", "_x", "name"]),
        (json!({"properties": properties, "additionalProperties": false}), &["name", "_x", "x_", "name", "foo"]),
    ] {
        let schema = Schema::from_value(schema);
        let mut query = all.clone();
        schema.strip_query(&mut query);
        assert_eq!(query.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), want, "{schema:?}");
        assert_eq!(schema.known_query_keys().collect::<Vec<_>>(), ["name"]);
    }
}

#[test]
fn schemas_that_mean_more_than_we_check_do_not_compile() {
    for (schema, part) in [
        (json!({"$ref": "#/x"}), "not supported"),
        (json!({"properties": {"a": {"contains": {}}}}), "properties: a: contains"),
        (json!({"type": "text"}), "no type"),
        (json!({"pattern": "["}), "pattern"),
        (json!({"minLength": -1}), "count"),
        (json!([]), "object or a boolean"),
    ] {
        let error = Schema::from_value(schema.clone()).compile().unwrap_err();
        assert!(error.contains(part), "{schema}: {error}");
    }
    assert!(Schema::new("{").compile().is_err());
}
