//! `instance_actions` and their events: what was asked of a server, by whom, and what came of it.

use crate::Store;
use base::{InstanceId, ProjectId, RequestId, Timestamp, UserId};
use platform_db::{DbError, FromRow, SqlBuilder, Tx, Value, args};

#[derive(Clone, Debug, FromRow)]
pub struct InstanceAction {
    pub id: i64,
    pub instance: String,
    pub action: String,
    pub request_id: String,
    pub project_id: String,
    pub user_id: String,
    pub message: Option<String>,
    pub started_at: i64,
    pub updated_at: i64,
    pub finished_at: Option<i64>,
}

#[derive(Clone, Debug, FromRow)]
pub struct InstanceActionEvent {
    pub id: i64,
    pub action_id: i64,
    pub event: String,
    pub host: Option<String>,
    pub started_at: i64,
    pub finished_at: Option<i64>,
    /// None while it runs, then `Success` or `Error`.
    pub result: Option<String>,
    pub details: Option<String>,
}

pub struct NewAction<'a> {
    pub instance: InstanceId,
    /// Nova's name: `create`, `stop`, …
    pub action: &'a str,
    pub request_id: &'a RequestId,
    pub project_id: &'a ProjectId,
    pub user_id: &'a UserId,
}

/// Begins an action, in the transaction that accepts the request. Returns its id.
pub async fn action_begin(tx: &mut Tx, now: Timestamp, a: NewAction<'_>) -> Result<i64, DbError> {
    let id = base::entropy::ordered(now);
    actions_insert(tx, now, vec![(id, a)]).await?;
    Ok(id)
}

/// Begins one action for each server. Returns their ids, in the order given.
pub async fn actions_begin(tx: &mut Tx, now: Timestamp, actions: Vec<NewAction<'_>>) -> Result<Vec<i64>, DbError> {
    let actions: Vec<_> = actions.into_iter().map(|a| (base::entropy::ordered(now), a)).collect();
    let ids = actions.iter().map(|(id, _)| *id).collect();
    actions_insert(tx, now, actions).await?;
    Ok(ids)
}

async fn actions_insert(tx: &mut Tx, now: Timestamp, actions: Vec<(i64, NewAction<'_>)>) -> Result<(), DbError> {
    let rows = actions
        .into_iter()
        .map(|(id, a)| args![id, a.instance, a.action, a.request_id, a.project_id, a.user_id, now, now]);
    let into =
        "INSERT INTO instance_actions (id, instance, action, request_id, project_id, user_id, started_at, updated_at)";
    tx.insert_all(into, rows.collect()).await
}

/// Ends an action. `message` is shown with it when it failed (`Error`).
pub async fn action_end(tx: &mut Tx, now: Timestamp, id: i64, message: Option<&str>) -> Result<(), DbError> {
    tx.execute(
        "UPDATE instance_actions SET finished_at = $2, updated_at = $2, message = COALESCE($3, message) WHERE id = $1",
        args![id, now, message],
    )
    .await?;
    Ok(())
}

/// Adds an event that has ended (`error: None`: with success), or one that begins (`ended: None`).
pub async fn event_add(
    tx: &mut Tx,
    action_id: i64,
    event: &str,
    host: Option<&str>,
    began: Timestamp,
    ended: Option<(Timestamp, Option<&str>)>,
) -> Result<(), DbError> {
    event_insert(tx, action_id, event, host, began, ended).await?;
    let changed = ended.map_or(began, |(at, _)| at);
    tx.execute("UPDATE instance_actions SET updated_at = $2 WHERE id = $1", args![action_id, changed]).await?;
    Ok(())
}

/// Ends an action with its last event: well, or with `error`.
pub async fn action_end_with(
    tx: &mut Tx,
    now: Timestamp,
    action_id: i64,
    event: &str,
    host: Option<&str>,
    error: Option<&str>,
) -> Result<(), DbError> {
    event_insert(tx, action_id, event, host, now, Some((now, error))).await?;
    action_end(tx, now, action_id, error.map(|_| "Error")).await
}

/// Adds an event that has ended well to each of these actions, and ends the action with it if `last`. (action, host)
pub async fn events_add(
    tx: &mut Tx,
    now: Timestamp,
    event: &str,
    of: &[(i64, Option<&str>)],
    last: bool,
) -> Result<(), DbError> {
    let rows = of.iter().map(|(action, host)| event_row(*action, event, *host, now, Some((now, None))));
    tx.insert_all(EVENT, rows.collect()).await?;
    let mut q = SqlBuilder::new("UPDATE instance_actions SET updated_at = ");
    q.bind(now);
    if last {
        q.push(", finished_at = ").bind(now);
    }
    q.push(" WHERE id IN (").bind_rows(tx.dialect(), of.iter().map(|(action, _)| args![*action]).collect()).push(")");
    let (sql, values) = q.finish();
    tx.execute(sql, values).await?;
    Ok(())
}

const EVENT: &str =
    "INSERT INTO instance_action_events (id, action_id, event, host, started_at, finished_at, result, details)";

fn event_row(
    action_id: i64,
    event: &str,
    host: Option<&str>,
    began: Timestamp,
    ended: Option<(Timestamp, Option<&str>)>,
) -> Vec<Value> {
    let (finished, result, details) = match ended {
        None => (None, None, None),
        Some((at, None)) => (Some(at), Some("Success"), None),
        Some((at, Some(why))) => (Some(at), Some("Error"), Some(why)),
    };
    let id = base::entropy::ordered(ended.map_or(began, |(at, _)| at));
    args![id, action_id, event, host, began, finished, result, details]
}

async fn event_insert(
    tx: &mut Tx,
    action_id: i64,
    event: &str,
    host: Option<&str>,
    began: Timestamp,
    ended: Option<(Timestamp, Option<&str>)>,
) -> Result<(), DbError> {
    tx.insert_all(EVENT, vec![event_row(action_id, event, host, began, ended)]).await
}

/// Which actions of a server, newest first.
#[derive(Clone, Debug, Default)]
pub struct ActionQuery {
    /// Changed at that time or later, or earlier.
    pub since: Option<Timestamp>,
    pub before: Option<Timestamp>,
    /// Request id of the last action of the page before.
    pub marker: Option<String>,
    /// `None`: all.
    pub limit: Option<usize>,
}

impl Store {
    /// `None`: the server has no action of the marker's request.
    pub async fn actions_page(
        &self,
        instance: InstanceId,
        query: &ActionQuery,
    ) -> Result<Option<Vec<InstanceAction>>, DbError> {
        let mut q = SqlBuilder::new("SELECT * FROM instance_actions WHERE instance = ");
        q.bind(instance);
        if let Some(since) = query.since {
            q.push(" AND updated_at >= ").bind(since);
        }
        if let Some(before) = query.before {
            q.push(" AND updated_at <= ").bind(before);
        }
        if let Some(marker) = &query.marker {
            let Some(at) = self.action_by_request(instance, marker).await? else { return Ok(None) };
            q.push(" AND (started_at, id) < (").bind(at.started_at).push(", ").bind(at.id).push(")");
        }
        q.push(" ORDER BY started_at DESC, id DESC");
        if let Some(limit) = query.limit {
            q.push(" LIMIT ").bind(limit);
        }
        let (sql, values) = q.finish();
        self.db().fetch_all(sql, values).await.map(Some)
    }

    /// All of a server's actions, newest first.
    pub async fn actions_list(&self, instance: InstanceId) -> Result<Vec<InstanceAction>, DbError> {
        self.db()
            .fetch_all(
                "SELECT * FROM instance_actions WHERE instance = $1 ORDER BY started_at DESC, id DESC",
                args![instance],
            )
            .await
    }
    pub async fn action_by_request(
        &self,
        instance: InstanceId,
        request_id: &str,
    ) -> Result<Option<InstanceAction>, DbError> {
        self.db()
            .fetch_optional(
                "SELECT * FROM instance_actions WHERE instance = $1 AND request_id = $2 ORDER BY id LIMIT 1",
                args![instance, request_id],
            )
            .await
    }
    pub async fn action_events(&self, action_id: i64) -> Result<Vec<InstanceActionEvent>, DbError> {
        self.db()
            .fetch_all(
                "SELECT * FROM instance_action_events WHERE action_id = $1 ORDER BY started_at DESC, id DESC",
                args![action_id],
            )
            .await
    }
}
