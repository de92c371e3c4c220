//! Who else uses the database, told by what each session calls itself.

use crate::{Db, DbError, Dialect, args};

const PREFIX: &str = "skyiron/";

/// `skyiron/0.1.0`.
pub(crate) fn application_name() -> String {
    format!("{PREFIX}{}", env!("CARGO_PKG_VERSION"))
}

pub(crate) async fn versions_connected(db: &Db) -> Result<Option<Vec<String>>, DbError> {
    if db.dialect() == Dialect::Sqlite {
        return Ok(None);
    }
    let names: Vec<(String,)> = db
        .fetch_all(
            "SELECT DISTINCT application_name FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE $1 ORDER BY 1",
            args![format!("{PREFIX}%")],
        )
        .await?;
    Ok(Some(names.into_iter().map(|(name,)| name.trim_start_matches(PREFIX).to_owned()).collect()))
}
