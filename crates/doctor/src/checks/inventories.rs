//! I1, first half: what an inventory says is used is the sum of its allocations. A claim is judged by `used` alone, so a
//! wrong one gives out what is not there, or refuses what is.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use placement::store::{Drift, usage_drift};
use platform_db::{DbError, Tx, args};

pub(super) struct InventoryUse;

#[async_trait]
impl Check for InventoryUse {
    fn name(&self) -> &'static str {
        "inventory_use"
    }
    fn holds(&self) -> &'static str {
        "each inventory's use is the sum of its allocations: claims are judged by it"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let drift = usage_drift(&look.db).await?;
        let finding = |d: Drift| {
            let (provider, class) = (d.provider_id.clone(), d.resource_class.clone());
            let proof = format!("provider {provider}: {class} says {} used, allocations are {}", d.used, d.allocated);
            let remedy =
                mend(move |tx, _| Box::pin(async move { recount(tx, &d.provider_id, &d.resource_class).await }));
            Finding::new(provider, proof, Remedy::Safe("set to the sum of the allocations", remedy)).key(class)
        };
        Ok(drift.into_iter().take(MOST).map(finding).collect())
    }
}

/// Every claim and release raises its provider's generation first: while it is held nobody else moves the figures.
async fn recount(tx: &mut Tx, provider: &str, class: &str) -> Result<bool, DbError> {
    tx.execute("UPDATE resource_providers SET generation = generation + 1 WHERE id = $1", args![provider]).await?;
    let n = tx
        .execute(
            "UPDATE inventories SET used =
                 (SELECT CAST(COALESCE(SUM(a.used), 0) AS BIGINT) FROM allocations a
                  WHERE a.provider_id = $1 AND a.resource_class = $2)
             WHERE provider_id = $1 AND resource_class = $2 AND used <>
                 (SELECT CAST(COALESCE(SUM(a.used), 0) AS BIGINT) FROM allocations a
                  WHERE a.provider_id = $1 AND a.resource_class = $2)",
            args![provider, class],
        )
        .await?;
    Ok(n == 1)
}
