//! Statements whose shape depends on the request: filters, sort keys, pages.

use crate::value::Column;
use crate::{Dialect, Value};
use sqlx::AssertSqlSafe;

/// Builds a statement piece by piece. Text is pushed, values are bound: nothing a user sent ever becomes text.
///
/// ```
/// use platform_db::SqlBuilder;
/// let mut q = SqlBuilder::new("SELECT id FROM images WHERE owner = ");
/// q.bind("p1").push(" AND status IN ").bind_list(["active", "queued"]).push(" ORDER BY id");
/// assert_eq!(q.sql(), "SELECT id FROM images WHERE owner = $1 AND status IN ($2, $3) ORDER BY id");
/// ```
#[derive(Debug)]
pub struct SqlBuilder {
    sql: String,
    args: Vec<Value>,
}

impl SqlBuilder {
    pub fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), args: Vec::new() }
    }
    pub fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }
    /// Appends the next placeholder.
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.args.push(value.into());
        let n = self.args.len();
        self.push(&format!("${n}"))
    }
    /// Appends `($1, $2, …)`. An empty list becomes `(NULL)`, which nothing is in.
    pub fn bind_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.push("(");
        let mut first = true;
        for v in values {
            if !std::mem::replace(&mut first, false) {
                self.push(", ");
            }
            self.bind(v);
        }
        if first {
            self.push("NULL");
        }
        self.push(")")
    }
    /// Appends rows of one shape, at least one, as what may stand after `INSERT INTO t (…)` or in `WITH t (…) AS (…)`. On
    /// PostgreSQL each column is one array, so the statement is the same, and prepared once, however many rows there are.
    pub fn bind_rows(&mut self, dialect: Dialect, rows: Vec<Vec<Value>>) -> &mut Self {
        match dialect {
            Dialect::Sqlite => {
                let mut before = "VALUES ";
                for row in rows {
                    self.push(std::mem::replace(&mut before, ", ")).bind_list(row);
                }
                self
            }
            Dialect::Postgres => {
                let mut columns: Vec<Vec<Value>> = Vec::new();
                for row in rows {
                    columns.resize_with(columns.len().max(row.len()), Vec::new);
                    columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
                }
                let columns = columns.into_iter().map(|column| Value::Column(Column::of(column)));
                self.push("SELECT * FROM unnest").bind_list(columns)
            }
        }
    }
    /// The number the next bound value will get.
    pub fn next_placeholder(&self) -> usize {
        self.args.len() + 1
    }
    /// Binds without appending a placeholder: for conditions that name `$n` themselves.
    pub fn bind_silently(&mut self, value: impl Into<Value>) -> &mut Self {
        self.args.push(value.into());
        self
    }
    pub fn sql(&self) -> &str {
        &self.sql
    }
    pub fn finish(self) -> (AssertSqlSafe<String>, Vec<Value>) {
        (AssertSqlSafe(self.sql), self.args)
    }
}
