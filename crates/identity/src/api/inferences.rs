//! Which role implies which: `/v3/roles/{role_id}/implies`, `/v3/role_inferences`.

use super::guarded;
use super::kit::{Answer, no_content, to, url};
use crate::store::roles::{self, RoleRow};
use crate::{Error, Identity};
use platform_http::{Call, Method, Reply, Route};
use serde_json::{Value, json};

const ONE: &str = "/v3/roles/{role_id}/implies/{implied_role_id}";
/// What everything follows from must not follow from anything: Keystone's `prohibited_implied_role`.
const NEVER_IMPLIED: &str = "admin";

pub(super) fn routes() -> Vec<Route<Identity>> {
    let routes = vec![
        Route::get("/v3/roles/{role_id}/implies", to(list)).policy(&["identity:list_implied_roles"]),
        Route::put(ONE, to(create)).policy(&["identity:create_implied_role"]),
        Route::get(ONE, to(show)).policy(&["identity:get_implied_role"]),
        Route::new(Method::HEAD, ONE, to(check)).policy(&["identity:check_implied_role"]),
        Route::delete(ONE, to(delete)).policy(&["identity:delete_implied_role"]),
        Route::get("/v3/role_inferences", to(all)).policy(&["identity:list_role_inference_rules"]),
    ];
    routes.into_iter().map(guarded).collect()
}

fn brief(call: &Call, r: &RoleRow) -> Value {
    json!({"id": r.id, "name": r.name, "links": {"self": url(call, &format!("roles/{}", r.id))}})
}

/// The role, with what it does not show in these lists left out.
async fn role(me: &Identity, id: &str) -> Result<RoleRow, Error> {
    roles::get(me.db(), id).await?.ok_or_else(|| Error::not_found("role", id))
}

async fn pair(me: &Identity, call: &Call) -> Result<(RoleRow, RoleRow), Error> {
    Ok((role(me, call.param("role_id")).await?, role(me, call.param("implied_role_id")).await?))
}

fn inference(call: &Call, prior: &RoleRow, implied: &RoleRow) -> Value {
    let own = url(call, &format!("roles/{}/implies/{}", prior.id, implied.id));
    json!({
        "role_inference": {"prior_role": brief(call, prior), "implies": brief(call, implied)},
        "links": {"self": own},
    })
}

async fn list(me: Identity, call: Call) -> Answer {
    let prior = role(&me, call.param("role_id")).await?;
    let all = roles::all(me.db()).await?;
    let rules = roles::inferences(me.db()).await?;
    let implied: Vec<Value> = of(&rules, &all, &prior.id).map(|r| brief(&call, r)).collect();
    let own = url(&call, &format!("roles/{}/implies", prior.id));
    Ok(Reply::json(
        200,
        &json!({"role_inference": {"prior_role": brief(&call, &prior), "implies": implied}, "links": {"self": own}}),
    ))
}

fn of<'a>(rules: &'a [(String, String)], all: &'a [RoleRow], prior: &'a str) -> impl Iterator<Item = &'a RoleRow> {
    let implied = rules.iter().filter(move |(p, _)| p == prior);
    implied.filter_map(|(_, i)| all.iter().find(|r| r.id == *i))
}

async fn all(me: Identity, call: Call) -> Answer {
    let all = roles::all(me.db()).await?;
    let rules = roles::inferences(me.db()).await?;
    let items: Vec<Value> = all
        .iter()
        .filter_map(|prior| {
            let implied: Vec<Value> = of(&rules, &all, &prior.id).map(|r| brief(&call, r)).collect();
            (!implied.is_empty()).then(|| json!({"prior_role": brief(&call, prior), "implies": implied}))
        })
        .collect();
    Ok(Reply::json(200, &json!({"role_inferences": items, "links": {"self": url(&call, "role_inferences")}})))
}

async fn create(me: Identity, call: Call) -> Answer {
    let (prior, implied) = pair(&me, &call).await?;
    let is_admin = implied.name == NEVER_IMPLIED && implied.domain_id.is_none();
    let leaves_its_domain = implied.domain_id.is_some() && prior.domain_id.is_none();
    if is_admin || leaves_its_domain {
        return Err(Error::forbidden(format!("{} cannot be an implied roles.", implied.id)));
    }
    let mut tx = me.db().begin().await?;
    if !roles::imply(&mut tx, &prior.id, &implied.id).await? {
        return Err(Error::conflict("implied_role", "Duplicate entry"));
    }
    me.commit_change(tx).await?;
    Ok(Reply::json(201, &inference(&call, &prior, &implied)))
}

async fn require(me: &Identity, call: &Call) -> Result<(RoleRow, RoleRow), Error> {
    let (prior, implied) = pair(me, call).await?;
    let rules = roles::inferences(me.db()).await?;
    if rules.iter().any(|(p, i)| *p == prior.id && *i == implied.id) {
        Ok((prior, implied))
    } else {
        Err(not_implied(&prior, &implied))
    }
}

fn not_implied(prior: &RoleRow, implied: &RoleRow) -> Error {
    Error::gone_missing(format!("{} does not imply {}.", prior.id, implied.id))
}

async fn show(me: Identity, call: Call) -> Answer {
    let (prior, implied) = require(&me, &call).await?;
    Ok(Reply::json(200, &inference(&call, &prior, &implied)))
}

async fn check(me: Identity, call: Call) -> Answer {
    require(&me, &call).await?;
    no_content()
}

async fn delete(me: Identity, call: Call) -> Answer {
    let (prior, implied) = pair(&me, &call).await?;
    let mut tx = me.db().begin().await?;
    if !roles::imply_no_more(&mut tx, &prior.id, &implied.id).await? {
        return Err(not_implied(&prior, &implied));
    }
    me.commit_change(tx).await?;
    no_content()
}
