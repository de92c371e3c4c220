//! The doctor in a running cloud: one check at a time, seldom, so that nobody notices it but by what it says.

use crate::{Doctor, Report};
use std::time::Duration;
use tokio::sync::watch;

/// Goes through all checks again and again until `stop` turns true, `interval` from one to the next. What it finds is logged and counted in
/// `skyiron_doctor_findings{check}`; it is mended only if the doctor's settings say so.
pub async fn watch(doctor: Doctor, interval: Duration, mut stop: watch::Receiver<bool>) {
    loop {
        for check in crate::checks::all() {
            tokio::select! {
                () = tokio::time::sleep(jittered(interval)) => {}
                _ = stop.wait_for(|s| *s) => return,
            }
            match doctor.examine(&*check).await {
                Ok(report) => tell(&report),
                Err(error) => tracing::warn!(check = check.name(), %error, "the doctor could not look"),
            }
        }
    }
}

fn tell(report: &Report) {
    metrics::gauge!("skyiron_doctor_findings", "check" => report.check).set(report.left() as f64);
    for (subject, proof, outcome) in &report.findings {
        if outcome.is_left() {
            tracing::error!(check = report.check, subject, proof, "doctor: {proof}");
        }
    }
}

/// Several processes on one database must not look at the same moment.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.75..1.25))
}
