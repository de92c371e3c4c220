//! The definitions that every OpenStack comes with. Put into the database once, when somebody first asks for any; what
//! an operator deletes of them later stays deleted, until he loads them again ([`load_definitions`]).

use crate::store::lost;
use crate::{Store, metadef_items, namespaces};
use base::{Clock, SystemClock, Timestamp};
use image_model::{Item, ItemKind, Namespace, NamespaceVisibility, RegistryError};
use include_dir::{Dir, include_dir};
use platform_db::{Db, Tx, args};
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
    for text in stock() {
        let (namespace, items) = parse(text, now).map_err(RegistryError::Internal)?;
        insert(&mut tx, &namespace, &items).await?;
    }
    tx.commit().await.map_err(lost)
}

/// The stock definitions, each as a file of Glance's has it: a namespace and what is in it, as JSON.
pub fn stock() -> impl Iterator<Item = &'static str> {
    FILES.files().filter_map(|file| file.contents_utf8())
}

async fn insert(tx: &mut Tx, namespace: &Namespace, items: &[Item]) -> Result<(), RegistryError> {
    namespaces::insert(tx, namespace).await.map_err(lost)?;
    metadef_items::insert(tx, items).await
}

/// What came of each namespace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub made: Vec<String>,
    /// There was one, which is another now.
    pub replaced: Vec<String>,
    /// There was one, which stays.
    pub kept: Vec<String>,
}

/// Puts definitions, each a file's text as of [`stock`], into the database: all or, if one of them is none, nothing.
/// Where there is a namespace of that name already it stays as it is, or with `replace` goes with all that is in it.
pub async fn load_definitions(db: &Db, texts: &[String], replace: bool) -> Result<Loaded, RegistryError> {
    let now = SystemClock.now();
    let definitions = texts.iter().map(|text| parse(text, now)).collect::<Result<Vec<_>, _>>();
    let definitions = definitions.map_err(RegistryError::Internal)?;
    // or the first who asks would find half of it done
    ensure(&Store::new(db.clone())).await?;
    let mut loaded = Loaded::default();
    let mut tx = db.begin().await.map_err(lost)?;
    for (namespace, items) in definitions {
        let there: Option<(String,)> = tx
            .fetch_optional("SELECT name FROM metadef_namespaces WHERE name = $1", args![&namespace.name])
            .await
            .map_err(lost)?;
        let outcome = match there {
            Some(_) if !replace => &mut loaded.kept,
            Some(_) => {
                tx.execute("DELETE FROM metadef_namespaces WHERE name = $1", args![&namespace.name])
                    .await
                    .map_err(lost)?;
                &mut loaded.replaced
            }
            None => &mut loaded.made,
        };
        outcome.push(namespace.name.clone());
        if there.is_none() || replace {
            insert(&mut tx, &namespace, &items).await?;
        }
    }
    tx.commit().await.map_err(lost)?;
    Ok(loaded)
}

/// A file's text. Says what is wrong with it.
fn parse(text: &str, now: Timestamp) -> Result<(Namespace, Vec<Item>), String> {
    let document: Value = serde_json::from_str(text).map_err(|e| format!("it is no JSON: {e}"))?;
    match document["namespace"].as_str() {
        Some(name) if !name.is_empty() => Ok(read(document, now)),
        _ => Err("it has no `namespace`".to_owned()),
    }
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
            let (namespace, items) = parse(file.contents_utf8().unwrap(), Timestamp(0)).unwrap();
            assert!(namespace.name.starts_with("OS::") || namespace.name.starts_with("CIM::"), "{}", namespace.name);
            assert!(items.iter().any(|i| i.kind != ItemKind::Association), "{}", namespace.name);
            assert!(items.iter().all(|i| !i.name.is_empty()), "{}", namespace.name);
        }
    }
}
