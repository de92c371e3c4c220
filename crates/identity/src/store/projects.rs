//! `identity_projects`: projects, and domains, which are projects without a domain.

use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct ProjectRow {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `None`: it is a domain.
    pub(crate) domain_id: Option<String>,
    pub(crate) parent_id: Option<String>,
    pub(crate) is_domain: bool,
    pub(crate) enabled: bool,
    pub(crate) description: String,
    pub(crate) options: String,
    pub(crate) extra: String,
}

pub(crate) async fn get(db: &Db, id: &str) -> Result<Option<ProjectRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_projects WHERE id = $1", args![id]).await
}

pub(crate) async fn domain(db: &Db, id: &str) -> Result<Option<ProjectRow>, DbError> {
    Ok(get(db, id).await?.filter(|p| p.is_domain))
}

pub(crate) async fn domain_by_name(db: &Db, name: &str) -> Result<Option<ProjectRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_projects WHERE domain_id IS NULL AND name = $1", args![name]).await
}

pub(crate) async fn by_name(db: &Db, domain_id: &str, name: &str) -> Result<Option<ProjectRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_projects WHERE domain_id = $1 AND name = $2", args![domain_id, name])
        .await
}

pub(crate) async fn lock(tx: &mut Tx, id: &str) -> Result<Option<ProjectRow>, DbError> {
    tx.fetch_optional("UPDATE identity_projects SET id = id WHERE id = $1 RETURNING *", args![id]).await
}

pub(crate) async fn insert(tx: &mut Tx, p: &ProjectRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_projects (id, name, domain_id, parent_id, is_domain, enabled, description, options, extra)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            &p.id,
            &p.name,
            p.domain_id.clone(),
            p.parent_id.clone(),
            p.is_domain,
            p.enabled,
            &p.description,
            &p.options,
            &p.extra
        ],
    )
    .await?;
    Ok(())
}

/// What may change: where a project belongs may not.
pub(crate) async fn update(tx: &mut Tx, p: &ProjectRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_projects SET name = $2, enabled = $3, description = $4, options = $5, extra = $6 WHERE id = $1",
        args![&p.id, &p.name, p.enabled, &p.description, &p.options, &p.extra],
    )
    .await?;
    Ok(())
}

/// The projects themselves, and what was assigned on them. For a domain: all that lives in it too.
pub(crate) async fn delete(tx: &mut Tx, ids: &[String]) -> Result<(), DbError> {
    for id in ids {
        tx.execute(
            "DELETE FROM identity_assignments WHERE target_id = $1
                OR target_id IN (SELECT id FROM identity_projects WHERE domain_id = $1)
                OR actor_id IN (SELECT id FROM identity_users WHERE domain_id = $1)
                OR actor_id IN (SELECT id FROM identity_groups WHERE domain_id = $1)",
            args![id],
        )
        .await?;
        tx.execute("UPDATE identity_users SET default_project_id = NULL WHERE default_project_id = $1", args![id])
            .await?;
        tx.execute("DELETE FROM identity_credentials WHERE project_id = $1", args![id]).await?;
        tx.execute("DELETE FROM identity_projects WHERE id = $1", args![id]).await?;
    }
    Ok(())
}

/// Everything below a project, nearest first.
pub(crate) async fn below(db: &Db, id: &str) -> Result<Vec<ProjectRow>, DbError> {
    db.fetch_all(
        "WITH RECURSIVE below(id, depth) AS (
             SELECT id, 1 FROM identity_projects WHERE parent_id = $1
             UNION ALL
             SELECT p.id, b.depth + 1 FROM identity_projects p JOIN below b ON p.parent_id = b.id)
         SELECT p.* FROM identity_projects p JOIN below b ON b.id = p.id ORDER BY b.depth, p.id",
        args![id],
    )
    .await
}

/// From the parent up to (and without) the domain.
pub(crate) async fn above(db: &Db, id: &str) -> Result<Vec<ProjectRow>, DbError> {
    db.fetch_all(
        "WITH RECURSIVE above(id, parent_id, depth) AS (
             SELECT id, parent_id, 0 FROM identity_projects WHERE id = $1
             UNION ALL
             SELECT p.id, p.parent_id, a.depth + 1 FROM identity_projects p JOIN above a ON p.id = a.parent_id)
         SELECT p.* FROM identity_projects p JOIN above a ON a.id = p.id
         WHERE a.depth > 0 AND p.domain_id IS NOT NULL ORDER BY a.depth",
        args![id],
    )
    .await
}

#[derive(Debug, Default)]
pub(crate) struct ProjectFilter<'a> {
    pub(crate) domain_id: Option<&'a str>,
    pub(crate) parent_id: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) enabled: Option<bool>,
    pub(crate) is_domain: bool,
    /// Only those on which this user has a role.
    pub(crate) of_user: Option<&'a str>,
}

/// A condition on `p`: `$1`, a user, has a role there, directly or inherited.
const REACHABLE: &str = "
    WITH RECURSIVE actors(type, id) AS (
        SELECT 'user', CAST($1 AS TEXT)
        UNION SELECT 'group', group_id FROM identity_group_members WHERE user_id = $1),
    held(target_type, target_id, inherited) AS (
        SELECT a.target_type, a.target_id, a.inherited FROM identity_assignments a
        JOIN actors x ON x.type = a.actor_type AND x.id = a.actor_id),
    below(id) AS (
        SELECT target_id FROM held WHERE inherited AND target_type <> 'system'
        UNION SELECT p.id FROM identity_projects p JOIN below b ON p.parent_id = b.id)";

pub(crate) async fn list(db: &Db, f: &ProjectFilter<'_>) -> Result<Vec<ProjectRow>, DbError> {
    let mut q = match f.of_user {
        Some(user) => {
            let mut q = SqlBuilder::new(REACHABLE);
            q.bind_silently(user);
            let direct = if f.is_domain { "domain" } else { "project" };
            q.push(&format!(
                " SELECT p.* FROM identity_projects p WHERE (p.id IN
                    (SELECT target_id FROM held WHERE NOT inherited AND target_type = '{direct}')"
            ));
            if !f.is_domain {
                q.push(" OR p.parent_id IN (SELECT id FROM below)");
            }
            q.push(")");
            q
        }
        None => SqlBuilder::new("SELECT p.* FROM identity_projects p WHERE 1 = 1"),
    };
    q.push(if f.is_domain { " AND p.is_domain" } else { " AND NOT p.is_domain" });
    if let Some(v) = f.domain_id {
        q.push(" AND p.domain_id = ").bind(v);
    }
    if let Some(v) = f.parent_id {
        q.push(" AND p.parent_id = ").bind(v);
    }
    if let Some(v) = f.name {
        q.push(" AND p.name = ").bind(v);
    }
    if let Some(v) = f.enabled {
        q.push(" AND p.enabled = ").bind(v);
    }
    q.push(" ORDER BY p.id");
    let (sql, args) = q.finish();
    db.fetch_all(sql, args).await
}

pub(crate) async fn tags(db: &Db, id: &str) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> =
        db.fetch_all("SELECT name FROM identity_project_tags WHERE project_id = $1 ORDER BY name", args![id]).await?;
    Ok(rows.into_iter().map(|r| r.0).collect())
}

/// Tags of all projects that have any: (project, tag).
pub(crate) async fn all_tags(db: &Db) -> Result<Vec<(String, String)>, DbError> {
    db.fetch_all("SELECT project_id, name FROM identity_project_tags ORDER BY project_id, name", args![]).await
}

pub(crate) async fn set_tags(tx: &mut Tx, id: &str, tags: &[String]) -> Result<(), DbError> {
    tx.execute("DELETE FROM identity_project_tags WHERE project_id = $1", args![id]).await?;
    for tag in tags {
        add_tag(tx, id, tag).await?;
    }
    Ok(())
}

pub(crate) async fn add_tag(tx: &mut Tx, id: &str, tag: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_project_tags (project_id, name) VALUES ($1, $2) ON CONFLICT (project_id, name) DO NOTHING",
        args![id, tag],
    )
    .await?;
    Ok(())
}

pub(crate) async fn remove_tag(tx: &mut Tx, id: &str, tag: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM identity_project_tags WHERE project_id = $1 AND name = $2", args![id, tag]).await? > 0)
}
