//! A row as a line of text, the same on both engines.

use crate::BackupError;
use platform_db::Value;
use platform_db::transfer::{Table, Type};
use serde_json::Value as Json;

/// One line, without its end. A float is text: JSON's numbers need not come back bit by bit.
pub(crate) fn line(row: &[Value]) -> String {
    let json = |value: &Value| match value {
        Value::Int(v) => Json::from(*v),
        Value::Text(v) => Json::from(v.clone()),
        Value::Bool(v) => Json::from(*v),
        Value::Float(v) => Json::from(v.map(|f| format!("{f:?}"))),
        // no row has one
        Value::Column(_) => Json::Null,
    };
    Json::Array(row.iter().map(json).collect()).to_string()
}

/// A line's values.
pub(crate) fn parse(table: &Table, line: &str) -> Result<Vec<Value>, BackupError> {
    let damaged = |why: &dyn std::fmt::Display| BackupError::Damaged(format!("a row of {}: {why}", table.name));
    let row: Vec<Json> = serde_json::from_str(line).map_err(|e| damaged(&e))?;
    if row.len() != table.columns.len() {
        return Err(damaged(&format!("{} values for {} columns", row.len(), table.columns.len())));
    }
    let value = |((name, of), json): (&(String, Type), &Json)| {
        let wrong = || damaged(&format!("{name} is of another type"));
        let some = (!json.is_null()).then_some(json);
        let typed = match of {
            Type::Int => Value::Int(some.map(|j| j.as_i64().ok_or_else(wrong)).transpose()?),
            Type::Text => Value::Text(some.map(|j| j.as_str().map(str::to_owned).ok_or_else(wrong)).transpose()?),
            Type::Bool => Value::Bool(some.map(|j| j.as_bool().ok_or_else(wrong)).transpose()?),
            Type::Float => {
                let float = |j: &Json| j.as_str().and_then(|t| t.parse().ok()).ok_or_else(wrong);
                Value::Float(some.map(float).transpose()?)
            }
        };
        Ok(typed)
    };
    table.columns.iter().zip(&row).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_row_comes_back_whatever_is_in_it() {
        let column = |name: &str, of| (name.to_owned(), of);
        let columns =
            vec![column("a", Type::Int), column("b", Type::Text), column("c", Type::Bool), column("d", Type::Float)];
        let table = Table { name: "t".into(), columns };
        for row in [
            vec![
                Value::Int(Some(i64::MIN)),
                Value::Text(Some("Ünï\n\"\\ \u{1f980}".into())),
                Value::Bool(Some(true)),
                Value::Float(Some(0.1 + 0.2)),
            ],
            vec![Value::Int(None), Value::Text(None), Value::Bool(None), Value::Float(None)],
        ] {
            let text = line(&row);
            assert!(!text.contains('\n'));
            assert_eq!(parse(&table, &text).unwrap(), row);
        }
        assert!(parse(&table, "[1,2,true,null]").is_err());
        assert!(parse(&table, "[1]").is_err());
    }
}
