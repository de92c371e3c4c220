//! Values on their way into a statement, with the type that a NULL would have.

use crate::Record;
use crate::tables::Type;
use base::Timestamp;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Row, SqlSafeStr, SqlStr};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bool(Option<bool>),
    Float(Option<f64>),
    /// A column of many rows, for PostgreSQL alone: see [`SqlBuilder::bind_rows`](crate::SqlBuilder::bind_rows).
    Column(Column),
}

/// One array of PostgreSQL.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bool(Vec<Option<bool>>),
    Float(Vec<Option<f64>>),
}

impl Column {
    /// Of the type of the first. A value of another type makes it a column of none of them: an array of texts, which the
    /// server refuses where it wants numbers.
    pub(crate) fn of(values: Vec<Value>) -> Self {
        macro_rules! all {
            ($kind:ident) => {
                values.iter().map(|v| if let Value::$kind(v) = v { Some(v.clone()) } else { None }).collect()
            };
        }
        let same = match values.first() {
            Some(Value::Int(_)) => Option::map(all!(Int), Self::Int),
            Some(Value::Bool(_)) => Option::map(all!(Bool), Self::Bool),
            Some(Value::Float(_)) => Option::map(all!(Float), Self::Float),
            Some(Value::Text(_)) => Option::map(all!(Text), Self::Text),
            Some(Value::Column(_)) | None => None,
        };
        same.unwrap_or_else(|| Self::Text(values.iter().map(|v| Some(format!("{v:?}"))).collect()))
    }
}

/// The values of `$1`, `$2` … : `args![id, name, Some(3)]`.
#[macro_export]
macro_rules! args {
    ($($v:expr),* $(,)?) => { vec![$($crate::Value::from($v)),*] };
}

macro_rules! from {
    ($($t:ty => $v:ident $conv:expr),+ $(,)?) => {$(
        impl From<$t> for Value { fn from(v: $t) -> Self { let f: fn($t) -> _ = $conv; Value::$v(Some(f(v))) } }
        impl From<Option<$t>> for Value { fn from(v: Option<$t>) -> Self { let f: fn($t) -> _ = $conv; Value::$v(v.map(f)) } }
    )+};
}

from! {
    i64 => Int |v| v,
    i32 => Int i64::from,
    u32 => Int i64::from,
    u16 => Int i64::from,
    // BIGINT is signed: what does not fit would be an amount no machine has
    u64 => Int |v| i64::try_from(v).unwrap_or(i64::MAX),
    usize => Int |v| i64::try_from(v).unwrap_or(i64::MAX),
    Timestamp => Int |v| v.0,
    bool => Bool |v| v,
    f64 => Float |v| v,
    String => Text |v| v,
    &str => Text str::to_owned,
    &String => Text |v| v.clone(),
    base::InstanceId => Text |v| v.to_string(),
    base::ImageId => Text |v| v.to_string(),
    base::ProviderId => Text |v| v.to_string(),
    base::OperationId => Text |v| v.to_string(),
    &base::InstanceId => Text |v| v.to_string(),
    &base::ProjectId => Text |v| v.0.clone(),
    &base::UserId => Text |v| v.0.clone(),
    &base::DomainId => Text |v| v.0.clone(),
    &base::HostName => Text |v| v.0.clone(),
    &base::RequestId => Text |v| v.0.clone(),
    base::ProjectId => Text |v| v.0,
    base::UserId => Text |v| v.0,
    base::DomainId => Text |v| v.0,
    base::HostName => Text |v| v.0,
    base::RequestId => Text |v| v.0,
}

macro_rules! bind {
    ($query:expr, $args:expr, $text:expr, |$q:ident, $column:ident| $bind_column:expr) => {{
        let mut q = $query;
        for a in $args {
            q = match a {
                Value::Int(v) => q.bind(v),
                Value::Text(v) => q.bind($text(v)),
                Value::Bool(v) => q.bind(v),
                Value::Float(v) => q.bind(v),
                Value::Column($column) => {
                    let $q = q;
                    $bind_column
                }
            };
        }
        q
    }};
}

macro_rules! array {
    ($q:ident, $column:ident) => {
        match $column {
            Column::Int(all) => $q.bind(all),
            Column::Text(all) => $q.bind(all),
            Column::Bool(all) => $q.bind(all),
            Column::Float(all) => $q.bind(all),
        }
    };
}

pub(crate) fn sqlite_query_as<T: Record>(
    sql: impl SqlSafeStr,
    args: Vec<Value>,
) -> QueryAs<'static, Sqlite, T, SqliteArguments> {
    bind!(sqlx::query_as(sql), args, |v| v, |q, _none| q.bind(None::<i64>))
}

pub(crate) fn sqlite_query(sql: impl SqlSafeStr, args: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    bind!(sqlx::query(sql), args, |v| v, |q, _none| q.bind(None::<i64>))
}

// by reference, so that a statement can be asked again on another connection

pub(crate) fn pg_query_as<T: Record>(sql: SqlStr, args: &[Value]) -> QueryAs<'_, Postgres, T, PgArguments> {
    bind!(sqlx::query_as(sql), args, Option::as_deref, |q, column| array!(q, column))
}

pub(crate) fn pg_query(sql: SqlStr, args: &[Value]) -> Query<'_, Postgres, PgArguments> {
    bind!(sqlx::query(sql), args, Option::as_deref, |q, column| array!(q, column))
}

/// For a stream, which outlives who asks and is asked once.
pub(crate) fn pg_stream_as<T: Record>(
    sql: impl SqlSafeStr,
    args: Vec<Value>,
) -> QueryAs<'static, Postgres, T, PgArguments> {
    bind!(sqlx::query_as(sql), args, |v| v, |q, column| array!(q, column))
}

/// A row whose columns are of those types.
pub(crate) fn values<'r, R>(row: &'r R, types: &[Type]) -> Result<Vec<Value>, sqlx::Error>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    Option<i64>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<bool>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<f64>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    let one = |(n, t): (usize, &Type)| {
        Ok(match t {
            Type::Int => Value::Int(row.try_get(n)?),
            Type::Text => Value::Text(row.try_get(n)?),
            Type::Bool => Value::Bool(row.try_get(n)?),
            Type::Float => Value::Float(row.try_get(n)?),
        })
    };
    types.iter().enumerate().map(one).collect()
}
