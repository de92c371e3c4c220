//! Why something was not fetched, in words for the user: what a name resolves to inside the site is not among them.

use hyper::StatusCode;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("URI for web-download does not pass filtering: {0}")]
    Filtered(String),
    #[error("Redirect to disallowed URL: {0}")]
    RedirectFiltered(String),
    #[error("The address of {host} may not be fetched from.")]
    Address { host: String },
    #[error("The name {host} cannot be resolved.")]
    NoName { host: String },
    #[error("{host} cannot be reached: {why}")]
    Unreachable { host: String, why: String },
    #[error("{host} answered {status}.")]
    Refused { host: String, status: StatusCode },
    #[error("There were more than {0} redirects.")]
    TooManyRedirects(usize),
    #[error("{host} redirected without saying where to.")]
    NoRedirectTarget { host: String },
    #[error("No data came for {} seconds.", .0.as_secs_f32())]
    Idle(Duration),
    #[error("Data came too slowly: {bytes} bytes in {} seconds.", .window.as_secs_f32())]
    Slow { bytes: u64, window: Duration },
    #[error("The data ended early, after {at} bytes: {why}")]
    CutOff { at: u64, why: String },
    #[error("The data changed while it was fetched; {at} bytes had come.")]
    Changed { at: u64 },
}

impl FetchError {
    /// Whether asking again for the rest could help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::CutOff { .. } | Self::Unreachable { .. } | Self::Idle(_) | Self::NoName { .. } => true,
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }
}
