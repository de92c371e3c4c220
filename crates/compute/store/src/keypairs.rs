//! `keypairs`: public keys of users. They belong to a user, not to a project.

use crate::Store;
use base::Timestamp;
use compute_model::spec::KeypairSpec;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub struct Keypair {
    pub id: i64,
    pub user_id: String,
    pub name: String,
    /// `ssh` or `x509`.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// Hex pairs with colons: MD5 of an ssh key's blob, SHA-1 of a certificate.
    pub fingerprint: String,
    pub public_key: String,
    pub created_at: i64,
}

impl Keypair {
    /// As a server that is created now keeps it.
    pub fn spec(&self) -> KeypairSpec {
        KeypairSpec { name: self.name.clone(), kind: self.kind.clone(), public_key: self.public_key.clone() }
    }
}

pub struct NewKeypair<'a> {
    pub user_id: &'a str,
    pub name: &'a str,
    pub kind: &'a str,
    pub fingerprint: &'a str,
    pub public_key: &'a str,
}

#[derive(Debug)]
pub enum KeypairAdded {
    Yes(Keypair),
    NameTaken,
    OverQuota,
}

/// Adds a key pair if the user then has no more than `limit` (negative: any number).
pub async fn keypair_add(tx: &mut Tx, now: Timestamp, k: &NewKeypair<'_>, limit: i64) -> Result<KeypairAdded, DbError> {
    // taking the number first makes writers wait for each other, so that the count below is exact
    let id = tx.next_id("keypairs").await?;
    let (have,): (i64,) = tx.fetch_one("SELECT COUNT(*) FROM keypairs WHERE user_id = $1", args![k.user_id]).await?;
    if limit >= 0 && have >= limit {
        return Ok(KeypairAdded::OverQuota);
    }
    let added: Option<Keypair> = tx
        .fetch_optional(
            "INSERT INTO keypairs (id, user_id, name, type, fingerprint, public_key, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING *",
            args![id, k.user_id, k.name, k.kind, k.fingerprint, k.public_key, now],
        )
        .await?;
    Ok(added.map_or(KeypairAdded::NameTaken, KeypairAdded::Yes))
}

/// `false`: there is no such key pair.
pub async fn keypair_delete(tx: &mut Tx, user_id: &str, name: &str) -> Result<bool, DbError> {
    let gone = tx.execute("DELETE FROM keypairs WHERE user_id = $1 AND name = $2", args![user_id, name]).await?;
    Ok(gone == 1)
}

impl Store {
    pub async fn keypair_fetch(&self, user_id: &str, name: &str) -> Result<Option<Keypair>, DbError> {
        self.db().fetch_optional("SELECT * FROM keypairs WHERE user_id = $1 AND name = $2", args![user_id, name]).await
    }

    /// A user's key pairs by name, at most `limit`, those after the name `marker`.
    pub async fn keypair_list(
        &self,
        user_id: &str,
        limit: Option<usize>,
        marker: Option<&str>,
    ) -> Result<Vec<Keypair>, DbError> {
        let mut q = SqlBuilder::new("SELECT * FROM keypairs WHERE user_id = ");
        q.bind(user_id);
        if let Some(marker) = marker {
            q.push(" AND name > ").bind(marker);
        }
        q.push(" ORDER BY name");
        if let Some(limit) = limit {
            q.push(" LIMIT ").bind(limit);
        }
        let (sql, values) = q.finish();
        self.db().fetch_all(sql, values).await
    }

    pub async fn keypair_count(&self, user_id: &str) -> Result<i64, DbError> {
        let (n,): (i64,) =
            self.db().fetch_one("SELECT COUNT(*) FROM keypairs WHERE user_id = $1", args![user_id]).await?;
        Ok(n)
    }
}
