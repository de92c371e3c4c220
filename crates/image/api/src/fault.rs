//! Errors as Glance writes them: a page of WebOb's, in HTML, JSON or plain text, whichever the client accepts.

use image_model::{BackendError, Refusal, RegistryError};
use platform_http::{Fault, FaultFormat, Reply, StatusCode};
use serde_json::json;

pub(crate) struct WebOb;

impl FaultFormat for WebOb {
    fn render(&self, fault: &Fault, accept: Option<&str>, _request_id: &str) -> Reply {
        let code = fault.status.as_u16();
        let title = title(fault.status);
        let message = if fault.message.is_empty() { stock_message(code) } else { &fault.message };
        match preferred(accept) {
            Form::Html => {
                let message = escape(message);
                let page = format!(
                    "<html>\n <head>\n  <title>{code} {title}</title>\n </head>\n <body>\n  <h1>{code} {title}</h1>\n  \
                     {message}<br /><br />\n\n\n\n </body>\n</html>"
                );
                Reply::bytes(code, "text/html; charset=UTF-8", page)
            }
            Form::Json => Reply::json(
                code,
                &json!({"message": format!("{message}<br /><br />\n\n\n"), "code": format!("{code} {title}"), "title": title}),
            ),
            Form::Plain => {
                Reply::bytes(code, "text/plain; charset=UTF-8", format!("{code} {title}\n\n{message}\n\n   "))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Html,
    Json,
    Plain,
}

/// Of HTML and JSON the one that is accepted with the higher quality, HTML on a tie; plain text if neither is, or nothing is
/// said.
fn preferred(accept: Option<&str>) -> Form {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else { return Form::Plain };
    let quality = |kind: &str, subtype: &str| {
        let exact = format!("{kind}/{subtype}");
        let group = format!("{kind}/*");
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next()?.to_ascii_lowercase();
            let specific = [&exact, &group, "*/*"].iter().position(|m| **m == media)?;
            let q = parts.find_map(|p| p.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            Some((specific, q))
        });
        ranges.min_by_key(|(specific, _)| *specific).map_or(0.0, |(_, q)| q)
    };
    let (html, json) = (quality("text", "html"), quality("application", "json"));
    if html == 0.0 && json == 0.0 {
        Form::Plain
    } else if json > html {
        Form::Json
    } else {
        Form::Html
    }
}

/// WebOb's titles differ from HTTP's newest reason phrases in a few places.
fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        413 => "Request Entity Too Large",
        416 => "Requested Range Not Satisfiable",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

fn stock_message(code: u16) -> &'static str {
    match code {
        403 => "Access was denied to this resource.",
        404 => "The resource could not be found.",
        405 => "The method is not allowed for this resource.",
        _ => "The server has either erred or is incapable of performing the requested operation.",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#x27;")
}

pub(crate) fn of(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Invalid(m) => Fault::bad_request(m),
        Refusal::Forbidden(m) => Fault::forbidden(m),
        Refusal::NotFound(m) => Fault::not_found(m),
        Refusal::Conflict(m) => Fault::conflict(m),
        Refusal::TooLarge(m) => Fault::too_large(m),
    }
}

pub(crate) fn of_registry(error: RegistryError) -> Fault {
    match error {
        RegistryError::NotFound(_)
        | RegistryError::NoNamespace(_)
        | RegistryError::NoTask(_)
        | RegistryError::NoLocation(_) => Fault::not_found(error.to_string()),
        RegistryError::NoMarker(_) => Fault::bad_request(error.to_string()),
        RegistryError::Protected(_) | RegistryError::LastLocation(_) => Fault::forbidden(error.to_string()),
        RegistryError::Duplicate | RegistryError::Stale | RegistryError::WrongStatus(_) => {
            Fault::conflict(error.to_string())
        }
        RegistryError::TooMany { .. } => Fault::too_large(error.to_string()),
        RegistryError::Full => Fault::new(StatusCode::INSUFFICIENT_STORAGE, "The database's disk is full."),
        RegistryError::Unavailable(_) => {
            tracing::error!(%error, "image registry");
            Fault::unavailable("The image registry is not available; try again.")
        }
        RegistryError::Internal(_) => Fault::internal(&error),
    }
}

/// Of a store that would not take or give data.
pub(crate) fn of_backend(error: BackendError) -> Fault {
    match error {
        BackendError::Full(why) => Fault::too_large(format!("Image storage media is full: {why}")),
        BackendError::Denied(why) => {
            Fault::unavailable(format!("Insufficient permissions on image storage media: {why}"))
        }
        BackendError::ReadOnly => Fault::new(StatusCode::GONE, error.to_string()),
        BackendError::Unavailable(_) => {
            tracing::error!(%error, "image store");
            Fault::unavailable(format!("The image store cannot be reached; try again. {error}"))
        }
        other => Fault::internal(&other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_a_client_gets() {
        for (accept, form) in [
            (None, Form::Plain),
            (Some(" "), Form::Plain),
            (Some("*/*"), Form::Html),
            (Some("application/json"), Form::Json),
            (Some("text/html, application/json"), Form::Html),
            (Some("text/html;q=0.5, application/json"), Form::Json),
            (Some("*/*;q=0.1, application/json"), Form::Json),
            (Some("text/plain"), Form::Plain),
            (Some("application/octet-stream"), Form::Plain),
        ] {
            assert_eq!(preferred(accept), form, "{accept:?}");
        }
    }

    #[test]
    fn nothing_a_client_sent_becomes_html() {
        assert_eq!(escape("<script>'\"&"), "&lt;script&gt;&#x27;&quot;&amp;");
    }
}
