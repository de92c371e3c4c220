//! `/resource_providers`.

use super::faults::{code, db};
use super::{Api, input, reply};
use crate::store::{self, Provider, ProviderFilter, ProviderHeld};
use crate::{StoreError, World};
use base::ProviderId;
use platform_db::DbError;
use platform_http::{Call, Fault, Reply};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn path(id: ProviderId) -> String {
    format!("/resource_providers/{id}")
}

fn shown(call: &Call, p: &Provider) -> Value {
    let url = reply::link(call, &path(p.id));
    let mut links = vec![json!({"rel": "self", "href": url})];
    for (since, rel) in [(0, "inventories"), (0, "usages"), (1, "aggregates"), (6, "traits"), (11, "allocations")] {
        if call.since(1, since) {
            links.push(json!({"rel": rel, "href": format!("{url}/{rel}")}));
        }
    }
    let mut body = json!({"uuid": p.id, "name": p.name, "generation": p.generation, "links": links});
    if call.since(1, 14) {
        body["parent_provider_uuid"] = json!(p.parent);
        body["root_provider_uuid"] = json!(p.root);
    }
    body
}

pub(super) async fn list(api: Api, call: Call) -> Result<Reply, Fault> {
    input::check_query(
        &call,
        &[
            ((1, 18), "GET_RPS_SCHEMA_1_18"),
            ((1, 14), "GET_RPS_SCHEMA_1_14"),
            ((1, 4), "GET_RPS_SCHEMA_1_4"),
            ((1, 3), "GET_RPS_SCHEMA_1_3"),
            ((1, 0), "GET_RPS_SCHEMA_1_0"),
        ],
    )?;
    let uuid = |key: &str| call.query.last(key).map(input::in_tree).transpose();
    let filter = ProviderFilter {
        name: call.query.last("name").map(str::to_owned),
        id: uuid("uuid")?,
        in_tree: uuid("in_tree")?,
    };
    let wanted = Wanted::read(&call)?;
    let mut providers = store::provider_list(&api.placement.db, &filter).await.map_err(db)?;
    if !wanted.is_anything() {
        wanted.check_names(&api).await?;
        let fits = api.placement.look_now(|world| fitting(world, &wanted)).await.map_err(db)?;
        providers.retain(|p| fits.contains(&p.id));
    }
    let newest = providers.iter().map(|p| p.updated_at).max();
    let shown: Vec<Value> = providers.iter().map(|p| shown(&call, p)).collect();
    Ok(reply::json(&call, 200, &json!({"resource_providers": shown}), newest))
}

/// What a listed provider must give and be like.
struct Wanted {
    resources: Vec<(String, u64)>,
    traits: input::Traits,
    aggregates: input::Membership,
}

impl Wanted {
    fn read(call: &Call) -> Result<Self, Fault> {
        Ok(Self {
            resources: call.query.last("resources").map(input::resources).transpose()?.unwrap_or_default(),
            traits: input::traits(call, "required")?,
            aggregates: input::member_of(call, "")?,
        })
    }
    fn is_anything(&self) -> bool {
        self.resources.is_empty()
            && self.traits == input::Traits::default()
            && self.aggregates == input::Membership::default()
    }
    async fn check_names(&self, api: &Api) -> Result<(), Fault> {
        let classes = self.resources.iter().map(|(class, _)| class.as_str());
        if let Some(class) = api.placement.unknown_class(classes).await.map_err(db)? {
            return Err(Fault::bad_request(format!(
                "Invalid resource class in resources parameter: No such resource class {class}."
            )));
        }
        let traits: Vec<&str> =
            self.traits.required.iter().flatten().chain(&self.traits.forbidden).map(String::as_str).collect();
        let unknown = api.placement.unknown_traits(&traits).await.map_err(db)?;
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown = unknown.join(", ");
        Err(Fault::bad_request(format!("Invalid trait(s) in \"required\" parameter: No such trait(s): {unknown}.")))
    }
}

fn fitting(world: &World, wanted: &Wanted) -> std::collections::HashSet<ProviderId> {
    let fits = |m: &crate::Member| {
        wanted.resources.iter().all(|(class, n)| m.stock(class).is_some_and(|s| s.fits(*n)))
            && wanted.traits.required.iter().all(|any| any.iter().any(|t| m.has_trait(t)))
            && !wanted.traits.forbidden.iter().any(|t| m.has_trait(t))
            && wanted.aggregates.member_of.iter().all(|any| any.iter().any(|a| m.is_in(a)))
            && !wanted.aggregates.not_member_of.iter().any(|a| m.is_in(a))
    };
    world.members().filter(|m| fits(m)).map(|m| m.id()).collect()
}

pub(super) async fn show(api: Api, call: Call) -> Result<Reply, Fault> {
    let provider = store::provider_get(&api.placement.db, input::provider(&call)?).await?;
    Ok(reply::json(&call, 200, &shown(&call, &provider), Some(provider.updated_at)))
}

#[derive(Deserialize)]
struct Create {
    name: String,
    uuid: Option<String>,
    parent_provider_uuid: Option<ProviderId>,
}

pub(super) async fn create(api: Api, call: Call) -> Result<Reply, Fault> {
    input::check_body(&call, &[((1, 14), "POST_RP_SCHEMA_V1_14"), ((1, 0), "POST_RESOURCE_PROVIDER_SCHEMA")])?;
    let wanted: Create = call.parse()?;
    let given = wanted.uuid.as_deref().filter(|u| !u.is_empty()).map(str::parse::<ProviderId>);
    let id = given.transpose().map_err(|e| Fault::bad_request(e.to_string()))?.unwrap_or_else(ProviderId::random);
    let unable = |why: &str| {
        Fault::bad_request(format!(
            "Unable to create resource provider \"{}\", {id}: Object action create failed because: {why}",
            wanted.name
        ))
    };
    if wanted.parent_provider_uuid == Some(id) {
        return Err(unable(
            "parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if \
                           there is no parent.",
        ));
    }
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    match store::provider_create(&mut tx, id, &wanted.name, wanted.parent_provider_uuid).await {
        Ok(()) => {}
        Err(StoreError::ProviderNotFound(_)) => return Err(unable("parent provider UUID does not exist.")),
        Err(StoreError::Db(DbError::Duplicate(what))) => return Err(taken(&what, id, &wanted.name)),
        Err(e) => return Err(e.into()),
    }
    let provider = store::provider_get_tx(&mut tx, id).await?;
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    let answer = if call.since(1, 20) {
        reply::json(&call, 200, &shown(&call, &provider), Some(provider.updated_at))
    } else {
        Reply::empty(201)
    };
    Ok(reply::location(&call, answer, &path(id)))
}

/// `what` is the engine's own message: it names the column or its index.
fn taken(what: &str, id: ProviderId, name: &str) -> Fault {
    let which = if what.contains("name") { format!("name: {name}") } else { format!("uuid: {id}") };
    Fault::conflict(format!("Conflicting resource provider {which} already exists.")).code(code::DUPLICATE_NAME)
}

pub(super) async fn update(api: Api, call: Call) -> Result<Reply, Fault> {
    let id = input::provider(&call)?;
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    let stored = store::provider_get_tx(&mut tx, id).await?;
    let body = input::check_body(&call, &[((1, 14), "PUT_RP_SCHEMA_V1_14"), ((1, 0), "PUT_RESOURCE_PROVIDER_SCHEMA")])?;
    let unable = |why: &str| {
        Fault::bad_request(format!("Unable to save resource provider {id}: Object action update failed because: {why}"))
    };
    let name = body["name"].as_str().unwrap_or_default();
    match store::provider_rename(&mut tx, id, name).await {
        Ok(()) => {}
        Err(StoreError::Db(DbError::Duplicate(_))) => {
            let taken = format!("Conflicting resource provider {name} already exists.");
            return Err(Fault::conflict(taken).code(code::DUPLICATE_NAME));
        }
        Err(e) => return Err(e.into()),
    }
    let parent = match body.get("parent_provider_uuid") {
        None => stored.parent,
        Some(v) => v.as_str().map(input::in_tree).transpose()?,
    };
    if parent != stored.parent {
        if stored.parent.is_some() && !call.since(1, 37) {
            return Err(unable("re-parenting a provider is not currently allowed."));
        }
        match store::provider_move(&mut tx, id, parent).await {
            Ok(true) => {}
            Ok(false) => {
                return Err(unable("creating loop in the provider tree is not allowed."));
            }
            Err(StoreError::ProviderNotFound(_)) => return Err(unable("parent provider UUID does not exist.")),
            Err(e) => return Err(e.into()),
        }
    }
    let provider = store::provider_get_tx(&mut tx, id).await?;
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    Ok(reply::json(&call, 200, &shown(&call, &provider), Some(provider.updated_at)))
}

pub(super) async fn delete(api: Api, call: Call) -> Result<Reply, Fault> {
    let uuid = call.param("uuid").to_owned();
    let missing = || Fault::not_found(format!("No resource provider with uuid {uuid} found for delete"));
    let id = input::provider(&call).map_err(|_| missing())?;
    let mut tx = api.placement.db.begin().await.map_err(db)?;
    match store::provider_delete(&mut tx, id).await {
        Ok(Ok(())) => {}
        Ok(Err(ProviderHeld::InUse)) => {
            let text = format!("Unable to delete resource provider {uuid}: Resource provider has allocations.");
            return Err(Fault::conflict(text).code(code::PROVIDER_IN_USE));
        }
        Ok(Err(ProviderHeld::HasChildren)) => {
            let text = format!("Unable to delete parent resource provider {uuid}: It has child resource providers.");
            return Err(Fault::conflict(text).code(code::CANNOT_DELETE_PARENT));
        }
        Err(StoreError::ProviderNotFound(_)) => return Err(missing()),
        Err(e) => return Err(e.into()),
    }
    tx.commit().await.map_err(db)?;
    api.placement.touched([id]);
    Ok(Reply::empty(204))
}
