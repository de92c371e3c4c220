//! A rotation: the staged key becomes primary, a new one is staged, and keys go that nothing living was made with.

use super::files::{self, Existing};
use super::{FernetKey, KeyError};
use std::fs::TryLockError;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What a rotation keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// How old the staged key must be: by then every process has read it.
    pub settle: Duration,
    /// How long what was made with a key is of use after the key stopped being primary. `None`: for ever.
    pub lives: Option<Duration>,
    /// Keys kept whatever their age, staged and primary included.
    pub at_least: usize,
}

impl Rotation {
    /// Processes look every second; one that is stopped or cut off for longer than this refuses new tokens for a moment
    /// when it goes on.
    pub const SETTLE: Duration = Duration::from_secs(60);
    /// Keystone's `[fernet_tokens] max_active_keys`.
    pub const AT_LEAST: usize = 3;
}

/// What a rotation did.
#[derive(Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The number of the key that things are made with from now on.
    pub primary: u64,
    pub dropped: Vec<u64>,
    /// Staged and primary included.
    pub kept: usize,
}

/// Rotates the keys of a folder, whoever has it open.
pub fn rotate(dir: &Path, rules: &Rotation) -> Result<Rotated, KeyError> {
    // held until dropped; the system drops it if we die
    let lock = std::fs::File::open(dir).map_err(|e| KeyError::at(dir, e))?;
    lock.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => KeyError::Busy(dir.to_owned()),
        TryLockError::Error(e) => KeyError::at(dir, e),
    })?;
    let found = files::read(dir)?;
    let highest = *found.keys().next_back().ok_or_else(|| KeyError::Empty(dir.to_owned()))?;
    // without a staged key nobody knows the new one in advance: it is staged now, and the next rotation has it
    if let Some(staged) = found.get(&0) {
        // a time in the future is that of another clock: no age can be told from it
        let age = age(files::written_at(dir, 0)?).unwrap_or_default();
        if age < rules.settle {
            return Err(KeyError::TooSoon(rules.settle - age));
        }
        files::write(dir, highest + 1, staged, Existing::Goes)?;
    }
    files::write(dir, 0, &FernetKey::random(), Existing::Goes)?;
    let numbers: Vec<u64> = files::read(dir)?.into_keys().filter(|n| *n != 0).collect();
    let primary = numbers.last().copied().unwrap_or_default();
    let mut dropped = Vec::new();
    for pair in numbers.windows(2) {
        let is_needed = numbers.len() + 1 - dropped.len() <= rules.at_least.max(2);
        let retired = age(files::written_at(dir, pair[1])?);
        if !is_needed && rules.lives.zip(retired).is_some_and(|(lives, age)| age > lives) {
            files::remove(dir, pair[0])?;
            dropped.push(pair[0]);
        }
    }
    Ok(Rotated { primary, kept: numbers.len() + 1 - dropped.len(), dropped })
}

/// Drops all but the staged key, the primary and the one before it, which a process that has not looked yet writes with.
pub(crate) fn drop_but_the_last_two(dir: &Path) -> Result<Vec<u64>, KeyError> {
    let numbers: Vec<u64> = files::read(dir)?.into_keys().filter(|n| *n != 0).collect();
    let old = &numbers[..numbers.len().saturating_sub(2)];
    for n in old {
        files::remove(dir, *n)?;
    }
    Ok(old.to_vec())
}

fn age(of: SystemTime) -> Option<Duration> {
    SystemTime::now().duration_since(of).ok()
}
