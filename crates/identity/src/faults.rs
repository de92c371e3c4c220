//! `{"error": {"code", "message", "title"}}`.

use platform_http::{Fault, FaultFormat, Reply};
use serde_json::json;

#[derive(Clone, Copy, Debug, Default)]
pub struct KeystoneFaults;

const UNEXPECTED: &str = "An unexpected error prevented the server from fulfilling your request.";

impl FaultFormat for KeystoneFaults {
    fn render(&self, fault: &Fault, _accept: Option<&str>, _request_id: &str) -> Reply {
        let code = fault.status.as_u16();
        let title = fault.status.canonical_reason().unwrap_or("Error");
        let message = if fault.message.is_empty() && code >= 500 { UNEXPECTED } else { &*fault.message };
        Reply::json(code, &json!({"error": {"code": code, "message": message, "title": title}}))
            .header("vary", "X-Auth-Token")
    }
}
