//! A row as a line of text, the same on both engines, and the sum over a table's rows.

use crate::BackupError;
use platform_db::Value;
use platform_db::dump::{Table, Type};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// One line, without its end. A float is text: JSON's numbers need not come back bit by bit.
pub(crate) fn line(row: &[Value]) -> String {
    let json = |value: &Value| match value {
        Value::Int(v) => Json::from(*v),
        Value::Text(v) => Json::from(v.clone()),
        Value::Bool(v) => Json::from(*v),
        Value::Float(v) => Json::from(v.map(|f| format!("{f:?}"))),
    };
    Json::Array(row.iter().map(json).collect()).to_string()
}

/// A line's values in the order of the table's columns, which need not be that of the line: `order` says where each is.
pub(crate) fn parse(table: &Table, order: &[usize], line: &str) -> Result<Vec<Value>, BackupError> {
    let damaged = |why: &dyn std::fmt::Display| BackupError::Damaged(format!("a row of {}: {why}", table.name));
    let row: Vec<Json> = serde_json::from_str(line).map_err(|e| damaged(&e))?;
    let value = |(column, at): (&platform_db::dump::Column, &usize)| {
        let wrong = || damaged(&format!("{} is of another type", column.name));
        let json = row.get(*at).ok_or_else(|| damaged(&"it is too short"))?;
        let some = (!json.is_null()).then_some(json);
        let typed = match column.of {
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
    table.columns.iter().zip(order).map(value).collect()
}

/// How many rows, and what they add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    lanes: [u64; 4],
}

impl Sum {
    pub(crate) fn add(&mut self, line: &str) {
        self.rows += 1;
        let digest = Sha256::digest(line.as_bytes());
        for (lane, bytes) in self.lanes.iter_mut().zip(digest.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_be_bytes(*bytes));
        }
    }
    pub(crate) fn text(&self) -> String {
        self.lanes.iter().map(|lane| format!("{lane:016x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform_db::dump::Column;

    #[test]
    fn a_row_comes_back_whatever_is_in_it() {
        let column = |name: &str, of| Column { name: name.into(), of };
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
            assert_eq!(parse(&table, &[0, 1, 2, 3], &text).unwrap(), row);
        }
        assert!(parse(&table, &[0, 1, 2, 3], "[1,2,true,null]").is_err());
        assert!(parse(&table, &[0, 1, 2, 3], "[1]").is_err());
    }

    #[test]
    fn a_sum_knows_rows_not_their_order() {
        let sum = |lines: &[&str]| {
            let mut sum = Sum::default();
            lines.iter().for_each(|l| sum.add(l));
            sum
        };
        assert_eq!(sum(&["a", "b"]), sum(&["b", "a"]));
        assert_ne!(sum(&["a", "b"]), sum(&["a", "c"]));
        assert_ne!(sum(&["a", "a"]), sum(&["b", "b"]));
        assert_eq!(sum(&["a"]).text().len(), 64);
    }
}
