//! One examination: each check looks, looks again, and mends if it may.

use crate::{Check, DoctorError, Finding, Look, Remedy, checks};
use base::Clock;
use image_model::Stores;
use platform_db::{Db, DbError};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Mend what can be mended safely.
    pub repair: bool,
    /// Read image data and hash it.
    pub deep: bool,
    /// Between the two looks.
    pub pause: Duration,
    /// How much later than its deadline something may be decided: clocks differ, and who decides looks once in a while.
    pub grace: Duration,
    /// Bytes of image data read a second, at most.
    pub read_rate: u64,
    /// Kinds of operations that this version knows.
    pub kinds: Vec<&'static str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            repair: false,
            deep: false,
            pause: Duration::from_secs(2),
            // more than a lease, a janitor's round and a sensible clock skew together
            grace: Duration::from_secs(120),
            read_rate: 64 << 20,
            kinds: compute_model::work::ALL.to_vec(),
        }
    }
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Mended,
    /// It was gone, or different, when it was to be mended.
    Changed,
    /// It can be mended, and that was not asked for.
    Mendable(&'static str),
    /// What a person should do.
    ForAPerson(&'static str),
}

impl Outcome {
    pub fn is_left(self) -> bool {
        matches!(self, Self::Mendable(_) | Self::ForAPerson(_))
    }
}

/// What one check found.
#[derive(Clone, Debug)]
pub struct Report {
    pub check: &'static str,
    pub holds: &'static str,
    /// Subject, proof, and what became of it.
    pub findings: Vec<(String, String, Outcome)>,
}

impl Report {
    /// Findings that are still there.
    pub fn left(&self) -> usize {
        self.findings.iter().filter(|(_, _, o)| o.is_left()).count()
    }
}

/// Examines one cloud.
pub struct Doctor {
    db: Db,
    images: Option<Stores>,
    clock: Arc<dyn Clock>,
    pub settings: Settings,
}

impl Doctor {
    pub fn new(db: Db, images: Option<Stores>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self { db, images, clock, settings }
    }

    /// All checks, or those named.
    pub fn checks(only: &[String]) -> Result<Vec<Box<dyn Check>>, DoctorError> {
        let all = checks::all();
        if let Some(name) = only.iter().find(|n| !all.iter().any(|c| c.name() == *n)) {
            let known = all.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ");
            return Err(DoctorError::NoSuchCheck { name: name.clone(), known });
        }
        Ok(all.into_iter().filter(|c| only.is_empty() || only.iter().any(|n| n == c.name())).collect())
    }

    pub async fn examine(&self, check: &dyn Check) -> Result<Report, DoctorError> {
        let mut findings = Vec::new();
        for finding in self.confirmed(check).await? {
            let outcome = match finding.remedy {
                Remedy::Person(what) => Outcome::ForAPerson(what),
                Remedy::Safe(what, _) if !self.settings.repair => Outcome::Mendable(what),
                Remedy::Safe(_, _) => {
                    let (subject, proof) = (finding.subject.clone(), finding.proof.clone());
                    let outcome = self.mend(check.name(), finding).await?;
                    findings.push((subject, proof, outcome));
                    continue;
                }
            };
            findings.push((finding.subject, finding.proof, outcome));
        }
        Ok(Report { check: check.name(), holds: check.holds(), findings })
    }

    /// What two looks found.
    async fn confirmed(&self, check: &dyn Check) -> Result<Vec<Finding>, DoctorError> {
        let first = check.find(&self.look()).await?;
        if first.is_empty() {
            return Ok(first);
        }
        tokio::time::sleep(self.settings.pause).await;
        let mut second = check.find(&self.look()).await?;
        second.retain(|f| first.iter().any(|seen| seen.is_same(f)));
        Ok(second)
    }

    fn look(&self) -> Look {
        Look {
            db: self.db.clone(),
            images: self.images.clone(),
            now: self.clock.now(),
            settings: self.settings.clone(),
        }
    }

    async fn mend(&self, check: &'static str, finding: Finding) -> Result<Outcome, DoctorError> {
        let Finding { subject, proof, remedy, .. } = finding;
        let Remedy::Safe(what, mend) = remedy else { return Ok(Outcome::Changed) };
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        match mend(&mut tx, now).await {
            Ok(true) => {
                let detail = format!("{check}: {proof}; {what}");
                platform_engine::record(&mut tx, &subject, None, now, "doctor.repaired", &detail).await?;
                tx.commit().await?;
                tracing::warn!(check, subject, proof, "mended {subject}: {proof}");
                Ok(Outcome::Mended)
            }
            Ok(false) => {
                tx.undo().await?;
                Ok(Outcome::Changed)
            }
            // two that wait for each other in a circle, or a writer that was faster: the next examination looks again
            Err(error @ (DbError::Unavailable(_) | DbError::Duplicate(_) | DbError::ForeignKey(_))) => {
                tracing::warn!(check, subject, %error, "{subject} could not be mended now");
                Ok(Outcome::Mendable(what))
            }
            Err(error) => Err(error.into()),
        }
    }
}
