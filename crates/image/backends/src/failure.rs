//! What an answer of a remote store means.

use image_model::BackendError;
use reqwest::{Response, StatusCode};
use std::io;

/// Most bytes of a refusal that are read, and told.
const TOLD: usize = 512;

/// The request was not answered.
pub(crate) fn unanswered(what: &str, error: reqwest::Error) -> BackendError {
    // the URL may hold a signature
    let error = error.without_url();
    BackendError::Unavailable(format!("{what}: {}", chain(&error)))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// An answer that is no success. `location` is what a 404 is about.
pub(crate) async fn refused(what: &str, location: &str, answer: Response) -> BackendError {
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    of_status(what, location, status, &text)
}

pub(crate) fn of_status(what: &str, location: &str, status: StatusCode, text: &str) -> BackendError {
    let told: String = text.chars().filter(|c| !c.is_control()).take(TOLD).collect();
    let full = ["QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "Upload exceeds quota"];
    match status.as_u16() {
        404 | 410 => BackendError::NotFound(location.to_owned()),
        413 | 507 => BackendError::Full(format!("{what}: {status}")),
        _ if full.iter().any(|f| text.contains(f)) => BackendError::Full(format!("{what}: {status} {told}")),
        401 | 403 => BackendError::Denied(format!("{what}: {status} {told}")),
        408 | 429 | 500..=599 => BackendError::Unavailable(format!("{what}: {status} {told}")),
        _ => BackendError::Io { operation: what.to_owned(), source: io::Error::other(format!("{status} {told}")) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_mean() {
        let of = |status: u16, text: &str| of_status("PUT", "at", StatusCode::from_u16(status).unwrap(), text);
        assert!(matches!(of(404, ""), BackendError::NotFound(at) if at == "at"));
        assert!(matches!(of(413, ""), BackendError::Full(_)));
        assert!(matches!(of(507, ""), BackendError::Full(_)));
        assert!(matches!(of(403, "<Code>QuotaExceeded</Code>"), BackendError::Full(_)));
        assert!(matches!(of(403, "<Code>AccessDenied</Code>"), BackendError::Denied(_)));
        assert!(matches!(of(503, "SlowDown"), BackendError::Unavailable(_)));
        assert!(matches!(of(400, "what?"), BackendError::Io { .. }));
    }
}
