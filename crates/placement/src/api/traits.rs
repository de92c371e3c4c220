//! `/traits` and `/resource_providers/{uuid}/traits`.

use super::faults::{concurrent, db};
use super::{Api, input, reply};
use crate::StoreError;
use crate::store::{self, TraitFilter};
use platform_db::DbError;
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

pub(super) fn generation_changed() -> Fault {
    concurrent("Resource provider's generation already changed. Please update the generation and try again.")
}

fn path(name: &str) -> String {
    format!("/traits/{name}")
}

fn no_such(name: &str) -> Fault {
    Fault::not_found(format!("No such trait(s): {name}."))
}

pub(super) async fn list(api: Api, call: Call) -> Result<Reply, Fault> {
    input::check_query(&call, &[((1, 6), "LIST_TRAIT_SCHEMA")])?;
    let mut filter = TraitFilter::default();
    if let Some(text) = call.query.last("name") {
        match text.split_once(':') {
            Some(("in", names)) => filter.names = Some(names.split(',').map(str::to_owned).collect()),
            Some(("startswith", prefix)) => filter.prefix = Some(prefix.to_owned()),
            Some(_) => {}
            None => {
                return Err(Fault::bad_request(format!(
                    "Badly formatted name parameter. Expected name query string parameter in form: \
                     ?name=[in|startswith]:[name1,name2|prefix]. Got: \"{text}\""
                )));
            }
        }
    }
    filter.associated = match call.query.last("associated").map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => {
            return Err(Fault::bad_request("The query parameter \"associated\" only accepts \"true\" or \"false\""));
        }
    };
    let traits = store::trait_list(&api.placement.db, &filter).await.map_err(db)?;
    let newest = traits.iter().map(|(_, at)| *at).max();
    let names: Vec<&str> = traits.iter().map(|(name, _)| name.as_str()).collect();
    Ok(reply::json(&call, 200, &json!({"traits": names}), newest))
}

pub(super) async fn show(api: Api, call: Call) -> Result<Reply, Fault> {
    let name = call.param("name");
    let made = store::trait_get(&api.placement.db, name).await.map_err(db)?.ok_or_else(|| no_such(name))?;
    Ok(reply::dated(&call, Reply::empty(204), Some(made)))
}

pub(super) async fn ensure(api: Api, call: Call) -> Result<Reply, Fault> {
    let name = call.param("name");
    if !store::is_custom(name) {
        return Err(Fault::bad_request(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix \
             \"CUSTOM_\" and use following characters: \"A\"-\"Z\", \"0\"-\"9\" and \"_\"",
        ));
    }
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let new = store::trait_create(&mut tx, name).await.map_err(db)?;
    tx.commit().await.map_err(db)?;
    let made = store::trait_get(&api.placement.db, name).await.map_err(db)?;
    let answer = reply::location(&call, Reply::empty(if new { 201 } else { 204 }), &path(name));
    Ok(reply::dated(&call, answer, made))
}

pub(super) async fn delete(api: Api, call: Call) -> Result<Reply, Fault> {
    let name = call.param("name");
    if !store::is_custom(name) {
        return Err(match store::trait_get(&api.placement.db, name).await.map_err(db)? {
            Some(_) => Fault::bad_request(format!("Cannot delete standard trait {name}.")),
            None => no_such(name),
        });
    }
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    match store::trait_delete(&mut tx, name).await {
        Ok(true) => {}
        Ok(false) => return Err(no_such(name)),
        Err(DbError::ForeignKey(_)) => {
            return Err(Fault::conflict(format!("The trait {name} is in use by a resource provider.")));
        }
        Err(e) => return Err(db(e)),
    }
    tx.commit().await.map_err(db)?;
    Ok(Reply::empty(204))
}

pub(super) async fn list_of_provider(api: Api, call: Call) -> Result<Reply, Fault> {
    let provider = store::provider_get(&api.placement.db, input::provider(&call)?).await?;
    let traits = store::provider_trait_list(&api.placement.db, provider.id).await.map_err(db)?;
    let body = json!({"traits": traits, "resource_provider_generation": provider.generation});
    Ok(reply::json(&call, 200, &body, Some(provider.updated_at)))
}

pub(super) async fn replace_of_provider(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    let body = input::check_body(&call, &[((1, 6), "SET_TRAITS_FOR_RP_SCHEMA")])?;
    let mut wanted: Vec<&str> = body["traits"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let expected = body["resource_provider_generation"].as_i64();
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    store::provider_get_tx(&mut tx, id).await?;
    let generation = match store::traits_replace(&mut tx, id, expected, &wanted).await {
        Err(StoreError::ProviderConflict(_)) => return Err(generation_changed()),
        Err(StoreError::TraitsNotFound(names)) => {
            return Err(Fault::bad_request(format!("No such trait {}", names.join(", "))));
        }
        other => other?,
    };
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    let body = json!({"traits": wanted, "resource_provider_generation": generation});
    Ok(reply::json(&call, 200, &body, None))
}

pub(super) async fn delete_of_provider(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    store::traits_replace(&mut tx, id, None, &[]).await?;
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    Ok(Reply::empty(204))
}
