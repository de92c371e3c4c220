//! How the database is reached.

use crate::DbError;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// All but `url` are for PostgreSQL only.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH` or `postgresql://USER:PASSWORD@HOST/NAME`. Its `sslmode` is honoured; without one, a server that is
    /// reached over a network must show a certificate for its name (`verify-full`).
    pub url: String,
    /// Most connections of this process.
    pub max_connections: u32,
    /// What takes longer is ended by the server; so is a transaction in which nothing is asked for so long. `None`: never.
    pub statement_timeout: Option<Duration>,
    /// Certificates (PEM) trusted beside the system's.
    pub ssl_root_cert: Option<PathBuf>,
}

impl Settings {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            max_connections: 16,
            statement_timeout: Some(Duration::from_secs(30)),
            ssl_root_cert: None,
        }
    }

    pub(crate) fn sqlite_path(&self) -> Option<&str> {
        self.url.strip_prefix("sqlite://").or_else(|| self.url.strip_prefix("sqlite:"))
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres://") || self.url.starts_with("postgresql://")
    }

    pub(crate) fn postgres(&self) -> Result<PgConnectOptions, DbError> {
        let bad = |e: sqlx::Error| DbError::BadUrl(format!("the database URL is wrong: {e}"));
        let mut options = PgConnectOptions::from_str(&self.url)
            .map_err(bad)?
            // told apart by version in pg_stat_activity: see `upgrade`
            .application_name(&crate::upgrade::application_name())
            .statement_cache_capacity(512);
        if !self.says_ssl_mode() {
            let crosses_a_network = options.get_socket().is_none() && !is_local(options.get_host());
            options = options.ssl_mode(if crosses_a_network { PgSslMode::VerifyFull } else { PgSslMode::Disable });
        }
        if let Some(path) = &self.ssl_root_cert {
            options = options.ssl_root_cert(path);
        }
        let limit = self.statement_timeout.map_or(0, |t| t.as_millis());
        Ok(options.options([
            ("statement_timeout", limit),
            // who was stopped in a transaction must not hold its rows for ever
            ("idle_in_transaction_session_timeout", limit),
        ]))
    }

    fn says_ssl_mode(&self) -> bool {
        let (_, query) = self.url.split_once('?').unwrap_or_default();
        query.split('&').any(|pair| matches!(pair.split('=').next(), Some("sslmode" | "ssl-mode")))
    }
}

/// What is asked of it never leaves this machine.
fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.starts_with('/') || host == "localhost" || address.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> String {
        format!("{:?}", Settings::new(url).postgres().unwrap().get_ssl_mode())
    }

    #[test]
    fn over_a_network_the_server_must_prove_its_name() {
        for (url, want) in [
            ("postgresql://u@db.example/skyiron", "VerifyFull"),
            ("postgresql://u@192.0.2.7:5433/skyiron?application_name=x", "VerifyFull"),
            ("postgresql://u@[2001:db8::1]/skyiron", "VerifyFull"),
            ("postgresql://u@127.0.0.1/skyiron?host=db.example", "VerifyFull"),
            ("postgresql://u@localhost.example/skyiron", "VerifyFull"),
            ("postgresql://u@localhost/skyiron", "Disable"),
            ("postgresql://u@127.8.0.1/skyiron", "Disable"),
            ("postgresql://u@[::1]/skyiron", "Disable"),
            ("postgresql:///skyiron?host=/run/postgresql", "Disable"),
            ("postgresql://u@%2Frun%2Fpostgresql/skyiron", "Disable"),
            ("postgresql://u@db.example/skyiron?sslmode=disable", "Disable"),
            ("postgresql://u@db.example/skyiron?user=u&ssl-mode=require", "Require"),
            ("postgresql://u@localhost/skyiron?sslmode=verify-full", "VerifyFull"),
        ] {
            assert_eq!(mode(url), want, "{url}");
        }
    }

    #[test]
    fn a_statement_timeout_of_none_is_said_too() {
        let mut settings = Settings::new("postgresql://u@localhost/skyiron");
        let options = |s: &Settings| s.postgres().unwrap().get_options().unwrap_or_default().to_owned();
        assert!(options(&settings).contains("statement_timeout=30000"));
        settings.statement_timeout = None;
        assert!(options(&settings).contains("-c statement_timeout=0"));
    }
}
