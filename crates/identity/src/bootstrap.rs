//! What must be there before anybody can log in, and this cloud's own catalog. Runs at every start and changes nothing
//! that is as it should be.

use crate::auth::hash_password;
use crate::config::CatalogEntry;
use crate::store::assignments::{Actor, On};
use crate::store::catalog::{self, EndpointRow, RegionRow, ServiceRow};
use crate::store::projects::{self, ProjectRow};
use crate::store::roles::{self, RoleRow};
use crate::store::users::{self, UserRow};
use crate::store::{assignments, revision};
use crate::{Error, Identity};
use platform_db::{DbError, Tx, args};
use uuid::Uuid;

pub(crate) const DEFAULT_DOMAIN: &str = "default";

/// Each implies the next.
const HIERARCHY: [&str; 4] = ["admin", "manager", "member", "reader"];
/// For services among themselves; implies nothing.
const SERVICE_ROLE: &str = "service";

/// Whether the user `admin` was made now.
pub(crate) async fn run(identity: &Identity) -> Result<bool, Error> {
    // hashing takes too long to be done inside the transaction
    let hash = match users::by_name(identity.db(), DEFAULT_DOMAIN, "admin").await? {
        Some(_) => None,
        None => Some(hash_password(identity, identity.0.config.admin_password.clone()).await?),
    };
    let mut tx = identity.db().begin().await?;
    // first, so that processes that start together do this one after another
    let number = revision::raise(&mut tx).await?;
    domain(&mut tx).await?;
    let project = project(&mut tx).await?;
    let admin = roles_in_order(&mut tx).await?;
    let made = user(identity, &mut tx, hash).await?;
    if let Some(user) = &made {
        assignments::grant(&mut tx, Actor::User(user), On::Project(&project), &admin, false).await?;
        assignments::grant(&mut tx, Actor::User(user), On::System, &admin, false).await?;
    }
    region(&mut tx, &identity.0.config.region).await?;
    for entry in &identity.0.config.catalog {
        service(&mut tx, entry, &identity.0.config.region).await?;
    }
    tx.commit().await?;
    identity.0.revision.seen(number);
    Ok(made.is_some())
}

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

async fn domain(tx: &mut Tx) -> Result<(), DbError> {
    if projects::lock(tx, DEFAULT_DOMAIN).await?.is_some() {
        return Ok(());
    }
    projects::insert(
        tx,
        &ProjectRow {
            id: DEFAULT_DOMAIN.into(),
            name: "Default".into(),
            domain_id: None,
            parent_id: None,
            is_domain: true,
            enabled: true,
            description: "The default domain".into(),
            options: "{}".into(),
            extra: "{}".into(),
        },
    )
    .await
}

/// Id of the project `admin`.
async fn project(tx: &mut Tx) -> Result<String, DbError> {
    let found: Option<(String,)> = tx
        .fetch_optional(
            "SELECT id FROM identity_projects WHERE domain_id = $1 AND name = 'admin'",
            args![DEFAULT_DOMAIN],
        )
        .await?;
    if let Some((id,)) = found {
        return Ok(id);
    }
    let id = new_id();
    projects::insert(
        tx,
        &ProjectRow {
            id: id.clone(),
            name: "admin".into(),
            domain_id: Some(DEFAULT_DOMAIN.into()),
            parent_id: Some(DEFAULT_DOMAIN.into()),
            is_domain: false,
            enabled: true,
            description: "Bootstrap project for initializing the cloud.".into(),
            options: "{}".into(),
            extra: "{}".into(),
        },
    )
    .await?;
    Ok(id)
}

/// Id of the role `admin`.
async fn roles_in_order(tx: &mut Tx) -> Result<String, DbError> {
    role(tx, SERVICE_ROLE).await?;
    let mut ids = Vec::new();
    for name in HIERARCHY {
        ids.push(role(tx, name).await?);
    }
    for pair in ids.windows(2) {
        roles::imply(tx, &pair[0], &pair[1]).await?;
    }
    Ok(ids.swap_remove(0))
}

async fn role(tx: &mut Tx, name: &str) -> Result<String, DbError> {
    let found: Option<(String,)> =
        tx.fetch_optional("SELECT id FROM identity_roles WHERE domain_id IS NULL AND name = $1", args![name]).await?;
    if let Some((id,)) = found {
        return Ok(id);
    }
    let id = new_id();
    let row = RoleRow {
        id: id.clone(),
        domain_id: None,
        name: name.into(),
        description: None,
        options: r#"{"immutable":true}"#.into(),
        extra: "{}".into(),
    };
    roles::insert(tx, &row).await?;
    Ok(id)
}

/// Id of the user `admin`, if it was made now.
async fn user(identity: &Identity, tx: &mut Tx, hash: Option<String>) -> Result<Option<String>, DbError> {
    let found: Option<(String,)> = tx
        .fetch_optional("SELECT id FROM identity_users WHERE domain_id = $1 AND name = 'admin'", args![DEFAULT_DOMAIN])
        .await?;
    let Some(hash) = hash.filter(|_| found.is_none()) else { return Ok(None) };
    let mut row = UserRow {
        id: new_id(),
        domain_id: DEFAULT_DOMAIN.into(),
        name: "admin".into(),
        enabled: true,
        default_project_id: None,
        password_hash: None,
        password_created_at: None,
        password_expires_at: None,
        password_by_admin: false,
        failed_attempts: 0,
        failed_at: None,
        created_at: identity.now().0,
        options: "{}".into(),
        extra: "{}".into(),
    };
    identity.set_password(&mut row, hash, false);
    users::insert(tx, &row).await?;
    tracing::info!(user.id = row.id, "the first user, admin, is {}", row.id);
    Ok(Some(row.id))
}

async fn region(tx: &mut Tx, id: &str) -> Result<(), DbError> {
    let found: Option<(String,)> =
        tx.fetch_optional("SELECT id FROM identity_regions WHERE id = $1", args![id]).await?;
    if found.is_some() {
        return Ok(());
    }
    let row = RegionRow { id: id.into(), description: String::new(), parent_region_id: None, extra: "{}".into() };
    catalog::insert_region(tx, &row).await
}

/// The service and its three endpoints. A URL that has changed (another port, another host) is corrected.
async fn service(tx: &mut Tx, entry: &CatalogEntry, region: &str) -> Result<(), DbError> {
    let found: Option<(String,)> = tx
        .fetch_optional(
            "SELECT id FROM identity_services WHERE type = $1 AND name = $2 ORDER BY id LIMIT 1",
            args![&entry.service_type, &entry.name],
        )
        .await?;
    let service_id = match found {
        Some((id,)) => id,
        None => {
            let row = ServiceRow {
                id: new_id(),
                kind: entry.service_type.clone(),
                name: Some(entry.name.clone()),
                enabled: true,
                description: None,
                extra: "{}".into(),
            };
            catalog::insert_service(tx, &row).await?;
            row.id
        }
    };
    for (interface, url) in entry.endpoints() {
        let changed = tx
            .execute(
                "UPDATE identity_endpoints SET url = $4 WHERE service_id = $1 AND region_id = $2 AND interface = $3",
                args![&service_id, region, interface, url],
            )
            .await?;
        if changed == 0 {
            let row = EndpointRow {
                id: new_id(),
                service_id: service_id.clone(),
                region_id: Some(region.into()),
                interface: interface.into(),
                url: url.into(),
                enabled: true,
                extra: "{}".into(),
            };
            catalog::insert_endpoint(tx, &row).await?;
        }
    }
    Ok(())
}
