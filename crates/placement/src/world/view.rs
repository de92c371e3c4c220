//! The world, kept up to date by looking at what has changed.

use super::{Member, World, load};
use base::{ProviderId, Timestamp};
use platform_db::{Db, DbError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// How long changes made by other processes may stay unseen when there is no hint of them. A claim on what is no longer
/// there is refused by the database, and nobody is refused a host without a fresh look.
const BELIEVED: Duration = Duration::from_secs(1);
/// From this age on it is looked again beside those who still believe: in a busy process nobody waits for it.
const EARLY: Duration = Duration::from_millis(500);
/// More than these, and more than one in four, are read with all the others.
const FEW: usize = 200;
/// What a process wrote by a clock that is behind by more is found by the sum alone.
const CLOCKS_DIFFER: Duration = Duration::from_secs(1);

/// A cache of all providers. One a process.
#[derive(Debug, Default)]
pub struct View {
    world: RwLock<World>,
    /// Changed by this process since they were read.
    touched: Mutex<BTreeSet<ProviderId>>,
    /// The last comparison of all generations; `None`: never read.
    compared: Mutex<Option<Instant>>,
    /// Held while reading, so that a crowd reads once.
    comparing: tokio::sync::Mutex<()>,
}

impl View {
    pub fn touch(&self, providers: impl IntoIterator<Item = ProviderId>) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).extend(providers);
    }

    /// Looks at the world. `look` must be quick: writers wait for it.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings in what this process has changed, and what others have if the last look at all is older than
    /// [`BELIEVED`].
    pub async fn refresh(self: &Arc<Self>, db: &Db) -> Result<(), DbError> {
        let now = Instant::now();
        let age = self.compared_at().map(|at| now.duration_since(at));
        if age.is_none_or(|age| age > BELIEVED) {
            return self.refresh_all(db, now).await;
        }
        if age.is_some_and(|age| age > EARLY) && self.comparing.try_lock().is_ok() {
            let (view, db) = (self.clone(), db.clone());
            tokio::spawn(async move {
                if let Err(error) = view.compare_all(&db, now).await {
                    tracing::warn!(%error, "cannot look what has changed in placement");
                }
            });
        }
        self.refresh_touched(db).await
    }

    fn compared_at(&self) -> Option<Instant> {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings in every change committed before `moment`.
    pub async fn refresh_all(&self, db: &Db, moment: Instant) -> Result<(), DbError> {
        if self.compared_at().is_some() {
            // first, or the comparison would read these too
            self.refresh_touched(db).await?;
        }
        self.compare_all(db, moment).await
    }

    async fn compare_all(&self, db: &Db, moment: Instant) -> Result<(), DbError> {
        let _one = self.comparing.lock().await;
        let compared = self.compared_at();
        if compared.is_some_and(|at| at >= moment) {
            return Ok(());
        }
        let started = Instant::now();
        match compared {
            None => {
                let touched = self.take_touched();
                self.read_all(db).await.inspect_err(|_| self.touch(touched))?;
            }
            Some(_) => self.read_changed(db).await?,
        }
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        Ok(())
    }

    fn take_touched(&self) -> BTreeSet<ProviderId> {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn refresh_touched(&self, db: &Db) -> Result<(), DbError> {
        let touched = self.take_touched();
        if touched.is_empty() {
            return Ok(());
        }
        let result = self.read(db, &touched).await;
        if result.is_err() {
            self.touch(touched);
        }
        result
    }

    /// Mostly by the few rows that were written lately. That these are all that is new is known by the sum of all generations,
    /// which only ever grows; if it is another one, all generations are compared.
    async fn read_changed(&self, db: &Db) -> Result<(), DbError> {
        let (known, newest) = self.look(|w| {
            let known: BTreeMap<_, _> = w.members().map(|m| (m.id(), m.provider.generation)).collect();
            (known, w.members().map(|m| m.provider.updated_at).max())
        });
        let found = load::changes(db, newest.unwrap_or(Timestamp(0)).minus(CLOCKS_DIFFER)).await?;
        let mut changed = BTreeSet::new();
        let (mut sum, mut providers) = (known.values().sum::<i64>(), known.len());
        for (id, generation) in found.generations {
            let before = known.get(&id);
            if before != Some(&generation) {
                changed.insert(id);
                sum += generation - before.unwrap_or(&0);
                providers += usize::from(before.is_none());
            }
        }
        if sum != found.sum || i64::try_from(providers) != Ok(found.providers) {
            let generations = load::generations(db).await?;
            changed.extend(known.keys().filter(|id| !generations.contains_key(id)));
            changed.extend(generations.iter().filter(|(id, g)| known.get(id) != Some(g)).map(|(id, _)| *id));
        }
        self.read(db, &changed).await
    }

    async fn read(&self, db: &Db, providers: &BTreeSet<ProviderId>) -> Result<(), DbError> {
        if providers.len() > FEW.max(self.look(World::len) / 4) {
            return self.read_all(db).await;
        }
        let ids: Vec<ProviderId> = providers.iter().copied().collect();
        for ids in ids.chunks(FEW) {
            self.read_some(db, ids).await?;
        }
        Ok(())
    }

    async fn read_some(&self, db: &Db, ids: &[ProviderId]) -> Result<(), DbError> {
        let found = load::load(db, Some(ids)).await?;
        let there: BTreeSet<ProviderId> = found.iter().map(Member::id).collect();
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            if !there.contains(id) {
                world.remove(*id);
            }
        }
        for m in found {
            if world.get(m.id()).is_none_or(|known| !older(&m, known)) {
                world.put(m);
            }
        }
        Ok(())
    }

    async fn read_all(&self, db: &Db) -> Result<(), DbError> {
        let mut fresh = World::new(load::load(db, None).await?);
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        let newer: Vec<Member> =
            world.members().filter(|m| fresh.get(m.id()).is_some_and(|f| older(f, m))).map(|m| (**m).clone()).collect();
        for m in newer {
            fresh.put(m);
        }
        *world = fresh;
        Ok(())
    }
}

/// Two readers may finish in either order: the newer generation stays.
fn older(read: &Member, known: &Member) -> bool {
    read.provider.generation < known.provider.generation
}

#[cfg(test)]
mod tests;
