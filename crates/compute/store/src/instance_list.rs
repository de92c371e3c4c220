//! `instances`: lists. Whatever is filtered and sorted, a page is one statement, and one more for its marker.

use crate::Store;
use crate::instances::{COLUMNS, Instance, InstanceRow};
use base::Timestamp;
use platform_db::{DbError, SqlBuilder, Value};

/// Which servers, deleted or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleted {
    #[default]
    No,
    Only,
    Any,
}

/// A column that may be filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column(&'static str);

/// Columns of text, by their names on the wire.
const TEXT_COLUMNS: &[(&str, &str)] = &[
    ("name", "name"),
    ("display_name", "name"),
    ("description", "description"),
    ("display_description", "description"),
    ("hostname", "hostname"),
    ("host", "host"),
    ("node", "node"),
    ("uuid", "uuid"),
    ("user_id", "user_id"),
    ("project_id", "project_id"),
    ("tenant_id", "project_id"),
    ("flavor", "flavor_id"),
    ("image", "image_id"),
    ("image_ref", "image_id"),
    ("key_name", "key_name"),
    ("reservation_id", "reservation_id"),
    ("availability_zone", "availability_zone"),
    ("root_device_name", "root_device_name"),
    ("access_ip_v4", "access_ip_v4"),
    ("access_ip_v6", "access_ip_v6"),
    ("locked_by", "locked_by"),
    ("vm_state", "vm_state"),
    ("task_state", "task_state"),
];

impl Column {
    pub fn text(wire: &str) -> Option<Self> {
        TEXT_COLUMNS.iter().find(|(w, _)| *w == wire).map(|(_, sql)| Self(sql))
    }
    pub fn number(wire: &str) -> Option<Self> {
        ["power_state", "progress", "launch_index"].into_iter().find(|c| *c == wire).map(Self)
    }
    pub fn time(wire: &str) -> Option<Self> {
        ["created_at", "launched_at", "terminated_at"].into_iter().find(|c| *c == wire).map(Self)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    Equal(Column, String),
    OneOf(Column, Vec<String>),
    /// A regular expression, found anywhere in the text. It must be one.
    Matches(Column, String),
    Number(Column, i64),
    /// Within that second.
    At(Column, Timestamp),
    ConfigDrive(bool),
    Locked(bool),
    DiskConfig(bool),
    ChangedSince(Timestamp),
    ChangedBefore(Timestamp),
    AllTags(Vec<String>),
    AnyTag(Vec<String>),
    NotAllTags(Vec<String>),
    NotAnyTag(Vec<String>),
    Metadata(String, String),
    /// Nothing fits.
    Never,
}

impl Filter {
    fn push(&self, q: &mut SqlBuilder, store: &Store) {
        match self {
            Self::Equal(c, v) => q.push("i.").push(c.0).push(" = ").bind(v),
            Self::OneOf(c, v) => q.push("i.").push(c.0).push(" IN ").bind_list(v),
            Self::Matches(c, pattern) => {
                let condition = store.db().matches_regex(&format!("i.{}", c.0), q.next_placeholder());
                q.bind_silently(pattern).push(&condition)
            }
            Self::Number(c, n) => q.push("i.").push(c.0).push(" = ").bind(*n),
            Self::At(c, t) => {
                let second = t.0 - t.0.rem_euclid(1_000_000);
                q.push("i.").push(c.0).push(" BETWEEN ").bind(second).push(" AND ").bind(second + 999_999)
            }
            Self::ConfigDrive(on) => q.push("i.config_drive = ").bind(*on),
            Self::Locked(true) => q.push("i.locked_by IS NOT NULL"),
            Self::Locked(false) => q.push("i.locked_by IS NULL"),
            Self::DiskConfig(auto) => q.push("i.disk_config = ").bind(if *auto { "AUTO" } else { "MANUAL" }),
            Self::ChangedSince(t) => q.push("i.updated_at >= ").bind(*t),
            Self::ChangedBefore(t) => q.push("i.updated_at <= ").bind(*t),
            Self::AllTags(tags) => push_tags(q, tags, " AND "),
            Self::AnyTag(tags) => push_tags(q, tags, " OR "),
            Self::NotAllTags(tags) => push_tags(q.push("NOT "), tags, " AND "),
            Self::NotAnyTag(tags) => push_tags(q.push("NOT "), tags, " OR "),
            Self::Metadata(key, value) => {
                let pair = format!("{}:{}", json_text(key), json_text(value));
                push_contains(q, "i.metadata", pair)
            }
            Self::Never => q.push("1 = 0"),
        };
    }
}

fn json_text(s: &str) -> String {
    serde_json::Value::from(s).to_string()
}

fn push_tags<'a>(q: &'a mut SqlBuilder, tags: &[String], between: &str) -> &'a mut SqlBuilder {
    q.push("(");
    for (n, tag) in tags.iter().enumerate() {
        if n > 0 {
            q.push(between);
        }
        push_contains(q, "i.tags", json_text(tag));
    }
    q.push(if tags.is_empty() { "1 = 1)" } else { ")" })
}

/// Whether a JSON text holds that piece. A quoted piece cannot begin at a closing quote, because tags have no commas and
/// keys are never empty; `replace` is the one way to look for text that both engines have and that heeds case.
fn push_contains<'a>(q: &'a mut SqlBuilder, column: &str, piece: String) -> &'a mut SqlBuilder {
    q.push("replace(").push(column).push(", ").bind(piece).push(", '') <> ").push(column)
}

/// A key that lists may be sorted by.
#[derive(Clone, Copy, Debug)]
pub struct SortKey {
    pub wire: &'static str,
    sql: &'static str,
    nullable: bool,
    value: fn(&Instance) -> Value,
}

macro_rules! sort_keys {
    ($($wire:literal $sql:literal $nullable:literal $value:expr;)+) => {
        &[$(SortKey { wire: $wire, sql: $sql, nullable: $nullable, value: $value }),+]
    };
}

/// By their names on the wire, the column each is, and whether it may be null.
const SORT_KEYS: &[SortKey] = sort_keys! {
    "created_at" "i.created_at" false |i| i.created_at.into();
    "uuid" "i.uuid" false |i| (&i.uuid).into();
    "updated_at" "i.updated_at" false |i| i.updated_at.into();
    "launched_at" "i.launched_at" true |i| i.launched_at.into();
    "terminated_at" "i.terminated_at" true |i| i.terminated_at.into();
    "display_name" "i.name" false |i| (&i.name).into();
    "display_description" "i.description" true |i| i.description.clone().into();
    "hostname" "i.hostname" false |i| (&i.hostname).into();
    "host" "i.host" true |i| i.host.clone().into();
    "node" "i.node" true |i| i.node.clone().into();
    "vm_state" "i.vm_state" false |i| (&i.vm_state).into();
    "task_state" "i.task_state" true |i| i.task_state.clone().into();
    "power_state" "i.power_state" false |i| i.power_state.into();
    "progress" "i.progress" false |i| i.progress.into();
    "image_ref" "i.image_id" true |i| i.image_id.clone().into();
    "instance_type_id" "i.flavor_id" false |i| (&i.flavor_id).into();
    "key_name" "i.key_name" true |i| i.key_name.clone().into();
    "user_id" "i.user_id" false |i| (&i.user_id).into();
    "project_id" "i.project_id" false |i| (&i.project_id).into();
    "availability_zone" "i.availability_zone" true |i| i.availability_zone.clone().into();
    "launch_index" "i.launch_index" false |i| i.launch_index.into();
    "root_device_name" "i.root_device_name" true |i| i.root_device_name.clone().into();
    "access_ip_v4" "i.access_ip_v4" true |i| i.access_ip_v4.clone().into();
    "access_ip_v6" "i.access_ip_v6" true |i| i.access_ip_v6.clone().into();
    "auto_disk_config" "i.disk_config" false |i| (&i.disk_config).into();
    "locked_by" "i.locked_by" true |i| i.locked_by.clone().into();
    "locked" "CASE WHEN i.locked_by IS NULL THEN 0 ELSE 1 END" false |i| i64::from(i.locked_by.is_some()).into();
    "config_drive" "CASE WHEN i.config_drive THEN 1 ELSE 0 END" false |i| i64::from(i.config_drive).into();
};

impl SortKey {
    pub fn by_name(wire: &str) -> Option<Self> {
        SORT_KEYS.iter().find(|k| k.wire == wire).copied()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Asc,
    Desc,
}

#[derive(Clone, Debug)]
pub struct InstanceQuery {
    /// `None`: every project.
    pub project: Option<String>,
    pub deleted: Deleted,
    pub filters: Vec<Filter>,
    /// Empty: newest first. Ties are broken by age and uuid, in the direction of the first key.
    pub sort: Vec<(SortKey, Direction)>,
    /// Uuid of the last server of the page before.
    pub marker: Option<String>,
    pub limit: usize,
    /// Whether `user_data` (up to 64 KiB a server) will be shown.
    pub user_data: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("marker [{0}] not found")]
    MarkerNotFound(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The beginning of the statement. Large columns that no list shows are not read: they come as if they were empty.
fn select(user_data: bool) -> String {
    let column = |c: &str| match c {
        "files" => "'[]' AS files".to_owned(),
        "system_metadata" => "'{}' AS system_metadata".to_owned(),
        "keypair" | "admin_pass" => format!("NULL AS {c}"),
        "user_data" if !user_data => "NULL AS user_data".to_owned(),
        c => format!("i.{c}"),
    };
    let columns: Vec<String> = COLUMNS.split(',').map(|c| column(c.trim())).collect();
    format!(
        "SELECT {}, s.disabled AS service_disabled, s.forced_down AS service_forced_down,
                s.last_seen AS service_last_seen
         FROM instances i LEFT JOIN compute_services s ON s.host = i.host AND s.\"binary\" = 'nova-compute' ",
        columns.join(", ")
    )
}

impl Store {
    /// The page; what its servers have of `files`, `keypair`, `admin_pass` and `system_metadata` is not read.
    pub async fn instance_list(&self, query: &InstanceQuery) -> Result<Vec<InstanceRow>, ListError> {
        let marker = match &query.marker {
            Some(marker) => Some(self.marker_row(query, marker).await?),
            None => None,
        };
        let keys = keys(&query.sort);
        let mut q = SqlBuilder::new(&select(query.user_data));
        q.push(match query.deleted {
            Deleted::No => "WHERE i.deleted_at IS NULL",
            Deleted::Only => "WHERE i.deleted_at IS NOT NULL",
            Deleted::Any => "WHERE 1 = 1",
        });
        if let Some(project) = &query.project {
            q.push(" AND i.project_id = ").bind(project);
        }
        for filter in &query.filters {
            q.push(" AND ");
            filter.push(&mut q, self);
        }
        if let Some(marker) = &marker {
            push_after(&mut q, &keys, marker);
        }
        push_order(&mut q, &keys);
        q.push(" LIMIT ").bind(query.limit);
        let (sql, values) = q.finish();
        Ok(self.db().fetch_all(sql, values).await?)
    }

    async fn marker_row(&self, query: &InstanceQuery, marker: &str) -> Result<Instance, ListError> {
        let mut q = SqlBuilder::new("SELECT * FROM instances WHERE uuid = ");
        q.bind(marker);
        if let Some(project) = &query.project {
            q.push(" AND project_id = ").bind(project);
        }
        let (sql, values) = q.finish();
        let row = self.db().fetch_optional(sql, values).await?;
        row.ok_or_else(|| ListError::MarkerNotFound(marker.to_owned()))
    }
}

/// The keys asked for, and behind them what makes the order total.
fn keys(wanted: &[(SortKey, Direction)]) -> Vec<(SortKey, Direction)> {
    let direction = wanted.first().map_or(Direction::Desc, |(_, d)| *d);
    let mut keys = wanted.to_vec();
    for key in ["created_at", "uuid"].into_iter().filter_map(SortKey::by_name) {
        if !keys.iter().any(|(k, _)| k.sql == key.sql) {
            keys.push((key, direction));
        }
    }
    keys
}

/// Nulls come first in ascending order. Columns without nulls do not say so: PostgreSQL's indexes would not fit then.
fn push_order(q: &mut SqlBuilder, keys: &[(SortKey, Direction)]) {
    q.push(" ORDER BY ");
    for (n, (key, direction)) in keys.iter().enumerate() {
        if n > 0 {
            q.push(", ");
        }
        q.push(key.sql).push(match (direction, key.nullable) {
            (Direction::Asc, false) => " ASC",
            (Direction::Asc, true) => " ASC NULLS FIRST",
            (Direction::Desc, false) => " DESC",
            (Direction::Desc, true) => " DESC NULLS LAST",
        });
    }
}

/// Rows behind the marker: for some key they are behind it, and equal in all keys before that one.
fn push_after(q: &mut SqlBuilder, keys: &[(SortKey, Direction)], marker: &Instance) {
    // the same again for the first key alone, in a form that an index can use
    if let Some((key, direction)) = keys.first().filter(|(k, _)| !k.nullable) {
        let op = if *direction == Direction::Asc { " >= " } else { " <= " };
        q.push(" AND ").push(key.sql).push(op).bind((key.value)(marker));
    }
    q.push(" AND (");
    for n in 0..keys.len() {
        if n > 0 {
            q.push(" OR ");
        }
        q.push("(");
        for (key, _) in &keys[..n] {
            match (key.value)(marker) {
                v if is_null(&v) => q.push(key.sql).push(" IS NULL"),
                v => q.push(key.sql).push(" = ").bind(v),
            };
            q.push(" AND ");
        }
        let (key, direction) = keys[n];
        let value = (key.value)(marker);
        match (direction, is_null(&value)) {
            (Direction::Asc, true) => q.push(key.sql).push(" IS NOT NULL"),
            (Direction::Asc, false) => q.push(key.sql).push(" > ").bind(value),
            (Direction::Desc, true) => q.push("1 = 0"),
            (Direction::Desc, false) if key.nullable => {
                q.push("(").push(key.sql).push(" < ").bind(value).push(" OR ").push(key.sql).push(" IS NULL)")
            }
            (Direction::Desc, false) => q.push(key.sql).push(" < ").bind(value),
        };
        q.push(")");
    }
    q.push(")");
}

fn is_null(v: &Value) -> bool {
    matches!(v, Value::Int(None) | Value::Text(None) | Value::Bool(None) | Value::Float(None))
}
