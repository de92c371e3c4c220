//! What hosts have is what they are told to have. A guest that nobody assigned is left alone by its host: it may be what
//! a database without its last commits has forgotten, or what a restored one has not learned yet.

use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use platform_db::{FromRow, args, built};

pub(super) struct KnownGuests;

#[derive(FromRow)]
struct Row {
    host: String,
    instance: String,
    power: String,
    server_on: Option<String>,
    gone: Option<bool>,
}

#[async_trait]
impl Check for KnownGuests {
    fn name(&self) -> &'static str {
        "known_guests"
    }
    fn holds(&self) -> &'static str {
        "every guest on a host is one that the host was told to have"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let sql = format!(
            "SELECT u.host, u.instance, u.power, i.host AS server_on, i.deleted_at IS NOT NULL AS gone
             FROM unknown_guests u
                  LEFT JOIN instances i ON i.uuid = u.instance
                  LEFT JOIN assignments a ON a.instance = u.instance AND a.host = u.host
             WHERE a.instance IS NULL ORDER BY u.instance, u.host LIMIT {MOST}"
        );
        let rows: Vec<Row> = look.db.fetch_all(built(sql), args![]).await?;
        Ok(rows.into_iter().map(finding).collect())
    }
}

fn finding(r: Row) -> Finding {
    let (is, what) = match (r.gone, &r.server_on) {
        (Some(false), Some(other)) => (
            format!("server {} is on {other}", r.instance),
            "two guests of one server: look which one has the newer data, and end the other on its host",
        ),
        (Some(false), None) => (
            format!("server {} is on no host", r.instance),
            "look what the guest is; what it holds can be saved from its disk on that host",
        ),
        (Some(true), _) => (format!("server {} was deleted", r.instance), "if nobody misses it, end it on its host"),
        (None, _) => (
            format!("no server {} is known", r.instance),
            "it may have been made in what a failover of the database has lost: save its disk, or end it on its host",
        ),
    };
    let proof = format!("host {} has a guest {} ({}) that it was not told to have: {is}", r.host, r.instance, r.power);
    Finding::new(r.instance, proof, Remedy::Person(what)).key(r.host)
}
