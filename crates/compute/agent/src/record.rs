//! `<instances_dir>/<uuid>/generation`: the last generation done, and what came of it.
//!
//! After a kill -9 the conductor still waits for a report; with this note the new agent reports what was done instead
//! of rebooting a guest a second time. Removals leave no note (the directory goes), and may be repeated anyway.

use crate::files;
use base::InstanceId;
use compute_model::assignment::Outcome;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) struct Records {
    instances_dir: PathBuf,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    generation: u64,
    outcome: Outcome,
}

impl Records {
    pub(crate) fn new(instances_dir: &Path) -> Self {
        Self { instances_dir: instances_dir.to_owned() }
    }

    fn path(&self, id: InstanceId) -> PathBuf {
        self.instances_dir.join(id.to_string()).join("generation")
    }

    /// What came of the generation, if it was done. A note that cannot be read counts as none: doing it again is safe.
    pub(crate) async fn outcome(&self, id: InstanceId, generation: u64) -> Option<Outcome> {
        let path = self.path(id);
        let bytes = match files::off_loop(move || files::read(&path)).await {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::error!(instance = %id, %error, "the note of what was done cannot be read");
                return None;
            }
        };
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        (record.generation == generation).then_some(record.outcome)
    }

    /// Durable when this returns. Without a directory for the guest there is nothing to note.
    pub(crate) async fn note(&self, id: InstanceId, generation: u64, outcome: &Outcome) -> io::Result<()> {
        let path = self.path(id);
        let record = Record { generation, outcome: outcome.clone() };
        files::off_loop(move || {
            if !path.parent().is_some_and(Path::is_dir) {
                return Ok(());
            }
            files::replace(&path, &serde_json::to_vec(&record)?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use compute_model::states::PowerState;

    #[tokio::test]
    async fn only_the_very_generation_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path());
        let id = InstanceId::random();
        let done = Outcome::Done { power: PowerState::Running };
        records.note(id, 3, &done).await.unwrap();
        assert_eq!(records.outcome(id, 3).await, None, "no directory, no note");
        files::create_dir(&dir.path().join(id.to_string())).unwrap();
        records.note(id, 3, &done).await.unwrap();
        assert_eq!(records.outcome(id, 3).await, Some(done));
        assert_eq!(records.outcome(id, 2).await, None);
        assert_eq!(records.outcome(id, 4).await, None);
        std::fs::write(records.path(id), "{\"generation\":3,").unwrap();
        assert_eq!(records.outcome(id, 3).await, None);
    }
}
