//! `identity_assignments`: who has which role where, and what follows from it.

use platform_db::{Db, DbError, FromRow, SqlBuilder, Tx, args};

/// On what a role is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On<'a> {
    Project(&'a str),
    Domain(&'a str),
    System,
}

impl<'a> On<'a> {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Project(_) => "project",
            Self::Domain(_) => "domain",
            Self::System => "system",
        }
    }
    pub(crate) fn id(self) -> &'a str {
        match self {
            Self::Project(id) | Self::Domain(id) => id,
            Self::System => "system",
        }
    }
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor<'a> {
    User(&'a str),
    Group(&'a str),
}

impl<'a> Actor<'a> {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
        }
    }
    pub(crate) fn id(self) -> &'a str {
        match self {
            Self::User(id) | Self::Group(id) => id,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct AssignmentRow {
    pub(crate) actor_type: String,
    pub(crate) actor_id: String,
    pub(crate) target_type: String,
    pub(crate) target_id: String,
    pub(crate) role_id: String,
    pub(crate) inherited: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct RoleRef {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// Whether it is new.
pub(crate) async fn grant(
    tx: &mut Tx,
    actor: Actor<'_>,
    on: On<'_>,
    role_id: &str,
    inherited: bool,
) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "INSERT INTO identity_assignments (actor_type, actor_id, target_type, target_id, role_id, inherited)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (actor_id, target_id, role_id, inherited, actor_type, target_type) DO NOTHING",
            args![actor.kind(), actor.id(), on.kind(), on.id(), role_id, inherited],
        )
        .await?;
    Ok(n > 0)
}

pub(crate) async fn revoke(
    tx: &mut Tx,
    actor: Actor<'_>,
    on: On<'_>,
    role_id: &str,
    inherited: bool,
) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "DELETE FROM identity_assignments WHERE actor_type = $1 AND actor_id = $2 AND target_type = $3
             AND target_id = $4 AND role_id = $5 AND inherited = $6",
            args![actor.kind(), actor.id(), on.kind(), on.id(), role_id, inherited],
        )
        .await?;
    Ok(n > 0)
}

/// Ids of the roles given to exactly this actor on exactly this target.
pub(crate) async fn granted(db: &Db, actor: Actor<'_>, on: On<'_>, inherited: bool) -> Result<Vec<String>, DbError> {
    let rows: Vec<(String,)> = db
        .fetch_all(
            "SELECT role_id FROM identity_assignments WHERE actor_type = $1 AND actor_id = $2 AND target_type = $3
             AND target_id = $4 AND inherited = $5 ORDER BY role_id",
            args![actor.kind(), actor.id(), on.kind(), on.id(), inherited],
        )
        .await?;
    Ok(rows.into_iter().map(|r| r.0).collect())
}

/// Everything a user can do on a target: given to them or to a group of theirs, there or inherited from above, and
/// what those roles imply. Roles of a single domain count only for what they imply.
pub(crate) async fn effective(db: &Db, user_id: &str, on: On<'_>) -> Result<Vec<RoleRef>, DbError> {
    let sql = match on {
        On::Project(_) => EFFECTIVE_PROJECT,
        On::Domain(_) => EFFECTIVE_DOMAIN,
        On::System => EFFECTIVE_SYSTEM,
    };
    db.fetch_all(sql, args![user_id, on.id()]).await
}

macro_rules! effective {
    ($more:literal, $held:literal) => {
        concat!(
            "WITH RECURSIVE actors(type, id) AS (
                 SELECT 'user', CAST($1 AS TEXT)
                 UNION SELECT 'group', group_id FROM identity_group_members WHERE user_id = $1),",
            $more,
            " held(role_id) AS (
                 SELECT a.role_id FROM identity_assignments a
                 JOIN actors x ON x.type = a.actor_type AND x.id = a.actor_id WHERE ",
            $held,
            "    UNION
                 SELECT i.implied_role_id FROM identity_implied_roles i JOIN held h ON h.role_id = i.prior_role_id)
             SELECT r.id, r.name FROM identity_roles r WHERE r.domain_id IS NULL
             AND r.id IN (SELECT role_id FROM held) ORDER BY r.name"
        )
    };
}

const EFFECTIVE_PROJECT: &str = effective!(
    " above(id, parent_id) AS (
          SELECT id, parent_id FROM identity_projects WHERE id = $2
          UNION SELECT p.id, p.parent_id FROM identity_projects p JOIN above b ON p.id = b.parent_id),",
    "((a.target_type = 'project' AND a.target_id = $2 AND NOT a.inherited)
      OR (a.inherited AND a.target_id <> $2 AND a.target_id IN (SELECT id FROM above)))"
);
const EFFECTIVE_DOMAIN: &str = effective!("", "a.target_type = 'domain' AND a.target_id = $2 AND NOT a.inherited");
const EFFECTIVE_SYSTEM: &str = effective!("", "a.target_type = 'system' AND a.target_id = $2");

/// What is stored, narrowed down. `None`: any.
#[derive(Debug, Default)]
pub(crate) struct AssignmentFilter<'a> {
    pub(crate) actors: Vec<Actor<'a>>,
    pub(crate) targets: Vec<On<'a>>,
    pub(crate) role_id: Option<&'a str>,
    pub(crate) inherited: Option<bool>,
}

pub(crate) async fn list(db: &Db, f: &AssignmentFilter<'_>) -> Result<Vec<AssignmentRow>, DbError> {
    let mut q = SqlBuilder::new("SELECT * FROM identity_assignments WHERE 1 = 1");
    either(&mut q, &f.actors, |q, a| {
        q.push("(actor_type = ").bind(a.kind()).push(" AND actor_id = ").bind(a.id()).push(")");
    });
    either(&mut q, &f.targets, |q, t| {
        q.push("(target_type = ").bind(t.kind()).push(" AND target_id = ").bind(t.id()).push(")");
    });
    if let Some(v) = f.role_id {
        q.push(" AND role_id = ").bind(v);
    }
    if let Some(v) = f.inherited {
        q.push(" AND inherited = ").bind(v);
    }
    q.push(" ORDER BY actor_id, target_id, role_id, inherited");
    let (sql, args) = q.finish();
    db.fetch_all(sql, args).await
}

fn either<T: Copy>(q: &mut SqlBuilder, any_of: &[T], push: impl Fn(&mut SqlBuilder, T)) {
    for (i, one) in any_of.iter().enumerate() {
        q.push(if i == 0 { " AND (" } else { " OR " });
        push(q, *one);
    }
    if !any_of.is_empty() {
        q.push(")");
    }
}
