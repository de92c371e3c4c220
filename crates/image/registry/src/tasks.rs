//! `image_tasks`: what clients see of them.

use crate::Store;
use crate::row::{amount, image_id, json, word};
use crate::store::lost;
use base::{ProjectId, Timestamp, UserId};
use image_model::{Claimed, RegistryError, Task, TaskId, TaskQuery, TaskSort};
use platform_db::{FromRow, SqlBuilder, Value, args, built};

/// What [`Row`] reads.
pub(crate) const COLUMNS: &str = "id, type, status, owner, user_id, request_id, image_id, input, plan, result, \
     message, tries, deadline, created_at, updated_at, expires_at";

#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) id: String,
    #[sqlx(rename = "type")]
    kind: String,
    status: String,
    owner: Option<String>,
    user_id: Option<String>,
    request_id: String,
    pub(crate) image_id: Option<String>,
    input: String,
    plan: String,
    result: Option<String>,
    message: String,
    tries: i64,
    deadline: i64,
    created_at: i64,
    updated_at: i64,
    expires_at: Option<i64>,
}

impl Row {
    pub(crate) fn into_task(self) -> Result<Task, RegistryError> {
        Ok(Task {
            id: TaskId(self.id),
            kind: word("type", &self.kind)?,
            status: word("status", &self.status)?,
            owner: self.owner.map(ProjectId),
            user: self.user_id.map(UserId),
            request: self.request_id.into(),
            image: self.image_id.as_deref().map(image_id).transpose()?,
            input: json("input", &self.input)?,
            result: self.result.as_deref().map(|r| json("result", r)).transpose()?,
            message: self.message,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            expires_at: self.expires_at.map(Timestamp),
        })
    }

    /// What was staged is in another table.
    pub(crate) fn into_claimed(self) -> Result<Claimed, RegistryError> {
        let plan = json("plan", &self.plan)?;
        let (deadline, tries) = (Timestamp(self.deadline), u32::try_from(amount(self.tries)).unwrap_or(u32::MAX));
        Ok(Claimed { task: self.into_task()?, plan, deadline, tries, staged: None })
    }
}

pub(crate) async fn task_show(store: &Store, id: &TaskId) -> Result<Option<Task>, RegistryError> {
    row(store, id).await?.map(Row::into_task).transpose()
}

async fn row(store: &Store, id: &TaskId) -> Result<Option<Row>, RegistryError> {
    let sql = format!("SELECT {COLUMNS} FROM image_tasks WHERE id = $1");
    store.db.fetch_optional(built(sql), args![id.as_str()]).await.map_err(lost)
}

pub(crate) async fn task_list(store: &Store, query: &TaskQuery) -> Result<Vec<Task>, RegistryError> {
    if query.limit == 0 {
        return Ok(Vec::new());
    }
    let mut q = SqlBuilder::new("SELECT ");
    q.push(COLUMNS).push(" FROM image_tasks WHERE 1 = 1");
    if let Some(status) = query.status {
        q.push(" AND status = ").bind(status.as_str());
    }
    if let Some(kind) = query.kind {
        q.push(" AND type = ").bind(kind.as_str());
    }
    if let Some(image) = query.image {
        q.push(" AND image_id = ").bind(image);
    }
    if let Some(owner) = &query.owner {
        q.push(" AND owner = ").bind(owner);
    }
    let (column, beyond, direction) =
        (expression(query.sort), if query.descending { " < " } else { " > " }, query.descending);
    if let Some(id) = &query.marker {
        let marker = row(store, id).await?.ok_or_else(|| RegistryError::NoTask(id.clone()))?;
        q.push(" AND (").push(column).push(beyond).bind(value_of(query.sort, &marker));
        q.push(" OR (").push(column).push(" = ").bind(value_of(query.sort, &marker));
        q.push(" AND id").push(beyond).bind(id.as_str()).push("))");
    }
    let direction = if direction { " DESC" } else { " ASC" };
    q.push(" ORDER BY ").push(column).push(direction).push(", id").push(direction).push(" LIMIT ").bind(query.limit);
    let (sql, args) = q.finish();
    let rows: Vec<Row> = store.db.fetch_all(sql, args).await.map_err(lost)?;
    rows.into_iter().map(Row::into_task).collect()
}

/// Never NULL, so that the order is the same on both engines.
fn expression(sort: TaskSort) -> &'static str {
    match sort {
        TaskSort::ExpiresAt => "COALESCE(expires_at, 0)",
        other => other.as_str(),
    }
}

fn value_of(sort: TaskSort, row: &Row) -> Value {
    match sort {
        TaskSort::Id => Value::from(&row.id),
        TaskSort::Type => Value::from(&row.kind),
        TaskSort::Status => Value::from(&row.status),
        TaskSort::CreatedAt => Value::from(row.created_at),
        TaskSort::UpdatedAt => Value::from(row.updated_at),
        TaskSort::ExpiresAt => Value::from(row.expires_at.unwrap_or(0)),
    }
}
