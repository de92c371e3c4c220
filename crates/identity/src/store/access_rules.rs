//! `identity_access_rules`: requests an application credential is limited to.

use platform_db::{Db, DbError, FromRow, Tx, args};
use serde_json::{Value, json};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct AccessRuleRow {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) service: String,
    pub(crate) path: String,
    pub(crate) method: String,
}

impl AccessRuleRow {
    pub(crate) fn render(&self) -> Value {
        json!({"id": self.id, "service": self.service, "path": self.path, "method": self.method})
    }
}

pub(crate) async fn of_user(db: &Db, user_id: &str) -> Result<Vec<AccessRuleRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_access_rules WHERE user_id = $1 ORDER BY id", args![user_id]).await
}

pub(crate) async fn of_credential(db: &Db, id: &str) -> Result<Vec<AccessRuleRow>, DbError> {
    db.fetch_all(
        "SELECT r.* FROM identity_access_rules r
         JOIN identity_application_credential_access_rules c ON c.access_rule_id = r.id
         WHERE c.application_credential_id = $1 ORDER BY r.id",
        args![id],
    )
    .await
}

/// The user's rule of that content, made if it is new, joined to a credential.
pub(crate) async fn attach(tx: &mut Tx, rule: &AccessRuleRow, application_credential_id: &str) -> Result<(), DbError> {
    let (id,): (String,) = tx
        .fetch_one(
            "INSERT INTO identity_access_rules (id, user_id, service, path, method) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (user_id, service, path, method) DO UPDATE SET method = EXCLUDED.method RETURNING id",
            args![&rule.id, &rule.user_id, &rule.service, &rule.path, &rule.method],
        )
        .await?;
    tx.execute(
        "INSERT INTO identity_application_credential_access_rules (application_credential_id, access_rule_id)
         VALUES ($1, $2) ON CONFLICT (application_credential_id, access_rule_id) DO NOTHING",
        args![application_credential_id, id],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, user_id: &str, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_access_rules WHERE id = $1 AND user_id = $2", args![id, user_id]).await? > 0)
}
