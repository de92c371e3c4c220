//! `quota_usage`: what each project uses of instances, cores and ram (MiB), changed in the transaction that changes the
//! servers. What it may use is in [`crate::quota_limits`].

use crate::Store;
use crate::instances::json;
use crate::quota_limits::Limits;
use compute_model::quota::{Amounts, OverQuota, within};
use compute_model::spec::{FlavorSpec, ImageSpec};
use platform_db::{DbError, FromRow, Tx, args};

/// Why a claim was not made. The transaction must be dropped then: that is what undoes it.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error(transparent)]
    Over(#[from] OverQuota),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What limits say about the three amounts that servers use.
pub fn amounts_of(limits: &Limits) -> Amounts {
    Amounts { instances: limits.get("instances"), cores: limits.get("cores"), ram: limits.get("ram") }
}

/// Adds `wanted` to what the project uses and looks whether it is still within `allowed`. One statement. On PostgreSQL
/// the rows' locks make claims of one project wait for each other, so two cannot take the same last core.
pub async fn usage_claim(tx: &mut Tx, project: &str, wanted: Amounts, allowed: Amounts) -> Result<(), ClaimError> {
    let rows: Vec<(String, i64)> = tx
        .fetch_all(
            "INSERT INTO quota_usage (project_id, resource, in_use)
             VALUES ($1, 'cores', $2), ($1, 'instances', $3), ($1, 'ram', $4)
             ON CONFLICT (project_id, resource) DO UPDATE SET in_use = quota_usage.in_use + excluded.in_use
             RETURNING resource, in_use",
            args![project, wanted.cores, wanted.instances, wanted.ram],
        )
        .await?;
    let now = |resource: &str| rows.iter().find(|(r, _)| r == resource).map_or(0, |(_, n)| *n);
    let before = Amounts {
        instances: now("instances") - wanted.instances,
        cores: now("cores") - wanted.cores,
        ram: now("ram") - wanted.ram,
    };
    Ok(within(before, wanted, allowed)?)
}

/// Holds a user to limits of his own, by counting his servers in the project: those that make up `added` are among them
/// already.
pub async fn usage_check_user(
    tx: &mut Tx,
    project: &str,
    user: &str,
    added: Amounts,
    allowed: Amounts,
) -> Result<(), ClaimError> {
    let (instances, cores, ram): (i64, i64, i64) = tx
        .fetch_one(
            "SELECT COUNT(*), CAST(COALESCE(SUM(vcpus), 0) AS BIGINT), CAST(COALESCE(SUM(ram_mib), 0) AS BIGINT)
             FROM instances WHERE project_id = $1 AND user_id = $2 AND deleted_at IS NULL",
            args![project, user],
        )
        .await?;
    let before = Amounts { instances: instances - added.instances, cores: cores - added.cores, ram: ram - added.ram };
    Ok(within(before, added, allowed)?)
}

/// Gives back what servers used. Never goes below zero: a counter that is too low is better than a server that cannot
/// be deleted. Takes the rows in the order of [`usage_claim`]: in another one the two could wait for each other.
pub async fn usage_release(tx: &mut Tx, project: &str, instances: i64, cores: i64, ram: i64) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO quota_usage (project_id, resource, in_use)
         SELECT project_id, resource, CASE resource WHEN 'cores' THEN $2 WHEN 'instances' THEN $3 ELSE $4 END
         FROM quota_usage WHERE project_id = $1 AND resource IN ('cores', 'instances', 'ram') ORDER BY resource
         ON CONFLICT (project_id, resource) DO UPDATE SET in_use =
             CASE WHEN quota_usage.in_use > excluded.in_use THEN quota_usage.in_use - excluded.in_use ELSE 0 END",
        args![project, cores, instances, ram],
    )
    .await?;
    Ok(())
}

/// Servers of a project that were made of the same flavor and image.
#[derive(Clone, Debug, FromRow)]
pub struct Alike {
    flavor: String,
    image: Option<String>,
    pub count: i64,
}

impl Alike {
    /// `None`: the row was damaged.
    pub fn flavor(&self) -> Option<FlavorSpec> {
        json("flavor", &self.flavor)
    }
    /// `None`: they boot from volumes.
    pub fn image(&self) -> Option<ImageSpec> {
        self.image.as_deref().and_then(|text| json("image", text))
    }
}

const ALIKE: &str = "SELECT flavor, image, COUNT(*) AS count FROM instances
     WHERE project_id = $1 AND deleted_at IS NULL GROUP BY flavor, image";

/// What the project's servers are made of: for limits on what [`usage_claim`] does not count. After a claim, those of
/// the other claims are in it.
pub async fn servers_alike(tx: &mut Tx, project: &str) -> Result<Vec<Alike>, DbError> {
    tx.fetch_all(ALIKE, args![project]).await
}

impl Store {
    /// What the project's servers are made of.
    pub async fn servers_alike(&self, project: &str) -> Result<Vec<Alike>, DbError> {
        self.db().fetch_all(ALIKE, args![project]).await
    }

    /// What a project's servers use, as it is counted for claims.
    pub async fn quota_usage(&self, project: &str) -> Result<Amounts, DbError> {
        let rows: Vec<(String, i64)> = self
            .db()
            .fetch_all("SELECT resource, in_use FROM quota_usage WHERE project_id = $1", args![project])
            .await?;
        let of = |resource: &str| rows.iter().find(|(r, _)| r == resource).map_or(0, |(_, n)| *n);
        Ok(Amounts { instances: of("instances"), cores: of("cores"), ram: of("ram") })
    }
}
