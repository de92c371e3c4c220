//! `identity_application_credentials`: passwords of programs, for one project and some of the user's roles.

use platform_db::{Db, DbError, FromRow, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct AppCredRow {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) project_id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) secret_hash: String,
    pub(crate) expires_at: Option<i64>,
    /// May make credentials and trusts of its own.
    pub(crate) unrestricted: bool,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<AppCredRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_application_credentials WHERE id = $1", args![id]).await
}

pub(crate) async fn by_name(db: &Db, user_id: &str, name: &str) -> Result<Option<AppCredRow>, DbError> {
    db.fetch_optional(
        "SELECT * FROM identity_application_credentials WHERE user_id = $1 AND name = $2",
        args![user_id, name],
    )
    .await
}

pub(crate) async fn of_user(db: &Db, user_id: &str) -> Result<Vec<AppCredRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_application_credentials WHERE user_id = $1 ORDER BY id", args![user_id]).await
}

pub(crate) async fn role_ids(db: &Db, id: &str) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = db
        .fetch_all(
            "SELECT role_id FROM identity_application_credential_roles
             WHERE application_credential_id = $1 ORDER BY role_id",
            args![id],
        )
        .await?;
    Ok(rows.into_iter().map(|r| r.0).collect())
}

pub(crate) async fn insert(tx: &mut Tx, a: &AppCredRow, roles: &[String]) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_application_credentials (id, user_id, project_id, name, description, secret_hash,
             expires_at, unrestricted)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            &a.id,
            &a.user_id,
            &a.project_id,
            &a.name,
            a.description.clone(),
            &a.secret_hash,
            a.expires_at,
            a.unrestricted
        ],
    )
    .await?;
    for role in roles {
        tx.execute(
            "INSERT INTO identity_application_credential_roles (application_credential_id, role_id) VALUES ($1, $2)",
            args![&a.id, role],
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, user_id: &str, id: &str) -> Result<bool, DbError> {
    let n = tx
        .execute("DELETE FROM identity_application_credentials WHERE id = $1 AND user_id = $2", args![id, user_id])
        .await?;
    Ok(n > 0)
}
