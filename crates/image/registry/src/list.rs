//! `images`: lists, with a constant number of statements: the marker, the page, its properties, its tags, its locations.

use crate::row::{COLUMNS, Row};
use crate::store::lost;
use crate::{Store, details};
use image_model::{Column, Direction, Filter, Image, ListQuery, RegistryError, SortKey, TimeOp, Viewer, Wanted};
use platform_db::{SqlBuilder, Value};

pub(crate) async fn image_list(store: &Store, query: &ListQuery, viewer: &Viewer) -> Result<Vec<Image>, RegistryError> {
    if query.limit == 0 {
        return Ok(Vec::new());
    }
    let mut q = SqlBuilder::new("SELECT ");
    q.push(COLUMNS).push(" FROM images i WHERE i.deleted_at IS NULL");
    visible(&mut q, query, viewer);
    for filter in &query.filters {
        filtered(&mut q, filter);
    }
    if let Some(id) = query.marker {
        let marker = marker(store, query, viewer).await?.ok_or(RegistryError::NoMarker(id))?;
        after(&mut q, &query.sort, &marker);
    }
    q.push(" ORDER BY ");
    for (n, (key, direction)) in query.sort.iter().enumerate() {
        q.push(if n == 0 { "" } else { ", " }).push(&expression(*key)).push(" ").push(direction.as_str());
    }
    q.push(" LIMIT ").bind(query.limit);
    let (sql, args) = q.finish();
    let rows: Vec<Row> = store.db.fetch_all(sql, args).await.map_err(lost)?;
    let mut images = rows.into_iter().map(Row::into_image).collect::<Result<Vec<_>, _>>()?;
    details::fill(&store.db, &mut images).await?;
    Ok(images)
}

/// What the viewer may see at all, and of that what `visibility` and `member_status` ask for.
fn visible(q: &mut SqlBuilder, query: &ListQuery, viewer: &Viewer) {
    if !viewer.admin {
        q.push(" AND (i.visibility IN ('public', 'community')");
        if let Some(project) = &viewer.project {
            q.push(" OR i.owner = ").bind(project);
            shared_with(q, query, viewer);
        }
        q.push(")");
    }
    match query.visibility {
        Some(Wanted::All) => {}
        Some(Wanted::Only(v)) => {
            q.push(" AND i.visibility = ").bind(v.as_str());
        }
        // the community's images are many and of little interest: only one's own come unasked
        None => {
            q.push(" AND (i.visibility <> 'community'");
            if let Some(project) = &viewer.project {
                q.push(" OR i.owner = ").bind(project);
            }
            q.push(")");
        }
    }
}

fn shared_with(q: &mut SqlBuilder, query: &ListQuery, viewer: &Viewer) {
    let Some(project) = &viewer.project else { return };
    q.push(" OR (i.visibility = 'shared' AND EXISTS (SELECT 1 FROM image_members m WHERE m.image_id = i.id")
        .push(" AND m.member = ")
        .bind(project);
    if let Some(status) = query.member_status {
        q.push(" AND m.status = ").bind(status.as_str());
    }
    q.push("))");
}

fn filtered(q: &mut SqlBuilder, filter: &Filter) {
    let compare = |q: &mut SqlBuilder, column: &str, op: &str, value: Value| {
        q.push(" AND i.").push(column).push(op).bind(value);
    };
    match filter {
        Filter::Text(column, values) => {
            q.push(" AND i.").push(column.column()).push(" IN ").bind_list(values);
        }
        Filter::Number(column, n) => compare(q, column.column(), " = ", (*n).into()),
        Filter::AtLeast(column, n) => compare(q, column.column(), " >= ", (*n).into()),
        Filter::AtMost(column, n) => compare(q, column.column(), " <= ", (*n).into()),
        Filter::Time(column, op, at) => {
            // shown in whole seconds, so asked for in whole seconds
            let second = 1_000_000;
            let from = at.0.div_euclid(second) * second;
            let end = from + second;
            let (first, rest) = match op {
                TimeOp::Gt => ((" >= ", end), None),
                TimeOp::Gte => ((" >= ", from), None),
                TimeOp::Lt => ((" < ", from), None),
                TimeOp::Lte => ((" < ", end), None),
                TimeOp::Eq => ((" >= ", from), Some((" < ", end))),
                TimeOp::Neq => {
                    let column = column.column();
                    q.push(" AND NOT (i.").push(column).push(" >= ").bind(from);
                    q.push(" AND i.").push(column).push(" < ").bind(end).push(")");
                    return;
                }
            };
            for (op, value) in [Some(first), rest].into_iter().flatten() {
                compare(q, column.column(), op, value.into());
            }
        }
        Filter::Protected(yes) => compare(q, "protected", " = ", (*yes).into()),
        Filter::Hidden(yes) => compare(q, "os_hidden", " = ", (*yes).into()),
        Filter::Tag(tag) => {
            q.push(" AND EXISTS (SELECT 1 FROM image_tags t WHERE t.image_id = i.id AND t.value = ").bind(tag);
            q.push(")");
        }
        Filter::Property(name, value) => {
            q.push(" AND EXISTS (SELECT 1 FROM image_properties p WHERE p.image_id = i.id AND p.name = ").bind(name);
            q.push(" AND p.value = ").bind(value).push(")");
        }
    }
}

/// What is sorted by: never NULL, so that the order is the same on both engines and a marker can be compared with.
fn expression(key: SortKey) -> String {
    let column = key.column();
    match key {
        SortKey::Name | SortKey::DiskFormat | SortKey::ContainerFormat => format!("COALESCE(i.{column}, '')"),
        SortKey::Size => "COALESCE(i.size, 0)".to_owned(),
        _ => format!("i.{column}"),
    }
}

fn value_of(key: SortKey, row: &Row) -> Value {
    let text = |t: &Option<String>| Value::from(t.clone().unwrap_or_default());
    match key {
        SortKey::Name => text(&row.name),
        SortKey::Status => Value::from(&row.status),
        SortKey::ContainerFormat => text(&row.container_format),
        SortKey::DiskFormat => text(&row.disk_format),
        SortKey::Size => Value::from(row.size.unwrap_or(0)),
        SortKey::Id => Value::from(&row.id),
        SortKey::CreatedAt => Value::from(row.created_at),
        SortKey::UpdatedAt => Value::from(row.updated_at),
    }
}

async fn marker(store: &Store, query: &ListQuery, viewer: &Viewer) -> Result<Option<Row>, RegistryError> {
    let Some(id) = query.marker else { return Ok(None) };
    let mut q = SqlBuilder::new("SELECT ");
    q.push(COLUMNS).push(" FROM images i WHERE i.deleted_at IS NULL AND i.id = ").bind(id);
    // seeing it is enough: it need not match the filters
    visible(&mut q, &ListQuery { visibility: Some(Wanted::All), member_status: None, ..query.clone() }, viewer);
    let (sql, args) = q.finish();
    store.db.fetch_optional(sql, args).await.map_err(lost)
}

/// Everything that comes after the marker in this order: `(a > x) OR (a = x AND b < y) OR …`.
fn after(q: &mut SqlBuilder, sort: &[(SortKey, Direction)], marker: &Row) {
    q.push(" AND (");
    for (n, (key, direction)) in sort.iter().enumerate() {
        q.push(if n == 0 { "(" } else { " OR (" });
        for (same, _) in &sort[..n] {
            q.push(&expression(*same)).push(" = ").bind(value_of(*same, marker)).push(" AND ");
        }
        let beyond = match direction {
            Direction::Asc => " > ",
            Direction::Desc => " < ",
        };
        q.push(&expression(*key)).push(beyond).bind(value_of(*key, marker)).push(")");
    }
    q.push(")");
}
