//! `identity_revocations`: tokens that are void although they would still be good.

use base::Timestamp;
use platform_db::{Db, DbError, FromRow, Tx, args};
use uuid::Uuid;

/// Whose tokens. In all cases those issued up to now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Revoked<'a> {
    Token { audit_id: &'a str },
    User(&'a str),
    Project(&'a str),
    Domain(&'a str),
}

#[derive(Debug, FromRow)]
pub(crate) struct RevocationRow {
    pub(crate) audit_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) project_id: Option<String>,
    pub(crate) domain_id: Option<String>,
    pub(crate) issued_before: i64,
    pub(crate) revoked_at: i64,
}

pub(crate) async fn add(tx: &mut Tx, what: Revoked<'_>, now: Timestamp) -> Result<(), DbError> {
    let (audit, user, project, domain) = match what {
        Revoked::Token { audit_id } => (Some(audit_id), None, None, None),
        Revoked::User(id) => (None, Some(id), None, None),
        Revoked::Project(id) => (None, None, Some(id), None),
        Revoked::Domain(id) => (None, None, None, Some(id)),
    };
    tx.execute(
        "INSERT INTO identity_revocations (id, audit_id, user_id, project_id, domain_id, issued_before, revoked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        args![
            Uuid::new_v4().simple().to_string(),
            audit.map(str::to_owned),
            user.map(str::to_owned),
            project.map(str::to_owned),
            domain.map(str::to_owned),
            now
        ],
    )
    .await?;
    Ok(())
}

/// Events whose tokens have all expired by now say nothing any more.
pub(crate) async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64, DbError> {
    tx.execute("DELETE FROM identity_revocations WHERE revoked_at < $1", args![before]).await
}

/// The time of the last revocation that touches a token of this kind. A token issued up to then is void.
pub(crate) async fn last(
    db: &Db,
    audit_id: &str,
    user_id: &str,
    project_id: Option<&str>,
    domain_ids: [Option<&str>; 2],
) -> Result<Option<Timestamp>, DbError> {
    let (at,): (Option<i64>,) = db
        .fetch_one(
            "SELECT MAX(issued_before) FROM identity_revocations
             WHERE audit_id = $1 OR user_id = $2 OR project_id = $3 OR domain_id = $4 OR domain_id = $5",
            args![
                audit_id,
                user_id,
                project_id.map(str::to_owned),
                domain_ids[0].map(str::to_owned),
                domain_ids[1].map(str::to_owned)
            ],
        )
        .await?;
    Ok(at.map(Timestamp))
}

/// The time of the last one, whatever it is about.
pub(crate) async fn latest(db: &Db) -> Result<Option<Timestamp>, DbError> {
    // the same time, and indexed
    let (at,): (Option<i64>,) = db.fetch_one("SELECT MAX(revoked_at) FROM identity_revocations", args![]).await?;
    Ok(at.map(Timestamp))
}

pub(crate) async fn since(db: &Db, since: Timestamp) -> Result<Vec<RevocationRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_revocations WHERE revoked_at >= $1 ORDER BY revoked_at, id", args![since])
        .await
}
