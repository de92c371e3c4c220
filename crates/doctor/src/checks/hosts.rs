//! I5: one host has a server. Who shows it, who is told to run it and who was claimed for it are the same.

use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use platform_db::{FromRow, args, built};

pub(super) struct OneHost;

#[derive(FromRow)]
struct Row {
    uuid: String,
    host: Option<String>,
    assigned: Option<String>,
    want: Option<String>,
    gone: bool,
}

#[async_trait]
impl Check for OneHost {
    fn name(&self) -> &'static str {
        "one_host"
    }
    fn holds(&self) -> &'static str {
        "the host a server is on is the host that is told to run it: otherwise two may run it, or none"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        // of a deleted server only the order to remove it may be left
        let sql = format!(
            "SELECT i.uuid, i.host, a.host AS assigned, a.want, i.deleted_at IS NOT NULL AS gone
             FROM instances i LEFT JOIN assignments a ON a.instance = i.uuid
             WHERE (i.deleted_at IS NULL AND i.host IS DISTINCT FROM a.host)
                OR (i.deleted_at IS NOT NULL AND a.host IS NOT NULL AND a.want NOT LIKE '%\"destroy\"%')
             ORDER BY i.uuid LIMIT {MOST}"
        );
        let rows: Vec<Row> = look.db.fetch_all(built(sql), args![]).await?;
        let finding = |r: Row| {
            let host = r.host.as_deref().unwrap_or("no host");
            let (assigned, want) = (r.assigned.as_deref().unwrap_or("no host"), r.want.as_deref().unwrap_or("nothing"));
            let is = if r.gone { "is deleted".to_owned() } else { format!("is on {host}") };
            let proof = format!("server {} {is}, and {assigned} is told to do {want}", r.uuid);
            let what = "look on both hosts which one runs the guest before anything is changed";
            Finding::new(r.uuid, proof, Remedy::Person(what))
        };
        Ok(rows.into_iter().map(finding).collect())
    }
}
