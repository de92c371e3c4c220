//! `/v3/auth/tokens`: log in, validate, log out.

use super::kit::{Answer, no_content, to};
use crate::auth::{Attempt, Resolved};
use crate::token::EXPIRED_WINDOW;
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Method, Reply, Route};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::post("/v3/auth/tokens", to(log_in)).open(),
        Route::get("/v3/auth/tokens", to(validate)).policy(&["identity:validate_token"]),
        Route::new(Method::HEAD, "/v3/auth/tokens", to(check)).policy(&["identity:check_token"]),
        Route::delete("/v3/auth/tokens", to(log_out)).policy(&["identity:revoke_token"]),
        Route::get("/v3/auth/tokens/OS-PKI/revoked", to(gone)).open(),
        Route::get("/v3/OS-SIMPLE-CERT/ca", to(gone)).open(),
        Route::get("/v3/OS-SIMPLE-CERT/certificates", to(gone)).open(),
    ]
}

async fn log_in(me: Identity, call: Call) -> Answer {
    let mut attempt = Attempt::of(&me, &call);
    let made = me.log_in(call.json(), &mut attempt).await;
    me.tell_attempt("authenticate", &attempt, &made);
    let result = match &made {
        Ok(_) => "ok",
        Err(Error::TooMany(_)) => "limited",
        Err(_) => "refused",
    };
    metrics::counter!("skyiron_identity_logins_total", "result" => result).increment(1);
    let (text, resolved) = made?;
    Ok(Reply::bytes(201, "application/json", resolved.fresh_body(with_catalog(&call)))
        .header("x-subject-token", text.expose())
        .header("vary", "X-Auth-Token"))
}

async fn validate(me: Identity, call: Call) -> Answer {
    let resolved = subject(&me, &call, "identity:validate_token").await?;
    let reply = Reply::bytes(200, "application/json", resolved.body(with_catalog(&call)));
    let text = call.headers.get("x-subject-token").and_then(|v| v.to_str().ok()).unwrap_or_default();
    Ok(reply.header("x-subject-token", text).header("vary", "X-Auth-Token"))
}

async fn check(me: Identity, call: Call) -> Answer {
    subject(&me, &call, "identity:check_token").await?;
    Ok(Reply::empty(200).header("vary", "X-Auth-Token"))
}

async fn log_out(me: Identity, call: Call) -> Answer {
    let resolved = subject(&me, &call, "identity:revoke_token").await?;
    me.revoke_token(&resolved).await?;
    no_content()
}

async fn gone(_: Identity, _: Call) -> Answer {
    Err(Error::Refused {
        status: platform_http::StatusCode::GONE,
        message: "The service you have requested is no longer available on this server.".into(),
    })
}

fn with_catalog(call: &Call) -> bool {
    !call.query.has("nocatalog")
}

/// The token asked about, if the caller may ask.
async fn subject(me: &Identity, call: &Call, rule: &'static str) -> Result<Arc<Resolved>, Error> {
    let text = call.header("x-subject-token").ok_or_else(|| Error::gone_missing("No token in the request"))?;
    let grace = match call.query.last("allow_expired") {
        Some("1" | "true" | "True") => EXPIRED_WINDOW,
        _ => Duration::ZERO,
    };
    let resolved = me.resolve_token(text, grace).await?;
    me.allow(call, rule, &Target::new().with("target.token.user_id", &resolved.facts.user_id))?;
    if !resolved.access_rules.is_empty() && call.header("openstack-identity-access-rules").is_none() {
        return Err(Error::gone_missing("Failed to validate token"));
    }
    Ok(resolved)
}
