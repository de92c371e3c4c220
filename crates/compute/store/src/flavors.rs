//! `flavors` and `flavor_access`: the sizes of servers, and which projects may see the private ones.

use crate::Store;
use crate::instances::json;
use base::{Gib, Mib, Timestamp};
use compute_model::spec::FlavorSpec;
use platform_db::{DbError, FromRow, SqlBuilder, Tx, args};
use std::collections::BTreeMap;

#[derive(Clone, Debug, FromRow)]
pub struct Flavor {
    pub flavor_id: String,
    pub name: String,
    pub vcpus: i64,
    pub ram_mib: i64,
    pub root_gib: i64,
    pub ephemeral_gib: i64,
    pub swap_mib: i64,
    pub rxtx_factor: f64,
    pub is_public: bool,
    pub disabled: bool,
    pub description: Option<String>,
    /// JSON object of strings.
    pub extra_specs: String,
    pub created_at: i64,
    pub updated_at: Option<i64>,
}

impl Flavor {
    pub fn extra_specs(&self) -> BTreeMap<String, String> {
        json("extra_specs", &self.extra_specs).unwrap_or_default()
    }

    /// As a server that is created now keeps it.
    pub fn spec(&self) -> FlavorSpec {
        FlavorSpec {
            flavor_id: self.flavor_id.clone(),
            name: self.name.clone(),
            vcpus: u32::try_from(self.vcpus).unwrap_or(u32::MAX),
            ram: Mib(self.ram_mib.unsigned_abs()),
            root_disk: Gib(self.root_gib.unsigned_abs()),
            ephemeral_disk: Gib(self.ephemeral_gib.unsigned_abs()),
            swap: Mib(self.swap_mib.unsigned_abs()),
            extra_specs: self.extra_specs(),
        }
    }
}

/// Who looks: a private flavor is there only for admins and for the projects that were given access.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    All,
    /// `None`: the caller has no project, and sees public flavors only.
    Project(Option<&'a str>),
}

impl Sight<'_> {
    fn push(self, q: &mut SqlBuilder) {
        match self {
            Self::All => q.push("1 = 1"),
            Self::Project(None) => q.push("is_public = ").bind(true),
            Self::Project(Some(project)) => {
                q.push("(is_public = ").bind(true).push(" OR ");
                push_access(q, project);
                q.push(")")
            }
        };
    }
}

fn push_access(q: &mut SqlBuilder, project: &str) {
    q.push("EXISTS (SELECT 1 FROM flavor_access a WHERE a.flavor_id = flavors.flavor_id AND a.project_id = ")
        .bind(project)
        .push(")");
}

pub struct NewFlavor<'a> {
    pub flavor_id: &'a str,
    pub name: &'a str,
    pub vcpus: i64,
    pub ram_mib: i64,
    pub root_gib: i64,
    pub ephemeral_gib: i64,
    pub swap_mib: i64,
    pub rxtx_factor: f64,
    pub is_public: bool,
    pub description: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlavorAdded {
    Yes,
    NameTaken,
    IdTaken,
}

pub async fn flavor_add(tx: &mut Tx, now: Timestamp, f: &NewFlavor<'_>) -> Result<FlavorAdded, DbError> {
    let added = tx
        .execute(
            "INSERT INTO flavors (flavor_id, name, vcpus, ram_mib, root_gib, ephemeral_gib, swap_mib, rxtx_factor,
                                  is_public, disabled, description, extra_specs, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '{}', $12) ON CONFLICT DO NOTHING",
            args![
                f.flavor_id,
                f.name,
                f.vcpus,
                f.ram_mib,
                f.root_gib,
                f.ephemeral_gib,
                f.swap_mib,
                f.rxtx_factor,
                f.is_public,
                false,
                f.description,
                now
            ],
        )
        .await?;
    if added == 1 {
        return Ok(FlavorAdded::Yes);
    }
    Ok(match flavor_get(tx, f.flavor_id).await? {
        Some(_) => FlavorAdded::IdTaken,
        None => FlavorAdded::NameTaken,
    })
}

pub async fn flavor_get(tx: &mut Tx, flavor_id: &str) -> Result<Option<Flavor>, DbError> {
    tx.fetch_optional("SELECT * FROM flavors WHERE flavor_id = $1", args![flavor_id]).await
}

/// `None`: there is no such flavor.
pub async fn flavor_describe(
    tx: &mut Tx,
    now: Timestamp,
    flavor_id: &str,
    description: Option<&str>,
) -> Result<Option<Flavor>, DbError> {
    tx.fetch_optional(
        "UPDATE flavors SET description = $2, updated_at = $3 WHERE flavor_id = $1 RETURNING *",
        args![flavor_id, description, now],
    )
    .await
}

/// Servers keep their copy of it. `false`: there is no such flavor.
pub async fn flavor_delete(tx: &mut Tx, flavor_id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM flavors WHERE flavor_id = $1", args![flavor_id]).await? == 1)
}

/// Lets `change` edit the extra specs; its answer is passed on, and nothing is written if it is an error.
/// `None`: there is no such flavor.
pub async fn extra_specs_change<E>(
    tx: &mut Tx,
    now: Timestamp,
    flavor_id: &str,
    change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), E>,
) -> Result<Option<Result<(), E>>, DbError> {
    loop {
        let Some(flavor) = flavor_get(tx, flavor_id).await? else { return Ok(None) };
        let mut specs = flavor.extra_specs();
        if let Err(refused) = change(&mut specs) {
            return Ok(Some(Err(refused)));
        }
        let text = serde_json::to_string(&specs).unwrap_or_default();
        let written = tx
            .execute(
                "UPDATE flavors SET extra_specs = $2, updated_at = $3 WHERE flavor_id = $1 AND extra_specs = $4",
                args![flavor_id, text, now, flavor.extra_specs],
            )
            .await?;
        // 0: another writer on PostgreSQL was between our two statements, so look again
        if written == 1 {
            return Ok(Some(Ok(())));
        }
    }
}

/// `false`: it has access already.
pub async fn access_add(tx: &mut Tx, flavor_id: &str, project_id: &str) -> Result<bool, DbError> {
    let added = tx
        .execute(
            "INSERT INTO flavor_access (flavor_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            args![flavor_id, project_id],
        )
        .await?;
    Ok(added == 1)
}

/// `false`: it had no access.
pub async fn access_remove(tx: &mut Tx, flavor_id: &str, project_id: &str) -> Result<bool, DbError> {
    let removed = tx
        .execute("DELETE FROM flavor_access WHERE flavor_id = $1 AND project_id = $2", args![flavor_id, project_id])
        .await?;
    Ok(removed == 1)
}

/// Columns a list may be sorted by, by their names on the wire.
const SORT_KEYS: &[(&str, &str)] = &[
    ("created_at", "created_at"),
    ("description", "COALESCE(description, '')"),
    ("disabled", "disabled"),
    ("ephemeral_gb", "ephemeral_gib"),
    ("flavorid", "flavor_id"),
    ("id", "created_at"),
    ("is_public", "is_public"),
    ("memory_mb", "ram_mib"),
    ("name", "name"),
    ("root_gb", "root_gib"),
    ("rxtx_factor", "rxtx_factor"),
    ("swap", "swap_mib"),
    ("updated_at", "COALESCE(updated_at, 0)"),
    // a column of Nova's that nothing writes
    ("vcpu_weight", "vcpus * 0"),
    ("vcpus", "vcpus"),
];

pub struct FlavorList<'a> {
    pub sight: Sight<'a>,
    /// `None`: public and private.
    pub is_public: Option<bool>,
    /// With `is_public: Some(true)`: private flavors of this project too.
    pub project: Option<&'a str>,
    pub disabled: Option<bool>,
    pub min_ram_mib: Option<i64>,
    pub min_root_gib: Option<i64>,
    /// A regular expression.
    pub name: Option<&'a str>,
    /// One of Nova's names; unknown ones mean `flavorid`.
    pub sort_key: &'a str,
    pub descending: bool,
    pub limit: usize,
    /// The flavor after which to go on: one that is there.
    pub marker: Option<&'a str>,
}

impl Store {
    /// The flavor, if `sight` has it.
    pub async fn flavor_fetch(&self, flavor_id: &str, sight: Sight<'_>) -> Result<Option<Flavor>, DbError> {
        let mut q = SqlBuilder::new("SELECT * FROM flavors WHERE flavor_id = ");
        q.bind(flavor_id).push(" AND ");
        sight.push(&mut q);
        let (sql, values) = q.finish();
        self.db().fetch_optional(sql, values).await
    }

    pub async fn flavor_list(&self, f: &FlavorList<'_>) -> Result<Vec<Flavor>, DbError> {
        let key = SORT_KEYS.iter().find(|(name, _)| *name == f.sort_key).map_or("flavor_id", |(_, column)| column);
        let mut q = SqlBuilder::new("SELECT * FROM flavors WHERE ");
        f.sight.push(&mut q);
        if let Some(public) = f.is_public {
            q.push(" AND (is_public = ").bind(public);
            if let (true, Some(project)) = (public, f.project) {
                q.push(" OR ");
                push_access(&mut q, project);
            }
            q.push(")");
        }
        if let Some(disabled) = f.disabled {
            q.push(" AND disabled = ").bind(disabled);
        }
        if let Some(least) = f.min_ram_mib {
            q.push(" AND ram_mib >= ").bind(least);
        }
        if let Some(least) = f.min_root_gib {
            q.push(" AND root_gib >= ").bind(least);
        }
        if let Some(pattern) = f.name {
            let condition = self.db().matches_regex("name", q.next_placeholder());
            q.push(" AND ").push(&condition).bind_silently(pattern);
        }
        let (beyond, direction) = if f.descending { ("<", "DESC") } else { (">", "ASC") };
        if let Some(marker) = f.marker {
            q.push(&format!(
                " AND ({key}, flavor_id) {beyond} (SELECT {key}, flavor_id FROM flavors WHERE flavor_id = "
            ))
            .bind(marker)
            .push(")");
        }
        q.push(&format!(" ORDER BY {key} {direction}, flavor_id {direction} LIMIT ")).bind(f.limit);
        let (sql, values) = q.finish();
        self.db().fetch_all(sql, values).await
    }

    /// Projects that may see a private flavor.
    pub async fn access_list(&self, flavor_id: &str) -> Result<Vec<String>, DbError> {
        let rows: Vec<(String,)> = self
            .db()
            .fetch_all(
                "SELECT project_id FROM flavor_access WHERE flavor_id = $1 ORDER BY project_id",
                args![flavor_id],
            )
            .await?;
        Ok(rows.into_iter().map(|(p,)| p).collect())
    }
}

/// Id, name, vCPUs, RAM (MiB), root disk (GiB): the flavors a fresh devstack has, under their usual ids.
const DEFAULTS: &[(&str, &str, i64, i64, i64)] = &[
    ("42", "m1.nano", 1, 192, 1),
    ("84", "m1.micro", 1, 256, 1),
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
    ("5", "m1.xlarge", 8, 16384, 160),
];

/// Adds the default flavors, once in the life of a database: what an admin deletes stays deleted.
pub async fn ensure_defaults(tx: &mut Tx, now: Timestamp) -> Result<(), DbError> {
    let done: Option<(i64,)> =
        tx.fetch_optional("SELECT value FROM sequences WHERE name = 'default_flavors'", args![]).await?;
    if done.is_some() {
        return Ok(());
    }
    tx.next_id("default_flavors").await?;
    for (flavor_id, name, vcpus, ram_mib, root_gib) in DEFAULTS {
        let flavor = NewFlavor {
            flavor_id,
            name,
            vcpus: *vcpus,
            ram_mib: *ram_mib,
            root_gib: *root_gib,
            ephemeral_gib: 0,
            swap_mib: 0,
            rxtx_factor: 1.0,
            is_public: true,
            description: None,
        };
        flavor_add(tx, now, &flavor).await?;
    }
    Ok(())
}
