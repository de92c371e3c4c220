//! Answers and refusals as Nova's web framework writes them: text.

use crate::proxy::Refused;
use crate::tree::Found;
use platform_db::DbError;
use platform_http::{Fault, FaultFormat, Reply, StatusCode};

const TEXT: &str = "text/plain; charset=UTF-8";

pub(crate) fn found(found: Found) -> Reply {
    match found {
        Found::Text(text) => Reply::bytes(200, TEXT, text),
        Found::Bytes(bytes) => Reply::bytes(200, TEXT, bytes),
        Found::Json(document) => Reply::json(200, &document),
        Found::Password => Reply::bytes(200, TEXT, ""),
    }
}

pub(crate) fn not_found() -> Fault {
    Fault::not_found("The resource could not be found.")
}

pub(crate) fn refused(why: Refused) -> Fault {
    match why {
        Refused::Missing(_) | Refused::Twice(_) => Fault::bad_request(why.to_string()),
        Refused::Signature => {
            tracing::warn!("a request is refused: its signature is not one of the shared secret");
            Fault::forbidden(why.to_string())
        }
        Refused::Direct | Refused::Balancer => {
            tracing::warn!("a request is answered 404: {why}");
            not_found()
        }
    }
}

pub(crate) fn db(error: DbError) -> Fault {
    if error.worth_retrying() {
        tracing::warn!(%error, "the database is not available");
        return Fault::unavailable("The database is not available; try again.");
    }
    Fault::internal(&error)
}

/// `404 Not Found`, an empty line, and the sentence.
pub(crate) struct PlainFaults;

impl FaultFormat for PlainFaults {
    fn render(&self, fault: &Fault, _accept: Option<&str>, _request_id: &str) -> Reply {
        let message = match &*fault.message {
            "" => "An unknown error has occurred. Please try your request again.",
            message => message,
        };
        Reply::bytes(fault.status.as_u16(), TEXT, plain(fault.status, message))
    }

    /// No path asks for a token: only a method that no route knows ends here.
    fn unauthorized(&self, _identity_url: &str) -> Reply {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Reply::bytes(status.as_u16(), TEXT, plain(status, "The method is not allowed for this resource."))
    }
}

/// The trailing blanks are those of the framework's template.
fn plain(status: StatusCode, message: &str) -> String {
    format!("{} {}\n\n{message}\n\n   ", status.as_u16(), status.canonical_reason().unwrap_or_default())
}
