//! Objects, properties, tags and associations of a namespace: `/v2/metadefs/namespaces/{namespace_name}/…`

use super::{allow, body, created, find, page, text};
use crate::{Glance, fault};
use base::Timestamp;
use image_model::{Item, ItemKind, Namespace, RegistryError};
use platform_http::{Call, Fault, Reply};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What sets one kind apart from the others.
pub(crate) struct Kind {
    pub(super) kind: ItemKind,
    /// In messages.
    pub(super) label: &'static str,
    /// The key of lists.
    pub(super) plural: &'static str,
    pub(super) add: &'static str,
    pub(crate) list: &'static str,
    pub(crate) get: &'static str,
    pub(crate) modify: &'static str,
    pub(crate) remove: &'static str,
    read_only: &'static [&'static str],
    wire: fn(&Item) -> Map<String, Value>,
    pub(super) wire_in_list: fn(&Item) -> Map<String, Value>,
}

pub(crate) const OBJECTS: Kind = Kind {
    kind: ItemKind::Object,
    label: "object",
    plural: "objects",
    add: "add_metadef_object",
    list: "get_metadef_objects",
    get: "get_metadef_object",
    modify: "modify_metadef_object",
    remove: "delete_metadef_object",
    read_only: &["self", "schema", "created_at", "updated_at"],
    wire: object,
    wire_in_list: object,
};
pub(crate) const PROPERTIES: Kind = Kind {
    kind: ItemKind::Property,
    label: "property",
    plural: "properties",
    add: "add_metadef_property",
    list: "get_metadef_properties",
    get: "get_metadef_property",
    modify: "modify_metadef_property",
    remove: "remove_metadef_property",
    read_only: &["created_at", "updated_at"],
    wire: property,
    wire_in_list: property,
};
pub(crate) const TAGS: Kind = Kind {
    kind: ItemKind::Tag,
    label: "tag",
    plural: "tags",
    add: "add_metadef_tag",
    list: "get_metadef_tags",
    get: "get_metadef_tag",
    modify: "modify_metadef_tag",
    remove: "delete_metadef_tag",
    read_only: &["created_at", "updated_at"],
    wire: timed,
    wire_in_list: |item| [("name".to_owned(), json!(item.name))].into_iter().collect(),
};
pub(crate) const ASSOCIATIONS: Kind = Kind {
    kind: ItemKind::Association,
    label: "resource type",
    plural: "resource_type_associations",
    add: "add_metadef_resource_type_association",
    list: "list_metadef_resource_types",
    get: "get_metadef_resource_type",
    modify: "add_metadef_resource_type_association",
    remove: "remove_metadef_resource_type_association",
    read_only: &["created_at", "updated_at"],
    wire: timed,
    wire_in_list: timed,
};
pub(super) const KINDS: &[Kind] = &[ASSOCIATIONS, PROPERTIES, OBJECTS, TAGS];

/// Name and body.
fn property(item: &Item) -> Map<String, Value> {
    let mut out = item.body.clone();
    out.insert("name".to_owned(), json!(item.name));
    out
}

fn timed(item: &Item) -> Map<String, Value> {
    let mut out = property(item);
    out.insert("created_at".to_owned(), json!(item.created_at.seconds_z()));
    out.insert("updated_at".to_owned(), json!(item.updated_at.seconds_z()));
    out
}

fn object(item: &Item) -> Map<String, Value> {
    let mut out = timed(item);
    out.entry("required").or_insert_with(|| json!([]));
    out.insert("self".to_owned(), json!(format!("/v2/metadefs/namespaces/{}/objects/{}", item.namespace, item.name)));
    out.insert("schema".to_owned(), json!("/v2/schemas/metadefs/object"));
    out
}

/// An object as its properties are called on a resource type with this prefix.
pub(super) fn prefixed(item: &Item, prefix: &str) -> Map<String, Value> {
    let mut out = object(item);
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        *properties = std::mem::take(properties).into_iter().map(|(k, v)| (format!("{prefix}{k}"), v)).collect();
    }
    if let Some(Value::Array(required)) = out.get_mut("required") {
        for name in required {
            *name = json!(format!("{prefix}{}", name.as_str().unwrap_or_default()));
        }
    }
    out
}

impl Kind {
    /// `body` is a request's; its name and the times are kept apart.
    pub(super) fn item(&self, namespace: &Namespace, name: &str, body: &Map<String, Value>, now: Timestamp) -> Item {
        let kept = body.iter().filter(|(k, _)| *k != "name" && !self.read_only.contains(&k.as_str()));
        Item {
            namespace: namespace.name.clone(),
            kind: self.kind,
            name: name.to_owned(),
            body: kept.map(|(k, v)| (k.clone(), v.clone())).collect(),
            created_at: now,
            updated_at: now,
        }
    }
    pub(super) fn missing(&self, namespace: &Namespace, name: &str) -> Fault {
        Fault::not_found(match self.kind {
            ItemKind::Association => format!("Failed to find resource type {name} to delete"),
            _ => format!(
                "The metadata definition {} with name={name} was not found in namespace={}.",
                self.label, namespace.name
            ),
        })
    }
    fn refused(&self, error: RegistryError, namespace: &Namespace, name: &str) -> Fault {
        if error != RegistryError::Duplicate {
            return fault::of_registry(error);
        }
        let namespace = &namespace.name;
        Fault::conflict(match self.kind {
            ItemKind::Association => format!(
                "The metadata definition resource-type association of resource-type={name} to namespace={namespace} \
                 already exists."
            ),
            ItemKind::Tag => format!("A metadata tag with name={name} already exists in namespace={namespace}."),
            _ => format!(
                "A metadata definition {} with name={name} already exists in namespace={namespace}.",
                self.label
            ),
        })
    }
    async fn all(&self, glance: &Glance, namespace: &Namespace) -> Result<Vec<Item>, Fault> {
        let items = glance.registry.metadef_items(vec![namespace.name.clone()], vec![self.kind]).await;
        items.map_err(fault::of_registry)
    }
}

pub(crate) async fn list(kind: &'static Kind, glance: Glance, call: Call) -> Result<Reply, Fault> {
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, kind.list, &namespace)?;
    let mut items = kind.all(&glance, &namespace).await?;
    if kind.kind == ItemKind::Tag {
        items = page::tags(&call, &namespace, items)?;
    }
    let items: Vec<&Item> = items.iter().filter(|_| allow(&glance, &call.cx, kind.get, &namespace).is_ok()).collect();
    let value = match kind.kind {
        ItemKind::Property => Value::Object(items.iter().map(|i| (i.name.clone(), json!(i.body))).collect()),
        _ => items.iter().map(|i| Value::Object((kind.wire_in_list)(i))).collect(),
    };
    let mut out = Map::new();
    out.insert(kind.plural.to_owned(), value);
    if kind.kind == ItemKind::Object {
        out.insert("schema".to_owned(), json!("/v2/schemas/metadefs/objects"));
    }
    Ok(Reply::json(200, &out))
}

/// `name` may have a resource type's prefix, if the query says so.
pub(crate) async fn show(kind: &'static Kind, glance: Glance, call: Call) -> Result<Reply, Fault> {
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, kind.get, &namespace)?;
    let mut name = call.param("name").to_owned();
    if let Some(wanted) = call.query.last("resource_type").filter(|_| kind.kind == ItemKind::Property) {
        let associations = ASSOCIATIONS.all(&glance, &namespace).await?;
        let prefix = associations.iter().find(|i| i.name == wanted).and_then(|i| text(&i.body, "prefix"));
        let prefix = prefix.unwrap_or_default();
        name = name.strip_prefix(&prefix).filter(|_| !prefix.is_empty()).map(str::to_owned).ok_or_else(|| {
            Fault::not_found(format!(
                "Property {name} does not start with the expected resource type association prefix of '{prefix}'."
            ))
        })?;
    }
    let items = kind.all(&glance, &namespace).await?;
    let item = items.iter().find(|i| i.name == name).ok_or_else(|| kind.missing(&namespace, &name))?;
    Ok(Reply::json(200, &(kind.wire)(item)))
}

pub(crate) async fn create(kind: &'static Kind, glance: Glance, call: Call) -> Result<Reply, Fault> {
    let body = body(&call, kind.read_only)?;
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, kind.add, &namespace)?;
    let name = text(body, "name").unwrap_or_default();
    let item = kind.item(&namespace, &name, body, glance.clock.now());
    let added = glance.registry.metadef_items_add(vec![item.clone()]).await;
    added.map_err(|e| kind.refused(e, &namespace, &name))?;
    Ok(created(&Value::Object((kind.wire)(&item))))
}

pub(crate) async fn update(kind: &'static Kind, glance: Glance, call: Call) -> Result<Reply, Fault> {
    let body = body(&call, kind.read_only)?;
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, kind.modify, &namespace)?;
    let old = call.param("name");
    let name = text(body, "name").unwrap_or_default();
    let item = kind.item(&namespace, &name, body, glance.clock.now());
    let saved = glance.registry.metadef_item_save(old.to_owned(), item).await;
    let saved = saved.map_err(|e| kind.refused(e, &namespace, &name))?;
    let item = saved.ok_or_else(|| kind.missing(&namespace, old))?;
    Ok(Reply::json(200, &(kind.wire)(&item)))
}

pub(crate) async fn delete(kind: &'static Kind, glance: Glance, call: Call) -> Result<Reply, Fault> {
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, kind.remove, &namespace)?;
    let name = call.param("name");
    if namespace.protected {
        let label = kind.label;
        return Err(Fault::forbidden(format!(
            "Metadata definition {label} {name} is protected and cannot be deleted."
        )));
    }
    let removed = glance.registry.metadef_items_remove(namespace.name.clone(), kind.kind, Some(name.to_owned())).await;
    if removed.map_err(fault::of_registry)? == 0 {
        return Err(kind.missing(&namespace, name));
    }
    Ok(Reply::empty(204))
}

/// `POST …/tags/{name}`: the path says it all.
pub(crate) async fn create_tag(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let name = call.param("name");
    if name.chars().count() > 80 || name.contains('\0') {
        return Err(Fault::bad_request(format!("Provided object does not match schema 'tag': '{name}' is too long")));
    }
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, TAGS.add, &namespace)?;
    let item = TAGS.item(&namespace, name, &Map::new(), glance.clock.now());
    let added = glance.registry.metadef_items_add(vec![item.clone()]).await;
    added.map_err(|e| TAGS.refused(e, &namespace, name))?;
    Ok(created(&Value::Object((TAGS.wire)(&item))))
}

/// `POST …/tags`: these instead of, or with `X-Openstack-Append` beside, those that are there.
pub(crate) async fn create_tags(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let body = body(&call, &[])?;
    let namespace = find(&glance, &call).await?;
    allow(&glance, &call.cx, "add_metadef_tags", &namespace)?;
    let append =
        call.header("x-openstack-append").is_some_and(|v| matches!(v.to_lowercase().as_str(), "true" | "1" | "yes"));
    let now = glance.clock.now();
    let tags: Vec<Item> = body
        .get("tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|t| Some(TAGS.item(&namespace, t.get("name")?.as_str()?, &Map::new(), now)))
        .collect();
    // before anything is removed for them
    let mut seen = BTreeSet::new();
    if let Some(twice) = tags.iter().find(|t| !seen.insert(&t.name)) {
        return Err(TAGS.refused(RegistryError::Duplicate, &namespace, &twice.name));
    }
    if !append {
        let cleared = glance.registry.metadef_items_remove(namespace.name.clone(), ItemKind::Tag, None).await;
        cleared.map_err(fault::of_registry)?;
    }
    if !tags.is_empty() {
        let names = tags.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", ");
        let added = glance.registry.metadef_items_add(tags.clone()).await;
        added.map_err(|e| TAGS.refused(e, &namespace, &names))?;
    }
    let shown: Vec<Value> = tags.iter().map(|t| Value::Object((TAGS.wire_in_list)(t))).collect();
    Ok(created(&json!({"tags": shown})))
}
