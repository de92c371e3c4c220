//! What `simulation.rs` is when nothing is simulated: nothing.

use sqlx::SqlSafeStr;

pub(crate) enum Moment {
    Write,
    Commit,
}

#[inline]
pub(crate) fn text(sql: impl SqlSafeStr) -> impl SqlSafeStr {
    sql
}

#[inline]
pub(crate) async fn pause(_: Moment) {}

#[inline]
pub(crate) async fn statement<F: Future>(statement: F) -> F::Output {
    statement.await
}
