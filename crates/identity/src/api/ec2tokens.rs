//! `/v3/ec2tokens` and `/v3/s3tokens`: what a gateway asks about a request that is signed as Amazon's are. Only services
//! and administrators may: whoever got hold of a signed request could have a token for it (CVE-2025-65073).

use super::kit::{Answer, to};
use crate::auth::{Attempt, Dialect};
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Reply, Route};

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::post("/v3/ec2tokens", to(ec2)).policy(&["identity:ec2tokens_validate"]),
        Route::post("/v3/s3tokens", to(s3)).policy(&["identity:s3tokens_validate"]),
    ]
}

async fn ec2(me: Identity, call: Call) -> Answer {
    exchange(me, call, "identity:ec2tokens_validate", Dialect::Ec2).await
}

async fn s3(me: Identity, call: Call) -> Answer {
    exchange(me, call, "identity:s3tokens_validate", Dialect::S3).await
}

async fn exchange(me: Identity, call: Call, rule: &str, dialect: Dialect) -> Answer {
    me.allow(&call, rule, &Target::new())?;
    if !call.json().is_object() {
        return Err(Error::bad_request("request must include a request body"));
    }
    let made = me.exchange(call.json(), dialect).await;
    me.tell_attempt("authenticate", &Attempt::of(&me, &call), &made);
    let (text, resolved) = made?;
    let reply = Reply::bytes(200, "application/json", resolved.fresh_body(true));
    // an S3 gateway gets no token to act with, only what it says
    Ok(if dialect == Dialect::Ec2 { reply.header("x-subject-token", text.expose()) } else { reply })
}
