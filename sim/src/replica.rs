//! A replica of the database that takes its primary's place without the last commits. What was answered may never have been,
//! and hosts remember what the database does not.

use crate::cloud::Cloud;
use base::Clock;
use platform_db::simulation::{go_back, held};
use platform_db::{DbError, Tx, args};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Of which server, and on which host.
pub(crate) type Guest = (String, String);

#[derive(Default)]
pub(crate) struct Replica {
    /// Statements cost nothing meanwhile: what is held is read in place.
    pub(crate) quiet: Rc<Cell<bool>>,
    /// What it has, if it is behind.
    held: Option<String>,
    /// Guests that were there at a promotion, and of whose servers nothing is known any more; but for those whose removal had
    /// been asked for, which their hosts may have in hand.
    lost: BTreeSet<Guest>,
}

const ASSIGNED: &str = "SELECT instance, host FROM assignments WHERE host IS NOT NULL";
const REMOVED: &str = r#"SELECT instance, host FROM assignments WHERE host IS NOT NULL AND want = '{"do":"destroy"}'"#;

async fn assigned(tx: &mut Tx, of: &'static str) -> Result<BTreeSet<Guest>, DbError> {
    Ok(tx.fetch_all::<Guest>(of, args![]).await?.into_iter().collect())
}

impl Cloud {
    pub(crate) async fn replica_lags(&mut self) -> Result<(), DbError> {
        self.trace.event(format_args!("REPLICA lags"));
        self.replica.quiet.set(true);
        let now = held(&self.db).await;
        self.replica.quiet.set(false);
        self.replica.held = Some(now?);
        Ok(())
    }

    /// Nothing happens if the replica has everything.
    pub(crate) async fn replica_promoted(&mut self) -> Result<(), DbError> {
        let Some(held) = self.replica.held.take() else { return Ok(()) };
        let mut tx = self.db.begin().await?;
        let (before, removed) = (assigned(&mut tx, ASSIGNED).await?, assigned(&mut tx, REMOVED).await?);
        go_back(&self.db, tx, held, self.api_clock.now()).await?;
        let after: BTreeSet<Guest> = self.db.fetch_all(ASSIGNED, args![]).await?.into_iter().collect();
        let forgotten: Vec<_> = before.difference(&after).collect();
        self.trace.event(format_args!("REPLICA promoted; forgotten: {forgotten:?}"));
        let known: Vec<(String,)> = self.db.fetch_all("SELECT uuid FROM instances", args![]).await?;
        for (id, host) in forgotten {
            self.guests.is_forgotten((id.clone(), host.clone()));
            let guests = match self.hosts.iter().find(|h| h.name == *host) {
                Some(host) => host.all().await,
                None => Vec::new(),
            };
            let is_kept = !known.contains(&(id.clone(),)) && !removed.contains(&(id.clone(), host.clone()));
            if is_kept && guests.iter().any(|g| g.id.to_string() == *id) {
                self.replica.lost.insert((id.clone(), host.clone()));
            }
        }
        Ok(())
    }

    /// Guests that hosts have told of because nobody has assigned them. They must be forgotten ones; and nobody may have
    /// removed a guest whose server is lost.
    pub(crate) async fn told_as_unknown(&self) -> Result<BTreeSet<Guest>, DbError> {
        let sql = "SELECT instance, host FROM unknown_guests ORDER BY instance, host";
        let told: BTreeSet<Guest> = self.db.fetch_all(sql, args![]).await?.into_iter().collect();
        let forgotten = self.guests.forgotten();
        for (id, host) in told.difference(&forgotten) {
            self.trace.broken(format!("I5: {host} tells of a guest of {id} that nobody has forgotten"));
        }
        for (id, host) in &self.replica.lost {
            let there = match self.hosts.iter().find(|h| h.name == *host) {
                Some(host) => host.all().await.iter().any(|g| g.id.to_string() == *id),
                None => false,
            };
            if !there {
                self.trace.broken(format!("I5: {host} has removed a guest of {id}, which the database had lost"));
            }
        }
        Ok(told)
    }
}
