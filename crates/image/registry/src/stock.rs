//! The definitions that every OpenStack comes with. Put into the database once, when somebody first asks for any; what
//! an operator deletes of them later stays deleted.

use crate::store::lost;
use crate::{Store, metadef_items, namespaces};
use base::Timestamp;
use image_model::{Item, ItemKind, Namespace, NamespaceVisibility, RegistryError};
use include_dir::{Dir, include_dir};
use platform_db::args;
use serde_json::{Map, Value};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/metadefs");

/// Whom they belong to, as Glance's own loading has it.
const OWNER: &str = "admin";

pub(crate) async fn ensure(store: &Store) -> Result<(), RegistryError> {
    store.stocked.get_or_try_init(|| load(store)).await.map(|_| ())
}

async fn load(store: &Store) -> Result<(), RegistryError> {
    let mut tx = store.db.begin().await.map_err(lost)?;
    // resource types are never deleted: any at all says that this was done
    let first = tx
        .execute(
            "INSERT INTO metadef_resource_types (name, created_at, updated_at) VALUES ($1, $2, $2)
             ON CONFLICT (name) DO NOTHING",
            args!["OS::Glance::Image", store.now()],
        )
        .await
        .map_err(lost)?;
    if first == 0 {
        // whoever did it shares this commit, or has committed: after it the definitions can be read
        return tx.commit().await.map_err(lost);
    }
    let now = store.now();
    for file in FILES.files() {
        let text = file.contents_utf8().unwrap_or_default();
        let document: Value = serde_json::from_str(text)
            .map_err(|e| RegistryError::Internal(format!("{}: {e}", file.path().display())))?;
        let (namespace, items) = read(document, now);
        namespaces::insert(&mut tx, &namespace).await.map_err(lost)?;
        metadef_items::insert(&mut tx, &items).await?;
    }
    tx.commit().await.map_err(lost)
}

fn read(document: Value, now: Timestamp) -> (Namespace, Vec<Item>) {
    let text = |key: &str| document[key].as_str().map(str::to_owned);
    let namespace = Namespace {
        name: text("namespace").unwrap_or_default(),
        display_name: text("display_name"),
        description: text("description"),
        visibility: text("visibility").and_then(|v| v.parse().ok()).unwrap_or(NamespaceVisibility::Public),
        owner: Some(OWNER.into()),
        protected: document["protected"].as_bool().unwrap_or(false),
        created_at: now,
        updated_at: now,
    };
    let item = |kind, name: &str, body: &Map<String, Value>| {
        let body = body.iter().filter(|(k, _)| *k != "name").map(|(k, v)| (k.clone(), v.clone())).collect();
        Item { namespace: namespace.name.clone(), kind, name: name.to_owned(), body, created_at: now, updated_at: now }
    };
    let mut items = Vec::new();
    for (kind, key) in [(ItemKind::Association, "resource_type_associations"), (ItemKind::Object, "objects")] {
        for body in document[key].as_array().into_iter().flatten().filter_map(Value::as_object) {
            items.push(item(kind, body.get("name").and_then(Value::as_str).unwrap_or_default(), body));
        }
    }
    for (name, body) in document["properties"].as_object().into_iter().flatten() {
        items.extend(body.as_object().map(|body| item(ItemKind::Property, name, body)));
    }
    (namespace, items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_name_and_content() {
        assert_eq!(FILES.files().count(), 33);
        for file in FILES.files() {
            let (namespace, items) = read(serde_json::from_slice(file.contents()).unwrap(), Timestamp(0));
            assert!(namespace.name.starts_with("OS::") || namespace.name.starts_with("CIM::"), "{}", namespace.name);
            assert!(items.iter().any(|i| i.kind != ItemKind::Association), "{}", namespace.name);
            assert!(items.iter().all(|i| !i.name.is_empty()), "{}", namespace.name);
        }
    }
}
