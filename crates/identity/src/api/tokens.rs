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
        Route::get("/v3/auth/tokens/OS-PKI/revoked", to(revoked)).open(),
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
        .header("x-subject-token", text.expose()))
}

async fn validate(me: Identity, call: Call) -> Answer {
    let resolved = subject(&me, &call, "identity:validate_token").await?;
    let reply = Reply::bytes(200, "application/json", resolved.body(with_catalog(&call)));
    Ok(naming_subject(&call, reply))
}

async fn check(me: Identity, call: Call) -> Answer {
    subject(&me, &call, "identity:check_token").await?;
    Ok(naming_subject(&call, Reply::empty(200)))
}

fn naming_subject(call: &Call, reply: Reply) -> Reply {
    reply.header("x-subject-token", call.header("x-subject-token").unwrap_or_default())
}

async fn log_out(me: Identity, call: Call) -> Answer {
    let resolved = subject(&me, &call, "identity:revoke_token").await?;
    me.revoke_token(&resolved).await?;
    no_content()
}

async fn gone(_: Identity, _: Call) -> Answer {
    Err(Error::Refused {
        status: platform_http::StatusCode::GONE,
        message: "This API is no longer available due to the removal of support for PKI tokens.".into(),
    })
}

/// Keystone keeps no list of void tokens either, and says so only to those who have a token.
async fn revoked(_: Identity, _: Call) -> Answer {
    Err(Error::forbidden("You are not authorized to perform the requested action."))
}

fn with_catalog(call: &Call) -> bool {
    !call.query.has("nocatalog")
}

/// The token asked about, if the caller may ask.
async fn subject(me: &Identity, call: &Call, rule: &'static str) -> Result<Arc<Resolved>, Error> {
    let text = call
        .header("x-subject-token")
        .filter(|t| !t.is_empty())
        .ok_or_else(|| Error::gone_missing("No token in the request"))?;
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
