//! What the cloud tells its operator: log lines, as text or JSON, and `/metrics` for Prometheus.
//!
//! Log targets are crate names, which are role names: `RUST_LOG=compute_conductor=debug`. Secrets have a type that
//! prints nothing ([`base::Secret`]).

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter {filter:?} is not understood: {why}")]
    BadFilter { filter: String, why: String },
    #[error("logging is set up already")]
    Already,
    #[error("metrics: {0}")]
    Metrics(String),
}

/// Sends log lines to standard error. `filter` is `info`, or per target `info,compute_agent=debug`; the environment's
/// `RUST_LOG` wins over it.
pub fn start_logging(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let text = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter =
        EnvFilter::try_new(&text).map_err(|e| TelemetryError::BadFilter { filter: text, why: e.to_string() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| TelemetryError::Already)
}

/// The page that `/metrics` answers with.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder for this process. Labels never carry ids: a server each would grow without end.
    pub fn install() -> Result<Self, TelemetryError> {
        // 20 and 30 ms are what candidates and a placement may take in a large cloud
        const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
        PrometheusBuilder::new()
            .set_buckets(SECONDS)
            .and_then(|b| b.install_recorder())
            .map(Self)
            .map_err(|e| TelemetryError::Metrics(e.to_string()))
    }

    pub fn page(&self) -> String {
        self.0.render()
    }
}
