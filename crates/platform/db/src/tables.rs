//! What tables there are, told by the database itself: nothing that walks all of them has a list to forget one in.

use crate::{DbError, Dialect, Tx, args};
use std::collections::{BTreeMap, BTreeSet};

/// What a database keeps about itself, and is not its content: the record of migrations, and the servers it was on.
const RECORDS: [&str; 2] = ["schema_migrations", "database_timelines"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Int,
    Text,
    Bool,
    Float,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    /// By name.
    pub columns: Vec<(String, Type)>,
}

impl Table {
    pub(crate) fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(", ")
    }
}

/// Some names are words of SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// All tables, those that are referred to before those that refer to them.
pub(crate) async fn tables(tx: &mut Tx) -> Result<Vec<Table>, DbError> {
    let columns = tx.fetch_all(columns(tx.dialect()), args![]).await?;
    let references: Vec<Reference> = tx.fetch_all(references(tx.dialect()), args![]).await?;
    assemble(columns, &references)
}

/// Table, column, and what it is declared as.
pub(crate) type Declared = (String, String, String);
/// Who, to whom.
pub(crate) type Reference = (String, String);

pub(crate) fn columns(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "SELECT m.name, c.name, c.type FROM sqlite_schema m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        }
        Dialect::Postgres => {
            "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT)
             FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        }
    }
}

pub(crate) fn references(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "SELECT DISTINCT m.name, f.\"table\" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f
             WHERE m.type = 'table'"
        }
        Dialect::Postgres => {
            "SELECT DISTINCT CAST(c.relname AS TEXT), CAST(r.relname AS TEXT) FROM pg_constraint k
             JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid
             WHERE k.contype = 'f' AND c.relnamespace = CAST(current_schema() AS regnamespace)"
        }
    }
}

pub(crate) fn assemble(columns: Vec<Declared>, references: &[Reference]) -> Result<Vec<Table>, DbError> {
    let mut found: BTreeMap<String, Vec<(String, Type)>> = BTreeMap::new();
    for (table, column, declared) in columns.into_iter().filter(|(table, ..)| !RECORDS.contains(&table.as_str())) {
        let kind = type_of(&declared).ok_or_else(|| DbError::Copy(format!("{table}.{column} is a {declared}")))?;
        found.entry(table).or_default().push((column, kind));
    }
    let order = in_order(found.keys().cloned().collect(), references)?;
    let mut table = |name: String| {
        let mut columns = found.remove(&name).unwrap_or_default();
        columns.sort_by(|a, b| a.0.cmp(&b.0));
        Table { name, columns }
    };
    Ok(order.into_iter().map(&mut table).collect())
}

fn type_of(declared: &str) -> Option<Type> {
    match declared.to_ascii_uppercase().as_str() {
        "BIGINT" => Some(Type::Int),
        "TEXT" => Some(Type::Text),
        "BOOLEAN" => Some(Type::Bool),
        "DOUBLE PRECISION" => Some(Type::Float),
        _ => None,
    }
}

/// `references`: (who, to whom). A table may refer to itself.
fn in_order(mut left: BTreeSet<String>, references: &[(String, String)]) -> Result<Vec<String>, DbError> {
    let mut order = Vec::new();
    while !left.is_empty() {
        let waits = |t: &String| references.iter().any(|(who, to)| who == t && to != t && left.contains(to));
        let next: Vec<String> = left.iter().filter(|t| !waits(t)).cloned().collect();
        if next.is_empty() {
            return Err(DbError::Copy(format!("these tables refer to each other in a circle: {left:?}")));
        }
        next.iter().for_each(|t| _ = left.remove(t));
        order.extend(next);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_referred_to_comes_first() {
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<String>>();
        let refs =
            |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let order = in_order(names(&["a", "b", "c", "d"]), &refs(&[("a", "b"), ("b", "c"), ("b", "b"), ("a", "d")]));
        assert_eq!(order.unwrap(), ["c", "d", "b", "a"]);
        let circle = in_order(names(&["a", "b", "c"]), &refs(&[("a", "b"), ("b", "a")]));
        assert!(circle.unwrap_err().to_string().contains("{\"a\", \"b\"}"));
    }
}
