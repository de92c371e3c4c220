//! `DELETE /os-services/{id}`: forgets a service; a compute host's with its hypervisor, its places in aggregates and its
//! resource provider. A host that still lives comes back as new when it next registers.

use crate::{ComputeApi, faults, input};
use compute_store::aggregates::{aggregates_lock, servers_on};
use compute_store::hosts::COMPUTE;
use compute_store::hypervisors::hypervisor_of_host;
use compute_store::migrations::{migrations_open_at, migrations_under_way};
use compute_store::services::{Service, ServiceKey, service_delete, service_held};
use platform_db::Tx;
use platform_http::{Call, Fault, Reply};

pub(super) const DELETE: &str = "os_compute_api:os-services:delete";

pub(super) async fn delete(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, DELETE)?;
    let id = call.param("id");
    let uuid;
    let key = if call.since(2, 53) {
        uuid = input::uuid(id)?;
        ServiceKey::Uuid(&uuid)
    } else {
        ServiceKey::Id(input::id_in_path(&call)?)
    };
    let mut tx = api.store.db().begin().await.map_err(faults::db)?;
    aggregates_lock(&mut tx).await.map_err(faults::db)?;
    // before its provider, as who registers has it
    let found = service_held(&mut tx, key).await.map_err(faults::db)?;
    let service = found.ok_or_else(|| Fault::not_found(format!("Service {id} not found.")))?;
    if service.binary == COMPUTE {
        forget_host(&mut tx, &service).await?;
    }
    service_delete(&mut tx, &service).await.map_err(faults::db)?;
    tx.commit().await.map_err(faults::db)?;
    Ok(Reply::empty(204))
}

async fn forget_host(tx: &mut Tx, service: &Service) -> Result<(), Fault> {
    let in_use = || {
        Fault::conflict(
            "Unable to delete compute service that is hosting instances. Migrate or delete the instances first.",
        )
    };
    if servers_on(tx, std::slice::from_ref(&service.host)).await.map_err(faults::db)? > 0 {
        return Err(in_use());
    }
    if migrations_under_way(tx, &service.host).await.map_err(faults::db)? > 0 {
        return Err(Fault::conflict(
            "Unable to delete compute service that has in-progress migrations. Complete the migrations or delete the \
             instances first.",
        ));
    }
    // a host that will not come back: what servers that were evacuated have left there is no longer kept for them. Should
    // it come back after all, it still has to remove them
    for old_place in migrations_open_at(tx, &service.host).await.map_err(faults::db)? {
        placement::release(tx, &old_place).await.map_err(faults::db)?;
    }
    let Some(provider) = hypervisor_of_host(tx, &service.host).await.map_err(faults::db)? else { return Ok(()) };
    match placement::store::provider_delete(tx, provider).await {
        Ok(Ok(())) | Err(placement::StoreError::ProviderNotFound(_)) => Ok(()),
        Ok(Err(held)) => {
            tracing::info!(%provider, ?held, "the host's resource provider is still in use");
            Err(in_use())
        }
        Err(error) => Err(faults::placement(error)),
    }
}
