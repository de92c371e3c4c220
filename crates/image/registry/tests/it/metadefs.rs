use crate::{project, store};
use base::Timestamp;
use image_model::{
    Direction, Item, ItemKind, Namespace, NamespaceQuery, NamespaceSort, NamespaceVisibility, Registry, RegistryError,
    Viewer,
};
use image_registry::{load_definitions, stock};
use platform_db::testing::on_each_engine;
use serde_json::json;

fn namespace(name: &str, owner: &str, visibility: NamespaceVisibility) -> Namespace {
    Namespace {
        name: name.into(),
        display_name: None,
        description: None,
        visibility,
        owner: Some(owner.into()),
        protected: false,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
    }
}

fn item(namespace: &str, kind: ItemKind, name: &str) -> Item {
    let body = json!({"title": name, "enum": ["a", "b"]}).as_object().unwrap().clone();
    Item {
        namespace: namespace.into(),
        kind,
        name: name.into(),
        body,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
    }
}

fn all() -> NamespaceQuery {
    NamespaceQuery {
        limit: 1000,
        marker: None,
        sort: (NamespaceSort::Namespace, Direction::Asc),
        visibility: None,
        owner: None,
        resource_types: vec![],
    }
}

#[tokio::test]
async fn stocked_once_even_by_many_at_once() {
    on_each_engine(|db| async move {
        let stores: Vec<_> = (0..4).map(|_| store(db.clone())).collect();
        let lists = stores.iter().map(|s| s.namespace_list(all(), Viewer::cloud()));
        for list in futures_util::future::join_all(lists).await {
            assert_eq!(list.unwrap().len(), 33);
        }
        assert!(stores[0].resource_types().await.unwrap().len() > 3);
    })
    .await;
}

#[tokio::test]
async fn definitions_are_loaded_again() {
    on_each_engine(|db| async move {
        let registry = store(db.clone());
        let stock: Vec<String> = stock().map(str::to_owned).collect();
        let load = |texts: Vec<String>, replace: bool| {
            let db = db.clone();
            async move { load_definitions(&db, &texts, replace).await }
        };
        // into an empty database, too
        assert_eq!(load(stock.clone(), false).await.unwrap().kept.len(), 33);
        let gone = "OS::Glance::Signatures";
        assert!(registry.namespace_delete(gone.into()).await.unwrap());
        let own = json!({"namespace": "Own", "properties": {"size": {"title": "Size", "type": "integer"}}}).to_string();
        let made = load([stock.clone(), vec![own]].concat(), false).await.unwrap();
        assert_eq!((made.made, made.replaced.len(), made.kept.len()), (vec![gone.to_owned(), "Own".into()], 0, 32));
        let items = registry.metadef_items(vec![gone.into(), "Own".into()], vec![ItemKind::Property]).await.unwrap();
        assert!(items.iter().any(|i| i.name == "img_signature") && items.iter().any(|i| i.name == "size"));

        let other = json!({"namespace": "Own", "properties": {"colour": {"title": "C", "type": "string"}}}).to_string();
        assert_eq!(load(vec![other.clone()], false).await.unwrap().kept, ["Own"]);
        let names = async || {
            let items = registry.metadef_items(vec!["Own".into()], vec![ItemKind::Property]).await.unwrap();
            items.into_iter().map(|i| i.name).collect::<Vec<_>>()
        };
        assert_eq!(names().await, ["size"], "it stays as it is");
        assert_eq!(load(vec![other.clone()], true).await.unwrap().replaced, ["Own"]);
        assert_eq!(names().await, ["colour"]);
        for bad in ["{", "{}", r#"{"namespace": ""}"#, "[]"] {
            let new = json!({"namespace": "New"}).to_string();
            load(vec![new, bad.to_owned()], true).await.unwrap_err();
            assert_eq!(registry.namespace_show("New".into(), Viewer::cloud()).await.unwrap(), None, "{bad}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_of_namespaces() {
    on_each_engine(|db| async move {
        let store = store(db);
        let whole = store.namespace_list(all(), Viewer::cloud()).await.unwrap();
        for sort in [NamespaceSort::CreatedAt, NamespaceSort::DisplayName, NamespaceSort::Namespace] {
            for direction in [Direction::Asc, Direction::Desc] {
                let mut page = NamespaceQuery { limit: 7, sort: (sort, direction), ..all() };
                let mut walked = Vec::new();
                loop {
                    let some = store.namespace_list(page.clone(), Viewer::cloud()).await.unwrap();
                    let Some(last) = some.last() else { break };
                    page.marker = Some(last.name.clone());
                    walked.extend(some);
                }
                assert_eq!(walked.len(), whole.len());
                walked.sort_by(|a, b| a.name.cmp(&b.name));
                assert_eq!(walked, whole);
            }
        }
        let flavors = NamespaceQuery { resource_types: vec!["OS::Nova::Flavor".into()], ..all() };
        let flavors = store.namespace_list(flavors, Viewer::cloud()).await.unwrap();
        assert!(!flavors.is_empty() && flavors.len() < whole.len());
        let marker = NamespaceQuery { marker: Some("none".into()), ..all() };
        assert_eq!(store.namespace_list(marker, Viewer::cloud()).await, Err(RegistryError::NoNamespace("none".into())));
    })
    .await;
}

#[tokio::test]
async fn renamed_with_all_it_holds_and_deleted_with_it() {
    on_each_engine(|db| async move {
        let store = store(db);
        let mine = namespace("mine", "p1", NamespaceVisibility::Private);
        let items = vec![item("mine", ItemKind::Property, "p"), item("mine", ItemKind::Association, "My::Type")];
        let (mine, items) = store.namespace_create(mine, items).await.unwrap();
        assert_eq!(store.namespace_create(mine.clone(), vec![]).await, Err(RegistryError::Duplicate));
        assert_eq!(store.namespace_show("mine".into(), project("p1")).await, Ok(Some(mine.clone())));
        assert_eq!(store.namespace_show("mine".into(), project("p2")).await, Ok(None));
        let other = namespace("other", "p1", NamespaceVisibility::Public);
        store.namespace_create(other, vec![]).await.unwrap();
        let taken = Namespace { name: "other".into(), ..mine.clone() };
        assert_eq!(store.namespace_save("mine".into(), taken).await, Err(RegistryError::Duplicate));
        let renamed = Namespace { name: "new".into(), ..mine.clone() };
        let saved = store.namespace_save("mine".into(), renamed).await.unwrap().unwrap();
        assert_eq!((saved.name.as_str(), saved.created_at), ("new", mine.created_at));
        let of = |name: &str| vec![name.to_owned()];
        let moved = store.metadef_items(of("new"), ItemKind::ALL.to_vec()).await.unwrap();
        assert_eq!(moved.len(), 2);
        assert_eq!(moved[1], Item { namespace: "new".into(), ..items[0].clone() });
        let orphan = item("nowhere", ItemKind::Tag, "t");
        let refused = store.metadef_items_add(vec![orphan]).await;
        assert_eq!(refused, Err(RegistryError::NoNamespace("nowhere".into())));
        assert_eq!(store.namespace_delete("new".into()).await, Ok(true));
        assert_eq!(store.namespace_delete("new".into()).await, Ok(false));
        assert!(store.metadef_items(of("new"), ItemKind::ALL.to_vec()).await.unwrap().is_empty());
    })
    .await;
}
