//! `/healthz` and `/metrics`.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use platform_bus::Bus;
use platform_db::{Db, args};
use platform_telemetry::Metrics;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// What the process still waits for before it can do all that it is for.
#[derive(Clone)]
pub(crate) struct Readiness {
    waiting: watch::Sender<BTreeSet<String>>,
    db: Option<Db>,
    bus: Arc<dyn Bus>,
}

impl Readiness {
    pub(crate) fn new(db: Option<Db>, bus: Arc<dyn Bus>) -> Self {
        Self { waiting: watch::Sender::new(BTreeSet::new()), db, bus }
    }
    pub(crate) fn wait_for(&self, what: &str) {
        self.waiting.send_if_modified(|w| w.insert(what.to_owned()));
    }
    pub(crate) fn has(&self, what: &str) {
        self.waiting.send_if_modified(|w| w.remove(what));
    }
    /// Says from now on that requests are better sent elsewhere.
    pub(crate) fn leave(&self) {
        self.wait_for("nothing more: this process is about to stop");
    }
    pub(crate) async fn reached(&self) {
        let mut waiting = self.waiting.subscribe();
        // fails only if the sender is gone, and self holds it
        let _reached = waiting.wait_for(BTreeSet::is_empty).await;
        self.bus.settled().await;
    }

    /// 200 and `ok`, or 503 and what is missing.
    async fn say(&self) -> (StatusCode, String) {
        let waiting: Vec<String> = self.waiting.borrow().iter().cloned().collect();
        if !waiting.is_empty() {
            return (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting.join(", ")));
        }
        if let Some(why) = self.bus.away() {
            return (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for the bus: {why}\n"));
        }
        let Some(db) = &self.db else { return (StatusCode::OK, "ok\n".into()) };
        match db.fetch_one::<(i64,)>("SELECT CAST(1 AS BIGINT)", args![]).await {
            Ok(_) => (StatusCode::OK, "ok\n".into()),
            Err(e) => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for the database: {e}\n")),
        }
    }
}

pub(crate) fn routes(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(move || async move { readiness.say().await }))
        .route("/metrics", get(move || async move { metrics.page() }))
}
