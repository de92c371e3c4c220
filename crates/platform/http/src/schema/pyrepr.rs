//! JSON values as Python prints them.

use super::number::PyNumber;
use regex::Regex;
use serde_json::Value;
use std::fmt::Write;
use std::sync::LazyLock;

/// Python's `repr()`: `{'a': [None, True, 'it']}`.
pub fn py_repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(value, &mut out);
    out
}

/// Python's `str()`: text as it is, anything else as [`py_repr`].
pub fn py_str(value: &Value) -> String {
    value.as_str().map_or_else(|| py_repr(value), str::to_owned)
}

/// `repr()` of each, with commas between.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for (i, text) in texts.into_iter().enumerate() {
        separate(i, &mut out);
        write_text(text, &mut out);
    }
    out
}

pub(super) fn text(text: &str) -> String {
    list([text])
}

fn separate(i: usize, out: &mut String) {
    if i > 0 {
        out.push_str(", ");
    }
}

fn write_repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(n) => out.push_str(&PyNumber::of(n).repr()),
        Value::String(s) => write_text(s, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(i, out);
                write_repr(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (i, (key, field)) in fields.iter().enumerate() {
                separate(i, out);
                write_text(key, out);
                out.push_str(": ");
                write_repr(field, out);
            }
            out.push('}');
        }
    }
}

/// In single quotes, or in double ones if that saves escaping.
fn write_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            c if is_printable(c) => out.push(c),
            c => write_code(u32::from(c), out),
        }
    }
    out.push(quote);
}

fn write_code(code: u32, out: &mut String) {
    let done = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    debug_assert!(done.is_ok(), "writing to a String does not fail");
}

/// `str.isprintable()`: neither a control or unassigned character nor a separator other than the blank.
fn is_printable(c: char) -> bool {
    static NOT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{C}\p{Z}]").ok());
    c == ' ' || NOT.as_ref().is_some_and(|not| !not.is_match(c.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn as_python_prints() {
        for (value, want) in [
            (json!(null), "None"),
            (json!([true, false, 1, 1.0, -0.5]), "[True, False, 1, 1.0, -0.5]"),
            (json!({"a": "b", "c": {}}), "{'a': 'b', 'c': {}}"),
            (json!("it's"), "\"it's\""),
            (json!("\"it's\""), r#"'"it\'s"'"#),
            (json!("a\\b\n\t\r"), r"'a\\b\n\t\r'"),
            (json!("\u{0}\u{7f}\u{a0}"), r"'\x00\x7f\xa0'"),
            (json!("ü 中 \u{200b}\u{2028}"), r"'ü 中 \u200b\u2028'"),
            (json!("😀\u{e0001}"), r"'😀\U000e0001'"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ] {
            assert_eq!(py_repr(&value), want);
        }
        assert_eq!(py_str(&json!("it's")), "it's");
        assert_eq!(py_str(&json!(["a"])), "['a']");
    }
}
