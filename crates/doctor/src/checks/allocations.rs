//! I1, second half: whoever has taken something of a host exists. Room that belongs to nobody is never given back.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use platform_db::{args, built};

pub(super) struct OrphanAllocations;

/// Kinds of consumers that this cloud itself makes, each with the query for those of them that may have something. A
/// move holds the place that its server has left under an id of its own. Clients that keep things of their own in
/// placement name another kind, or none.
const OURS: &[(&str, &str)] = &[
    ("INSTANCE", "SELECT uuid FROM instances WHERE deleted_at IS NULL"),
    ("MIGRATION", "SELECT uuid FROM compute_migrations WHERE source_open"),
];

#[async_trait]
impl Check for OrphanAllocations {
    fn name(&self) -> &'static str {
        "orphan_allocations"
    }
    fn holds(&self) -> &'static str {
        "allocations of servers belong to servers that live, or to moves that are not over: others are never given back"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let lost: Vec<String> =
            OURS.iter().map(|(kind, alive)| format!("c.consumer_type = '{kind}' AND c.id NOT IN ({alive})")).collect();
        let sql = format!(
            "SELECT c.id, COUNT(a.used), MIN(a.provider_id) FROM consumers c
             LEFT JOIN allocations a ON a.consumer_id = c.id
             WHERE {} GROUP BY c.id ORDER BY c.id LIMIT {MOST}",
            lost.join(" OR ")
        );
        let rows: Vec<(String, i64, Option<String>)> = look.db.fetch_all(built(sql), args![]).await?;
        let finding = |(id, n, provider): (String, i64, Option<String>)| {
            let provider = provider.unwrap_or_else(|| "none".to_owned());
            let proof = format!("consumer {id} has {n} allocations (provider {provider}) and is nothing that lives");
            let consumer = id.clone();
            // a server's row is there before its claim and its uuid is never used again: who is nobody now stays nobody
            let remedy = mend(move |tx, _| {
                Box::pin(async move {
                    let held =
                        tx.execute("UPDATE consumers SET generation = generation WHERE id = $1", args![&consumer]);
                    Ok(held.await? == 1 && placement::release(tx, &consumer).await.map(|_| true)?)
                })
            });
            Finding::new(id, proof, Remedy::Safe("given back", remedy))
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}
