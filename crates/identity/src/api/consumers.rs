//! `/v3/OS-OAUTH1/consumers`: programs registered to ask users for access.

use super::guarded;
use super::kit::{Answer, Fields, collection, linked, member, new_id, no_content, to, with_extra};
use crate::store::consumers::{self, ConsumerRow};
use crate::{Error, Identity};
use platform_http::{Call, Route};
use serde_json::{Value, json};

const ALL: &str = "/v3/OS-OAUTH1/consumers";
const ONE: &str = "/v3/OS-OAUTH1/consumers/{consumer_id}";
const KNOWN: &[&str] = &["description", "secret"];

pub(super) fn routes() -> Vec<Route<Identity>> {
    let routes = vec![
        Route::get(ALL, to(list)).policy(&["identity:list_consumers"]),
        Route::post(ALL, to(create)).policy(&["identity:create_consumer"]),
        Route::get(ONE, to(show)).policy(&["identity:get_consumer"]),
        Route::patch(ONE, to(update)).policy(&["identity:update_consumer"]),
        Route::delete(ONE, to(delete)).policy(&["identity:delete_consumer"]),
    ];
    routes.into_iter().map(guarded).collect()
}

/// Without the secret, which is shown once, when it is made.
fn render(call: &Call, c: &ConsumerRow) -> Value {
    let own = json!({"id": c.id, "description": c.description});
    linked(call, &format!("OS-OAUTH1/consumers/{}", c.id), with_extra(&c.extra, own))
}

async fn find(me: &Identity, call: &Call) -> Result<ConsumerRow, Error> {
    let id = call.param("consumer_id");
    consumers::get(me.db(), id).await?.ok_or_else(|| Error::gone_missing("Consumer not found"))
}

fn body(call: &Call) -> Result<Fields<'_>, Error> {
    if call.json()["consumer"].is_object() {
        Ok(Fields::of(call, "consumer"))
    } else {
        Err(Error::bad_request("'consumer' is a required property"))
    }
}

async fn list(me: Identity, call: Call) -> Answer {
    let items = consumers::all(me.db()).await?.iter().map(|c| render(&call, c)).collect();
    collection(&call, "consumers", items)
}

async fn create(me: Identity, call: Call) -> Answer {
    let body = body(&call)?;
    let secret = new_id();
    let row = ConsumerRow {
        id: new_id(),
        description: body.text("description"),
        secret: me.seal(&secret),
        extra: body.extra(KNOWN),
    };
    let mut tx = me.db().begin().await?;
    consumers::insert(&mut tx, &row).await?;
    tx.commit().await?;
    let mut value = render(&call, &row);
    value["secret"] = json!(secret);
    Ok(member(201, "consumer", value))
}

async fn show(me: Identity, call: Call) -> Answer {
    let row = find(&me, &call).await?;
    Ok(member(200, "consumer", render(&call, &row)))
}

async fn update(me: Identity, call: Call) -> Answer {
    let body = body(&call)?;
    if body.has("secret") {
        return Err(Error::bad_request("Consumer secret cannot be updated"));
    }
    let mut row = find(&me, &call).await?;
    body.same_id(&row.id)?;
    body.set_text("description", &mut row.description);
    row.extra = body.extra_over(&row.extra, KNOWN);
    let mut tx = me.db().begin().await?;
    consumers::update(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(member(200, "consumer", render(&call, &row)))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let row = find(&me, &call).await?;
    let mut tx = me.db().begin().await?;
    consumers::delete(&mut tx, &row.id).await?;
    tx.commit().await?;
    no_content()
}
