//! `identity_endpoint_groups`, and endpoints and groups associated with projects.

use super::catalog::EndpointRow;
use platform_db::{Db, DbError, FromRow, Tx, args};
use serde_json::{Map, Value, json};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct EndpointGroupRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) filters: String,
}

impl EndpointGroupRow {
    /// Whether its filter takes the endpoint: every attribute it names is the same.
    pub(crate) fn takes(&self, e: &EndpointRow) -> bool {
        let shown = json!({"service_id": e.service_id, "region_id": e.region_id, "interface": e.interface,
                           "enabled": e.enabled});
        let filters: Option<Map<String, Value>> = serde_json::from_str(&self.filters).ok();
        filters.is_some_and(|f| f.iter().all(|(k, v)| shown[k] == *v))
    }
}

pub(crate) async fn group(db: &Db, id: &str) -> Result<Option<EndpointGroupRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_endpoint_groups WHERE id = $1", args![id]).await
}

pub(crate) async fn groups(db: &Db) -> Result<Vec<EndpointGroupRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_endpoint_groups ORDER BY id", args![]).await
}

pub(crate) async fn insert_group(tx: &mut Tx, g: &EndpointGroupRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_endpoint_groups (id, name, description, filters) VALUES ($1, $2, $3, $4)",
        args![&g.id, &g.name, g.description.clone(), &g.filters],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update_group(tx: &mut Tx, g: &EndpointGroupRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_endpoint_groups SET name = $2, description = $3, filters = $4 WHERE id = $1",
        args![&g.id, &g.name, g.description.clone(), &g.filters],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete_group(tx: &mut Tx, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_endpoint_groups WHERE id = $1", args![id]).await? > 0)
}

/// What a project is joined to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Join {
    Endpoint,
    Group,
}

/// Whether it is new.
pub(crate) async fn join(tx: &mut Tx, what: Join, project: &str, id: &str) -> Result<bool, DbError> {
    let sql = match what {
        Join::Endpoint => {
            "INSERT INTO identity_project_endpoints (project_id, endpoint_id) VALUES ($1, $2)
             ON CONFLICT (project_id, endpoint_id) DO NOTHING"
        }
        Join::Group => {
            "INSERT INTO identity_project_endpoint_groups (project_id, endpoint_group_id) VALUES ($1, $2)
             ON CONFLICT (project_id, endpoint_group_id) DO NOTHING"
        }
    };
    Ok(tx.execute(sql, args![project, id]).await? > 0)
}

pub(crate) async fn part(tx: &mut Tx, what: Join, project: &str, id: &str) -> Result<bool, DbError> {
    let sql = match what {
        Join::Endpoint => "DELETE FROM identity_project_endpoints WHERE project_id = $1 AND endpoint_id = $2",
        Join::Group => "DELETE FROM identity_project_endpoint_groups WHERE project_id = $1 AND endpoint_group_id = $2",
    };
    Ok(tx.execute(sql, args![project, id]).await? > 0)
}

/// Ids a project is joined to.
pub(crate) async fn of_project(db: &Db, what: Join, project: &str) -> Result<Vec<String>, DbError> {
    let sql = match what {
        Join::Endpoint => {
            "SELECT endpoint_id FROM identity_project_endpoints WHERE project_id = $1 ORDER BY endpoint_id"
        }
        Join::Group => {
            "SELECT endpoint_group_id FROM identity_project_endpoint_groups WHERE project_id = $1 ORDER BY endpoint_group_id"
        }
    };
    let rows: Vec<(String,)> = db.fetch_all(sql, args![project]).await?;
    Ok(rows.into_iter().map(|r| r.0).collect())
}

/// All there are: (project, id).
pub(crate) async fn joins(db: &Db, what: Join) -> Result<Vec<(String, String)>, DbError> {
    let sql = match what {
        Join::Endpoint => "SELECT project_id, endpoint_id FROM identity_project_endpoints ORDER BY 1, 2",
        Join::Group => "SELECT project_id, endpoint_group_id FROM identity_project_endpoint_groups ORDER BY 1, 2",
    };
    db.fetch_all(sql, args![]).await
}

/// Ids of the projects joined to it.
pub(crate) async fn projects(db: &Db, what: Join, id: &str) -> Result<Vec<String>, DbError> {
    let sql = match what {
        Join::Endpoint => {
            "SELECT project_id FROM identity_project_endpoints WHERE endpoint_id = $1 ORDER BY project_id"
        }
        Join::Group => {
            "SELECT project_id FROM identity_project_endpoint_groups WHERE endpoint_group_id = $1 ORDER BY project_id"
        }
    };
    let rows: Vec<(String,)> = db.fetch_all(sql, args![id]).await?;
    Ok(rows.into_iter().map(|r| r.0).collect())
}
