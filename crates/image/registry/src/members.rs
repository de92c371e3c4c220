//! `image_members`: projects that an image was offered to.

use crate::Store;
use crate::images::record;
use crate::row::{amount, image_id, word};
use crate::store::lost;
use base::{ImageId, ProjectId, Timestamp};
use image_model::{Member, MemberStatus, RegistryError};
use platform_db::{DbError, FromRow, args};

#[derive(FromRow)]
struct Row {
    image_id: String,
    member: String,
    status: String,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn into_member(self) -> Result<Member, RegistryError> {
        Ok(Member {
            image_id: image_id(&self.image_id)?,
            member_id: ProjectId(self.member),
            status: word("members.status", &self.status)?,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

pub(crate) async fn member_add(
    store: &Store,
    id: ImageId,
    member: &ProjectId,
    quota: Option<usize>,
) -> Result<Member, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    // takes the row, so that two who add at once cannot both be the last that fits
    let there = tx
        .execute("UPDATE images SET revision = revision WHERE id = $1 AND deleted_at IS NULL", args![id])
        .await
        .map_err(lost)?;
    if there == 0 {
        return Err(RegistryError::NotFound(id));
    }
    let (count,): (i64,) =
        tx.fetch_one("SELECT COUNT(*) FROM image_members WHERE image_id = $1", args![id]).await.map_err(lost)?;
    let inserted = tx
        .fetch_one::<Row>(
            "INSERT INTO image_members (image_id, member, status, created_at, updated_at)
             VALUES ($1, $2, 'pending', $3, $3) RETURNING image_id, member, status, created_at, updated_at",
            args![id, member, now],
        )
        .await;
    let row = match inserted {
        Err(DbError::Duplicate(_)) => return Err(RegistryError::Duplicate),
        other => other.map_err(lost)?,
    };
    let attempted = usize::try_from(amount(count)).unwrap_or(usize::MAX) + 1;
    if quota.is_some_and(|maximum| attempted > maximum) {
        return Err(RegistryError::TooMany { attempted });
    }
    record(&mut tx, id, now, "image.member_add", member.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    row.into_member()
}

pub(crate) async fn member_show(
    store: &Store,
    id: ImageId,
    member: &ProjectId,
) -> Result<Option<Member>, RegistryError> {
    let row: Option<Row> = store
        .db
        .fetch_optional("SELECT * FROM image_members WHERE image_id = $1 AND member = $2", args![id, member])
        .await
        .map_err(lost)?;
    row.map(Row::into_member).transpose()
}

pub(crate) async fn member_list(store: &Store, id: ImageId) -> Result<Vec<Member>, RegistryError> {
    let rows: Vec<Row> = store
        .db
        .fetch_all("SELECT * FROM image_members WHERE image_id = $1 ORDER BY created_at, member", args![id])
        .await
        .map_err(lost)?;
    rows.into_iter().map(Row::into_member).collect()
}

pub(crate) async fn member_update(
    store: &Store,
    id: ImageId,
    member: &ProjectId,
    status: MemberStatus,
) -> Result<Option<Member>, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let row: Option<Row> = tx
        .fetch_optional(
            "UPDATE image_members SET status = $3, updated_at = $4 WHERE image_id = $1 AND member = $2
             RETURNING image_id, member, status, created_at, updated_at",
            args![id, member, status.as_str(), now],
        )
        .await
        .map_err(lost)?;
    let Some(row) = row else { return Ok(None) };
    let detail = format!("{member}: {status}");
    record(&mut tx, id, now, "image.member_update", &detail).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    row.into_member().map(Some)
}

pub(crate) async fn member_remove(store: &Store, id: ImageId, member: &ProjectId) -> Result<bool, RegistryError> {
    let now = store.now();
    let mut tx = store.db.begin().await.map_err(lost)?;
    let removed = tx
        .execute("DELETE FROM image_members WHERE image_id = $1 AND member = $2", args![id, member])
        .await
        .map_err(lost)?;
    if removed == 0 {
        return Ok(false);
    }
    record(&mut tx, id, now, "image.member_remove", member.as_str()).await.map_err(lost)?;
    tx.commit().await.map_err(lost)?;
    Ok(true)
}
