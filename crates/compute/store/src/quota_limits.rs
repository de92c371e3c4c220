//! `quota_limits` and `quota_classes`: how much a project, or a user in it, may have. Use is counted in
//! [`crate::quotas`].

use crate::Store;
use platform_db::{DbError, Tx, args};
use std::collections::{BTreeMap, HashMap};

/// The class whose limits replace the built-in defaults.
pub const DEFAULT_CLASS: &str = "default";

/// Every resource a limit can be set for, with Nova's default; -1: no limit. In the order of Nova's answers.
pub const DEFAULTS: &[(&str, i64)] = &[
    ("cores", 20),
    ("fixed_ips", -1),
    ("floating_ips", -1),
    ("injected_file_content_bytes", 10240),
    ("injected_file_path_bytes", 255),
    ("injected_files", 5),
    ("instances", 10),
    ("key_pairs", 100),
    ("metadata_items", 128),
    ("ram", 51200),
    ("security_group_rules", -1),
    ("security_groups", -1),
    ("server_group_members", 10),
    ("server_groups", 10),
];

/// One limit for every resource of [`DEFAULTS`]; -1: none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits(BTreeMap<&'static str, i64>);

impl Limits {
    /// Of every resource of [`DEFAULTS`] what `limit` says.
    pub fn of(limit: impl Fn(&str) -> i64) -> Self {
        Self(DEFAULTS.iter().map(|(resource, _)| (*resource, limit(resource))).collect())
    }
    /// The limit of a resource; one that is not in [`DEFAULTS`] is unlimited.
    pub fn get(&self, resource: &str) -> i64 {
        self.0.get(resource).copied().unwrap_or(-1)
    }
    /// Whether `wanted` in all is within the limit.
    pub fn allows(&self, resource: &str, wanted: i64) -> bool {
        let limit = self.get(resource);
        limit < 0 || wanted <= limit
    }
    /// Lays the rows over the defaults, in the order of their rank: a class, a project, a user.
    fn over_defaults(mut rows: Vec<(i64, String, i64)>) -> Self {
        rows.sort_unstable();
        let mut limits: BTreeMap<&'static str, i64> = DEFAULTS.iter().copied().collect();
        for (_, resource, amount) in rows {
            if let Some(limit) = limits.get_mut(resource.as_str()) {
                *limit = amount;
            }
        }
        Self(limits)
    }
}

/// Whose limits are meant.
#[derive(Clone, Copy, Debug)]
pub enum LimitsOf<'a> {
    /// What projects without limits of their own have.
    Defaults,
    Class(&'a str),
    Project(&'a str),
    User {
        project: &'a str,
        user: &'a str,
    },
}

/// Numbers are cast because a bare one is an INTEGER on PostgreSQL.
const SELECT: &str = "SELECT CAST(0 AS BIGINT), resource, amount FROM quota_classes WHERE class = $1
     UNION ALL SELECT CAST(CASE user_id WHEN '' THEN 1 ELSE 2 END AS BIGINT), resource, amount FROM quota_limits
     WHERE project_id = $2 AND user_id IN ('', $3)";

impl LimitsOf<'_> {
    fn args(self) -> Vec<platform_db::Value> {
        let (class, project, user) = match self {
            Self::Defaults => (DEFAULT_CLASS, "", ""),
            Self::Class(class) => (class, "", ""),
            Self::Project(project) => (DEFAULT_CLASS, project, ""),
            Self::User { project, user } => (DEFAULT_CLASS, project, user),
        };
        args![class, project, user]
    }
}

/// The limits as they stand in this transaction: for claims.
pub async fn limits_get(tx: &mut Tx, of: LimitsOf<'_>) -> Result<Limits, DbError> {
    let rows: Vec<(i64, String, i64)> = tx.fetch_all(SELECT, of.args()).await?;
    Ok(Limits::over_defaults(rows))
}

/// Sets limits of a project, or of a user in it; those not named stay.
pub async fn limits_set(
    tx: &mut Tx,
    project: &str,
    user: Option<&str>,
    limits: &BTreeMap<String, i64>,
) -> Result<(), DbError> {
    for (resource, amount) in limits {
        tx.execute(
            "INSERT INTO quota_limits (project_id, user_id, resource, amount) VALUES ($1, $2, $3, $4)
             ON CONFLICT (project_id, user_id, resource) DO UPDATE SET amount = $4",
            args![project, user.unwrap_or_default(), resource, *amount],
        )
        .await?;
    }
    Ok(())
}

/// Back to the defaults: a user's limits, or (`None`) the project's and those of all its users.
pub async fn limits_reset(tx: &mut Tx, project: &str, user: Option<&str>) -> Result<(), DbError> {
    match user {
        Some(user) => {
            tx.execute("DELETE FROM quota_limits WHERE project_id = $1 AND user_id = $2", args![project, user]).await?
        }
        None => tx.execute("DELETE FROM quota_limits WHERE project_id = $1", args![project]).await?,
    };
    Ok(())
}

/// Sets limits of a class; those not named stay.
pub async fn class_set(tx: &mut Tx, class: &str, limits: &BTreeMap<String, i64>) -> Result<(), DbError> {
    for (resource, amount) in limits {
        tx.execute(
            "INSERT INTO quota_classes (class, resource, amount) VALUES ($1, $2, $3)
             ON CONFLICT (class, resource) DO UPDATE SET amount = $3",
            args![class, resource, *amount],
        )
        .await?;
    }
    Ok(())
}

/// What a project, or a user in it, has now, by resource. Resources that are not counted are not in it.
pub type Usage = HashMap<String, i64>;

impl Store {
    pub async fn limits_fetch(&self, of: LimitsOf<'_>) -> Result<Limits, DbError> {
        let rows: Vec<(i64, String, i64)> = self.db().fetch_all(SELECT, of.args()).await?;
        Ok(Limits::over_defaults(rows))
    }

    /// For each resource, the sum of the limits that users of the project have of their own.
    pub async fn limits_of_users(&self, project: &str) -> Result<HashMap<String, i64>, DbError> {
        let rows: Vec<(String, i64)> = self
            .db()
            .fetch_all(
                "SELECT resource, CAST(SUM(amount) AS BIGINT) FROM quota_limits
                 WHERE project_id = $1 AND user_id <> '' GROUP BY resource",
                args![project],
            )
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// The limits a user has of his own, without defaults.
    pub async fn limits_own(&self, project: &str, user: &str) -> Result<HashMap<String, i64>, DbError> {
        let rows: Vec<(String, i64)> = self
            .db()
            .fetch_all(
                "SELECT resource, amount FROM quota_limits WHERE project_id = $1 AND user_id = $2",
                args![project, user],
            )
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// What a project uses: the counters of its servers, and its server groups. One statement.
    pub async fn usage_of_project(&self, project: &str) -> Result<Usage, DbError> {
        let rows: Vec<(String, i64)> = self
            .db()
            .fetch_all(
                "SELECT resource, in_use FROM quota_usage WHERE project_id = $1
                 UNION ALL SELECT 'server_groups', COUNT(*) FROM server_groups WHERE project_id = $1",
                args![project],
            )
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// What one user of a project uses, counted from the rows themselves. One statement.
    pub async fn usage_of_user(&self, project: &str, user: &str) -> Result<Usage, DbError> {
        let (instances, cores, ram, groups): (i64, i64, i64, i64) = self
            .db()
            .fetch_one(
                "SELECT COUNT(*), CAST(COALESCE(SUM(vcpus), 0) AS BIGINT), CAST(COALESCE(SUM(ram_mib), 0) AS BIGINT),
                        (SELECT COUNT(*) FROM server_groups WHERE project_id = $1 AND user_id = $2)
                 FROM instances WHERE project_id = $1 AND user_id = $2 AND deleted_at IS NULL",
                args![project, user],
            )
            .await?;
        Ok([("instances", instances), ("cores", cores), ("ram", ram), ("server_groups", groups)]
            .map(|(resource, n)| (resource.to_owned(), n))
            .into())
    }
}
