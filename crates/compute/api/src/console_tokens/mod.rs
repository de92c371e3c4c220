//! `GET /os-console-auth-tokens/{token}`: where a console proxy finds what a token stands for. No graphical consoles are
//! handed out yet, so no token is known.

use crate::ComputeApi;
use platform_http::{Call, Fault, Reply, Route};

const SHOW: &str = "os_compute_api:os-console-auth-tokens";

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![Route::get("/os-console-auth-tokens/{id}", show).policy(&[SHOW]).schema("console_auth_tokens.show")]
}

async fn show(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    api.allow_own(&call.cx, SHOW)?;
    if !call.since(2, 31) {
        return Err(Fault::bad_request(
            "The server could not comply with the request since it is either malformed or otherwise incorrect.",
        ));
    }
    Err(Fault::not_found("Token not found"))
}
