//! A database with as many rows as a large cloud has, made of one.

use anyhow::Result;
use platform_db::{Db, args, built};
use std::path::Path;

/// Copies the row of `table` whose `key` is `id` until there are `count` more, while no cloud runs on the database. Each is a
/// millisecond older than the one before, and is called `copy-N`. `beside`: tables with rows that belong to it by that column.
pub(crate) fn multiply(
    data: &Path,
    (table, key): (&str, &str),
    id: &str,
    count: u64,
    beside: &[(&str, &str)],
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let db = Db::open(&format!("sqlite:{}", data.join("skyiron.db").display())).await?;
        for (table, key) in std::iter::once(&(table, key)).chain(beside) {
            let names = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
            let columns: Vec<(String,)> = db.fetch_all(built(names), args![]).await?;
            let values: Vec<String> = columns.iter().map(|(name,)| value(table, key, name)).collect();
            let names = columns.iter().map(|(c,)| c.as_str()).collect::<Vec<_>>().join(", ");
            let sql = format!(
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count})
                 INSERT INTO {table} ({names}) SELECT {} FROM {table} i, c WHERE i.{key} = $1",
                values.join(", ")
            );
            let mut tx = db.begin().await?;
            tx.execute(built(sql), args![id]).await?;
            tx.commit().await?;
        }
        db.close().await;
        Ok(())
    })
}

fn value(table: &str, key: &str, column: &str) -> String {
    match column {
        column if column == key => "printf('%08x-0000-4000-8000-%012x', n, n)".to_owned(),
        // of images' properties it is what they are found by
        "name" if table == "instances" || table == "images" => "'copy-' || n".to_owned(),
        "created_at" => "i.created_at - n * 1000".to_owned(),
        other => format!("i.{other}"),
    }
}
