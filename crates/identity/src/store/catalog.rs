//! `identity_regions`, `identity_services`, `identity_endpoints`.

use platform_db::{Db, DbError, FromRow, Tx, args};

#[derive(Clone, Debug, FromRow)]
pub(crate) struct RegionRow {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) parent_region_id: Option<String>,
    pub(crate) extra: String,
}

#[derive(Clone, Debug, FromRow)]
pub(crate) struct ServiceRow {
    pub(crate) id: String,
    #[sqlx(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) description: Option<String>,
    pub(crate) extra: String,
}

#[derive(Clone, Debug, FromRow)]
pub(crate) struct EndpointRow {
    pub(crate) id: String,
    pub(crate) service_id: String,
    pub(crate) region_id: Option<String>,
    pub(crate) interface: String,
    pub(crate) url: String,
    pub(crate) enabled: bool,
    pub(crate) extra: String,
}

pub(crate) async fn regions(db: &Db) -> Result<Vec<RegionRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_regions ORDER BY id", args![]).await
}

pub(crate) async fn region(db: &Db, id: &str) -> Result<Option<RegionRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_regions WHERE id = $1", args![id]).await
}

pub(crate) async fn insert_region(tx: &mut Tx, r: &RegionRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_regions (id, description, parent_region_id, extra) VALUES ($1, $2, $3, $4)",
        args![&r.id, &r.description, r.parent_region_id.clone(), &r.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update_region(tx: &mut Tx, r: &RegionRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_regions SET description = $2, parent_region_id = $3, extra = $4 WHERE id = $1",
        args![&r.id, &r.description, r.parent_region_id.clone(), &r.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn services(db: &Db) -> Result<Vec<ServiceRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_services ORDER BY id", args![]).await
}

pub(crate) async fn service(db: &Db, id: &str) -> Result<Option<ServiceRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_services WHERE id = $1", args![id]).await
}

pub(crate) async fn insert_service(tx: &mut Tx, s: &ServiceRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_services (id, type, name, enabled, description, extra) VALUES ($1, $2, $3, $4, $5, $6)",
        args![&s.id, &s.kind, s.name.clone(), s.enabled, s.description.clone(), &s.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update_service(tx: &mut Tx, s: &ServiceRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_services SET type = $2, name = $3, enabled = $4, description = $5, extra = $6 WHERE id = $1",
        args![&s.id, &s.kind, s.name.clone(), s.enabled, s.description.clone(), &s.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn endpoints(db: &Db) -> Result<Vec<EndpointRow>, DbError> {
    db.fetch_all("SELECT * FROM identity_endpoints ORDER BY id", args![]).await
}

pub(crate) async fn endpoint(db: &Db, id: &str) -> Result<Option<EndpointRow>, DbError> {
    db.fetch_optional("SELECT * FROM identity_endpoints WHERE id = $1", args![id]).await
}

pub(crate) async fn insert_endpoint(tx: &mut Tx, e: &EndpointRow) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identity_endpoints (id, service_id, region_id, interface, url, enabled, extra)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![&e.id, &e.service_id, e.region_id.clone(), &e.interface, &e.url, e.enabled, &e.extra],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update_endpoint(tx: &mut Tx, e: &EndpointRow) -> Result<(), DbError> {
    tx.execute(
        "UPDATE identity_endpoints SET service_id = $2, region_id = $3, interface = $4, url = $5, enabled = $6, extra = $7
         WHERE id = $1",
        args![&e.id, &e.service_id, e.region_id.clone(), &e.interface, &e.url, e.enabled, &e.extra],
    )
    .await?;
    Ok(())
}

/// Rows gone: 0 or 1. `table` is one of this file's, never a caller's text.
pub(crate) async fn delete(tx: &mut Tx, table: CatalogTable, id: &str) -> Result<bool, DbError> {
    let sql = match table {
        CatalogTable::Region => "DELETE FROM identity_regions WHERE id = $1",
        CatalogTable::Service => "DELETE FROM identity_services WHERE id = $1",
        CatalogTable::Endpoint => "DELETE FROM identity_endpoints WHERE id = $1",
    };
    Ok(tx.execute(sql, args![id]).await? > 0)
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum CatalogTable {
    Region,
    Service,
    Endpoint,
}
