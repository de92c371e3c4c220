//! The schema: one ordered sequence of files in `migrations/`, the same text for both engines.

use crate::{Db, DbError, args};
use include_dir::{Dir, include_dir};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../../migrations");

/// One file of `migrations/`, applied in the order of its number, once, in a transaction of its own.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// `0001_platform`.
    pub name: &'static str,
    pub sql: &'static str,
}

/// All that this binary knows, in order.
pub fn migrations() -> Vec<Migration> {
    let mut all: Vec<Migration> = FILES
        .files()
        .filter_map(|f| {
            let name = f.path().file_stem()?.to_str()?;
            (f.path().extension()? == "sql").then(|| f.contents_utf8().map(|sql| Migration { name, sql }))?
        })
        .collect();
    all.sort_by_key(|m| m.name);
    all
}

/// `wanted`: those of them that are to be applied, if they are not yet.
pub(crate) async fn run(db: &Db, wanted: impl Fn(&str) -> bool) -> Result<Vec<&'static str>, DbError> {
    let mut tx = db.begin().await?;
    tx.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, sql_text TEXT NOT NULL)", args![])
        .await?;
    tx.commit().await?;
    let applied: Vec<(String, String)> = db.fetch_all("SELECT name, sql_text FROM schema_migrations", args![]).await?;
    let known = migrations();
    if let Some((name, _)) = applied.iter().find(|(name, _)| !known.iter().any(|m| m.name == name)) {
        return Err(DbError::Migration {
            name: name.clone(),
            why: "this database was made by a newer skyiron than this one".into(),
        });
    }
    let mut now = Vec::new();
    for m in known.into_iter().filter(|m| wanted(m.name)) {
        match applied.iter().find(|(name, _)| name == m.name) {
            Some((_, sql)) if sql == m.sql => continue,
            Some(_) => {
                return Err(DbError::Migration {
                    name: m.name.into(),
                    why: "its text has changed since it was applied".into(),
                });
            }
            None => {}
        }
        let mut tx = db.begin().await?;
        tx.execute_script(m.sql).await.map_err(|e| DbError::Migration { name: m.name.into(), why: describe(&e) })?;
        tx.execute("INSERT INTO schema_migrations (name, sql_text) VALUES ($1, $2)", args![m.name, m.sql]).await?;
        tx.commit().await?;
        tracing::info!(migration = m.name, "schema migrated");
        now.push(m.name);
    }
    Ok(now)
}

fn describe(e: &DbError) -> String {
    use std::error::Error;
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(c) = cause {
        text.push_str(": ");
        text.push_str(&c.to_string());
        cause = c.source();
    }
    text
}
