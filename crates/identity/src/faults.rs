//! `{"error": {"code", "message", "title"}}`.

use crate::Error;
use platform_http::{Fault, FaultFormat, MALFORMED_BODY, Reply, StatusCode, stock_unauthorized};
use serde_json::json;

#[derive(Clone, Copy, Debug, Default)]
pub struct KeystoneFaults;

const UNEXPECTED: &str = "An unexpected error prevented the server from fulfilling your request.";

impl FaultFormat for KeystoneFaults {
    fn render(&self, fault: &Fault, _accept: Option<&str>, _request_id: &str) -> Reply {
        match (fault.status, &*fault.message) {
            // Keystone has no 415
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, _) => {
                error(StatusCode::BAD_REQUEST, &Error::missing("application/json", "Content-Type header").to_string())
            }
            (status, said) if said.starts_with(MALFORMED_BODY) => error(status, &Error::malformed().to_string()),
            (status, "") if status.is_server_error() => error(status, UNEXPECTED),
            (status, said) => error(status, said),
        }
    }

    fn unauthorized(&self, identity_url: &str) -> Reply {
        stock_unauthorized(identity_url).header("vary", "X-Auth-Token")
    }
}

fn error(status: StatusCode, message: &str) -> Reply {
    let title = status.canonical_reason().unwrap_or("Error");
    let code = status.as_u16();
    Reply::json(code, &json!({"error": {"code": code, "message": message, "title": title}}))
        .header("vary", "X-Auth-Token")
}
