//! A host is back and finds that servers were evacuated from it. It is told so with every answer to its questions
//! (`compute_store::migrations`), removes those guests and no others, and says so.

use crate::Conductor;
use compute_model::assignment::{Outcome, Report};
use compute_store::migrations::{migration_source_again, migration_source_freed};
use platform_db::DbError;
use platform_engine::record;

impl Conductor {
    /// `false`: nobody waits for that host to be free of that guest.
    pub(crate) async fn source_answered(
        &self,
        r: &Report,
        generation: u64,
        outcome: &Outcome,
    ) -> Result<bool, DbError> {
        let (instance, host, now) = (r.instance, &r.host, self.now());
        let mut tx = self.store.db().begin().await?;
        if let Outcome::Failed { message, .. } = outcome {
            let waited_for = migration_source_again(&mut tx, instance, host, generation, now).await?;
            if waited_for {
                tracing::warn!(%instance, %host, message, "host {host} cannot yet remove the guest of {instance}, which was evacuated");
            }
            tx.commit().await?;
            return Ok(waited_for);
        }
        let Some(old_place) = migration_source_freed(&mut tx, instance, host, generation, now).await? else {
            tx.undo().await?;
            return Ok(false);
        };
        let freed = placement::release(&mut tx, &old_place).await?;
        record(&mut tx, &instance.to_string(), None, now, "evacuate.source_freed", host.as_str()).await?;
        tx.commit().await?;
        self.placement.touched(freed);
        tracing::info!(%instance, %host, "host {host} has removed the guest of {instance}, which was evacuated");
        Ok(true)
    }
}
