//! `/v2/metadefs/namespaces`

use super::items::{self, KINDS};
use super::{allow, allow_any, body, created, find, is_public, page, text};
use crate::images::list::link;
use crate::{Glance, fault};
use base::Timestamp;
use image_model::{
    Direction, Item, ItemKind, Namespace, NamespaceQuery, NamespaceSort, NamespaceVisibility, RegistryError, Viewer,
};
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};

const PATH: &str = "/v2/metadefs/namespaces";
const READ_ONLY: &[&str] = &["self", "schema", "created_at", "updated_at"];

fn wire(namespace: &Namespace) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(key.to_owned(), value);
        }
    };
    put("namespace", Some(json!(namespace.name)));
    put("display_name", namespace.display_name.as_ref().map(|v| json!(v)));
    put("description", namespace.description.as_ref().map(|v| json!(v)));
    put("visibility", Some(json!(namespace.visibility)));
    put("protected", Some(json!(namespace.protected)));
    put("owner", namespace.owner.as_ref().map(|v| json!(v)));
    put("created_at", Some(json!(namespace.created_at.seconds_z())));
    put("updated_at", Some(json!(namespace.updated_at.seconds_z())));
    put("self", Some(json!(format!("{PATH}/{}", namespace.name))));
    put("schema", Some(json!("/v2/schemas/metadefs/namespace")));
    out
}

/// Adds what the namespace holds; kinds of which there is nothing are left out. `prefix`: as the properties are called
/// on one resource type.
fn with_items<'a>(out: &mut Map<String, Value>, all: impl Iterator<Item = &'a Item> + Clone, prefix: &str) {
    for kind in KINDS {
        let own = all.clone().filter(|i| i.kind == kind.kind);
        let value = match kind.kind {
            ItemKind::Property => {
                Value::Object(own.map(|i| (format!("{prefix}{}", i.name), Value::Object(i.body.clone()))).collect())
            }
            ItemKind::Object => own.map(|i| Value::Object(items::prefixed(i, prefix))).collect(),
            _ => own.map(|i| Value::Object((kind.wire_in_list)(i))).collect(),
        };
        let empty = value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        if !empty {
            out.insert(kind.plural.to_owned(), value);
        }
    }
}

/// `GET /v2/metadefs/namespaces`
pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    allow_any(&glance, &call.cx, "get_metadef_namespaces")?;
    allow_any(&glance, &call.cx, "list_metadef_resource_types")?;
    let query = query(&call)?;
    let limit = query.limit;
    let found = glance.registry.namespace_list(query, Viewer::of(&call.cx)).await.map_err(fault::of_registry)?;
    let next = found.last().filter(|_| found.len() == limit).map(|n| n.name.clone());
    let visible: Vec<&Namespace> =
        found.iter().filter(|n| allow(&glance, &call.cx, super::GET_NAMESPACE, n).is_ok()).collect();
    let names = visible.iter().map(|n| n.name.clone()).collect();
    let associations = glance.registry.metadef_items(names, vec![ItemKind::Association]).await;
    let associations = associations.map_err(fault::of_registry)?;
    let namespaces: Vec<Value> = visible
        .into_iter()
        .map(|n| {
            let mut out = wire(n);
            with_items(&mut out, associations.iter().filter(|i| i.namespace == n.name), "");
            Value::Object(out)
        })
        .collect();
    let mut pairs: Vec<(&str, &str)> =
        call.query.0.iter().filter(|(k, _)| k != "marker").map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut body = json!({
        "namespaces": namespaces, "first": link(PATH, &pairs), "schema": "/v2/schemas/metadefs/namespaces",
    });
    if let Some(marker) = &next {
        pairs.push(("marker", marker));
        body["next"] = json!(link(PATH, &pairs));
    }
    Ok(Reply::json(200, &body))
}

fn query(call: &Call) -> Result<NamespaceQuery, Fault> {
    let last = |key: &str| call.query.last(key);
    let limit = page::limit(call)?;
    let sort = last("sort_key").unwrap_or("created_at");
    let sort = sort.parse().map_err(|_| Fault::bad_request(format!("Invalid sort key: {sort}")))?;
    let sort: (NamespaceSort, Direction) = (sort, page::direction(call)?);
    Ok(NamespaceQuery {
        limit,
        marker: last("marker").map(str::to_owned),
        sort,
        visibility: is_public(last("visibility"))?,
        owner: last("owner").map(Into::into),
        resource_types: last("resource_types").map(|t| t.split(',').map(str::to_owned).collect()).unwrap_or_default(),
    })
}

/// `POST /v2/metadefs/namespaces`, with whatever it holds.
pub(crate) async fn create(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let body = body(&call, READ_ONLY)?;
    allow_any(&glance, &call.cx, "add_metadef_namespace")?;
    for kind in KINDS.iter().filter(|k| body.contains_key(k.plural)) {
        allow_any(&glance, &call.cx, kind.add)?;
    }
    let now = glance.clock.now();
    let owner =
        if body.contains_key("owner") { text(body, "owner").map(Into::into) } else { call.cx.project_id().cloned() };
    let namespace = Namespace { owner, created_at: now, updated_at: now, ..wanted(body, now)? };
    let items = contained(body, &namespace)?;
    let name = namespace.name.clone();
    let made = glance.registry.namespace_create(namespace, items).await;
    let (namespace, items) = made.map_err(|e| match e {
        RegistryError::Duplicate => {
            Fault::conflict(format!("The metadata definition namespace={name} already exists."))
        }
        other => fault::of_registry(other),
    })?;
    let mut out = wire(&namespace);
    with_items(&mut out, items.iter(), "");
    Ok(created(&Value::Object(out)).location(&format!("{}{PATH}/{}", call.root_url, namespace.name)))
}

fn wanted(body: &Map<String, Value>, now: Timestamp) -> Result<Namespace, Fault> {
    Ok(Namespace {
        name: text(body, "namespace").unwrap_or_default(),
        display_name: text(body, "display_name"),
        description: text(body, "description"),
        visibility: is_public(text(body, "visibility").as_deref())?.unwrap_or(NamespaceVisibility::Private),
        owner: text(body, "owner").map(Into::into),
        protected: body.get("protected").and_then(Value::as_bool).unwrap_or(false),
        created_at: now,
        updated_at: now,
    })
}

fn contained(body: &Map<String, Value>, namespace: &Namespace) -> Result<Vec<Item>, Fault> {
    let mut all = Vec::new();
    for kind in KINDS {
        match body.get(kind.plural) {
            Some(Value::Array(list)) => {
                for one in list.iter().filter_map(Value::as_object) {
                    let name = text(one, "name").ok_or_else(|| {
                        Fault::bad_request(format!("Couldn't create metadata namespace: {} without a name", kind.label))
                    })?;
                    all.push(kind.item(namespace, &name, one, namespace.created_at));
                }
            }
            Some(Value::Object(map)) => {
                let each = map.iter().filter_map(|(name, one)| Some((name, one.as_object()?)));
                all.extend(each.map(|(name, one)| kind.item(namespace, name, one, namespace.created_at)));
            }
            _ => {}
        }
    }
    Ok(all)
}

/// `GET …/{namespace_name}`, all of it.
pub(crate) async fn show(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let namespace = find(&glance, &call).await?;
    for rule in ["list_metadef_resource_types", "get_metadef_objects", "get_metadef_properties", "get_metadef_tags"] {
        allow(&glance, &call.cx, rule, &namespace)?;
    }
    let kinds = KINDS.iter().map(|k| k.kind).collect();
    let items = glance.registry.metadef_items(vec![namespace.name.clone()], kinds).await;
    let items = items.map_err(fault::of_registry)?;
    let prefix = call.query.last("resource_type").and_then(|wanted| {
        let association = items.iter().find(|i| i.kind == ItemKind::Association && i.name == wanted)?;
        text(&association.body, "prefix")
    });
    let mut out = wire(&namespace);
    with_items(&mut out, items.iter(), prefix.as_deref().unwrap_or_default());
    Ok(Reply::json(200, &out))
}

/// `PUT …/{namespace_name}`. What is not named goes back to its default.
pub(crate) async fn update(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let body = body(&call, READ_ONLY)?;
    let old = find(&glance, &call).await?;
    allow(&glance, &call.cx, "modify_metadef_namespace", &old)?;
    let wanted = wanted(body, glance.clock.now())?;
    let owner = wanted.owner.clone().or_else(|| call.cx.project_id().cloned());
    let new = Namespace { owner, created_at: old.created_at, ..wanted };
    let name = new.name.clone();
    match glance.registry.namespace_save(old.name.clone(), new).await {
        Ok(Some(saved)) => Ok(Reply::json(200, &wire(&saved))),
        Ok(None) => Err(super::not_found(&old.name)),
        Err(RegistryError::Duplicate) => {
            Err(Fault::conflict(format!("The metadata definition namespace={name} already exists.")))
        }
        Err(e) => Err(fault::of_registry(e)),
    }
}

/// `DELETE …/{namespace_name}`, with all it holds.
pub(crate) async fn delete(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, "delete_metadef_namespace", &namespace)?;
    protect(&namespace)?;
    if glance.registry.namespace_delete(namespace.name.clone()).await.map_err(fault::of_registry)? {
        Ok(Reply::empty(204))
    } else {
        Err(super::not_found(&namespace.name))
    }
}

/// 403 if it is protected.
pub(super) fn protect(namespace: &Namespace) -> Result<(), Fault> {
    if !namespace.protected {
        return Ok(());
    }
    let name = &namespace.name;
    Err(Fault::forbidden(format!("Metadata definition namespace {name} is protected and cannot be deleted.")))
}

/// `DELETE …/{namespace_name}/objects` and the like: all of a kind.
pub(super) async fn clear(glance: Glance, call: Call, kind: ItemKind) -> Result<Reply, Fault> {
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, "delete_metadef_namespace", &namespace)?;
    if kind == ItemKind::Tag {
        allow(&glance, &call.cx, "delete_metadef_tags", &namespace)?;
    }
    protect(&namespace)?;
    glance.registry.metadef_items_remove(namespace.name, kind, None).await.map_err(fault::of_registry)?;
    Ok(Reply::empty(204))
}

pub(crate) async fn clear_objects(glance: Glance, call: Call) -> Result<Reply, Fault> {
    clear(glance, call, ItemKind::Object).await
}
pub(crate) async fn clear_properties(glance: Glance, call: Call) -> Result<Reply, Fault> {
    clear(glance, call, ItemKind::Property).await
}
pub(crate) async fn clear_tags(glance: Glance, call: Call) -> Result<Reply, Fault> {
    clear(glance, call, ItemKind::Tag).await
}
