//! Secrets as they are stored: encrypted with the keys of `credential-keys`. Moving them to the newest of these keys.

use crate::store::sealed::{self, SEALED, Sealed};
use crate::token::keys::{self, KeyError, KeyRepository, Rotated, Rotation};
use crate::{Error, Identity};
use platform_db::{Db, DbError};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Rows re-encrypted in one transaction.
const BATCH: u32 = 200;
/// What every Fernet token begins with: its version and the upper half of its time of issue.
const FERNET: &str = "gAAAAA";

/// What was done to the stored secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Encrypted anew with the primary key.
    pub moved: u64,
    /// Were so already.
    pub right: u64,
    /// Those that no key opens: table and id.
    pub lost: Vec<(&'static str, String)>,
}

impl Identity {
    /// The secret in the clear. `None`: its key is gone.
    pub(crate) fn unseal(&self, sealed: &str) -> Option<String> {
        unseal(&self.0.credential_keys, sealed)
    }

    pub(crate) fn seal(&self, secret: &str) -> String {
        let seconds = u64::try_from(self.now().0 / 1_000_000).unwrap_or_default();
        self.0.credential_keys.seal(seconds, secret.as_bytes())
    }

    /// Encrypts what older versions stored in the clear.
    pub(crate) async fn seal_what_is_clear(&self) -> Result<(), DbError> {
        for table in SEALED.iter().filter(|t| t.was_clear) {
            let done = reseal(self.db(), &self.0.credential_keys, table, |text| !text.starts_with(FERNET)).await?;
            if done.moved > 0 {
                tracing::info!(table = table.table, "{} secrets of {} are encrypted now", done.moved, table.table);
            }
        }
        Ok(())
    }
}

/// The keys of stored secrets: those of the file if there is one, else those below `key_dir`.
pub fn credential_keys(key_dir: &Path, file: Option<&Path>) -> Result<KeyRepository, KeyError> {
    match file {
        Some(file) => KeyRepository::of_file(file),
        None => KeyRepository::open(&key_dir.join(keys::CREDENTIAL_KEYS)),
    }
}

/// Encrypts everything stored with the primary key, beside whoever else runs.
pub async fn migrate_credentials(db: &Db, keys: &KeyRepository) -> Result<Resealed, Error> {
    let mut all = Resealed::default();
    for table in &SEALED {
        let done = reseal(db, keys, table, |_| true).await?;
        all.moved += done.moved;
        all.right += done.right;
        all.lost.extend(done.lost);
    }
    Ok(all)
}

/// A new primary key for stored secrets, everything encrypted with it, and then the older keys dropped; none is while
/// something cannot be read, for which an operator may still find the key.
pub async fn rotate_credentials(db: &Db, key_dir: &Path, settle: Duration) -> Result<(Rotated, Resealed), Error> {
    let dir = key_dir.join(keys::CREDENTIAL_KEYS);
    let rules = Rotation { settle, lives: None, at_least: Rotation::AT_LEAST };
    let mut rotated = keys::rotate(&dir, &rules)?;
    let done = migrate_credentials(db, &KeyRepository::open(&dir)?).await?;
    if done.lost.is_empty() {
        rotated.dropped = keys::drop_but_the_last_two(&dir)?;
        rotated.kept -= rotated.dropped.len();
    }
    Ok((rotated, done))
}

async fn reseal(
    db: &Db,
    keys: &KeyRepository,
    table: &'static Sealed,
    concerns: impl Fn(&str) -> bool,
) -> Result<Resealed, DbError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut done = Resealed::default();
    let mut after = String::new();
    loop {
        let rows = sealed::after(db, table, &after, BATCH).await?;
        let Some((last, _)) = rows.last() else { return Ok(done) };
        after.clone_from(last);
        let mut tx = db.begin().await?;
        for (id, old) in rows.iter().filter(|(_, text)| concerns(text)) {
            let clear = match unseal(keys, old) {
                _ if keys.is_of_primary(old) => {
                    done.right += 1;
                    continue;
                }
                None if table.was_clear && !old.starts_with(FERNET) => old.clone(),
                None => {
                    done.lost.push((table.table, id.clone()));
                    continue;
                }
                Some(clear) => clear,
            };
            // who has changed it meanwhile has encrypted it, too
            done.moved += sealed::replace(&mut tx, table, id, old, &keys.seal(now, clear.as_bytes())).await?;
        }
        tx.commit().await?;
    }
}

fn unseal(keys: &KeyRepository, sealed: &str) -> Option<String> {
    let (_, secret) = keys.open_token(sealed)?;
    String::from_utf8(secret).ok()
}
