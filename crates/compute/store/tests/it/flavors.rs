use crate::support::{NOW, store};
use compute_store::Store;
use compute_store::flavors::*;
use platform_db::Db;
use platform_db::testing::on_each_engine;

fn flavor<'a>(id: &'a str, name: &'a str, ram_mib: i64, is_public: bool) -> NewFlavor<'a> {
    NewFlavor {
        flavor_id: id,
        name,
        vcpus: 1,
        ram_mib,
        root_gib: 1,
        ephemeral_gib: 2,
        swap_mib: 0,
        rxtx_factor: 1.5,
        is_public,
        description: None,
    }
}

async fn add(db: &Db, new: NewFlavor<'_>) -> FlavorAdded {
    let mut tx = db.begin().await.unwrap();
    let added = flavor_add(&mut tx, NOW, &new).await.unwrap();
    tx.commit().await.unwrap();
    added
}

fn everything() -> FlavorList<'static> {
    FlavorList {
        sight: Sight::All,
        is_public: None,
        project: None,
        disabled: None,
        min_ram_mib: None,
        min_root_gib: None,
        name: None,
        sort_key: "flavorid",
        descending: false,
        limit: 100,
        marker: None,
    }
}

async fn ids(store: &Store, list: FlavorList<'_>) -> Vec<String> {
    store.flavor_list(&list).await.unwrap().into_iter().map(|f| f.flavor_id).collect()
}

#[tokio::test]
async fn a_name_and_an_id_are_taken_once() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        assert_eq!(add(&db, flavor("1", "a", 64, true)).await, FlavorAdded::Yes);
        assert_eq!(add(&db, flavor("1", "b", 64, true)).await, FlavorAdded::IdTaken);
        assert_eq!(add(&db, flavor("2", "a", 64, true)).await, FlavorAdded::NameTaken);
        let kept = store.flavor_fetch("1", Sight::All).await.unwrap().unwrap();
        assert_eq!((kept.name.as_str(), kept.rxtx_factor, kept.updated_at), ("a", 1.5, None));
        assert_eq!(kept.spec().ephemeral_disk, base::Gib(2));

        let mut tx = db.begin().await.unwrap();
        assert!(flavor_delete(&mut tx, "1").await.unwrap());
        assert!(!flavor_delete(&mut tx, "1").await.unwrap());
        tx.commit().await.unwrap();
        assert!(store.flavor_fetch("1", Sight::All).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn private_flavors_are_seen_by_those_who_were_given_access() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        add(&db, flavor("open", "open", 64, true)).await;
        add(&db, flavor("shut", "shut", 64, false)).await;
        let mut tx = db.begin().await.unwrap();
        assert!(access_add(&mut tx, "shut", "p1").await.unwrap());
        assert!(!access_add(&mut tx, "shut", "p1").await.unwrap());
        tx.commit().await.unwrap();

        for (sight, seen) in [
            (Sight::All, true),
            (Sight::Project(Some("p1")), true),
            (Sight::Project(Some("p2")), false),
            (Sight::Project(None), false),
        ] {
            assert_eq!(store.flavor_fetch("shut", sight).await.unwrap().is_some(), seen, "{sight:?}");
            let wanted: &[&str] = if seen { &["open", "shut"] } else { &["open"] };
            assert_eq!(ids(&store, FlavorList { sight, ..everything() }).await, wanted, "{sight:?}");
        }
        // an admin's default: public ones, and those his project has access to
        let public = FlavorList { is_public: Some(true), project: Some("p1"), ..everything() };
        assert_eq!(ids(&store, public).await, ["open", "shut"]);
        let public = FlavorList { is_public: Some(true), project: Some("p2"), ..everything() };
        assert_eq!(ids(&store, public).await, ["open"]);
        assert_eq!(ids(&store, FlavorList { is_public: Some(false), ..everything() }).await, ["shut"]);

        let mut tx = db.begin().await.unwrap();
        assert!(access_remove(&mut tx, "shut", "p1").await.unwrap());
        assert!(!access_remove(&mut tx, "shut", "p1").await.unwrap());
        tx.commit().await.unwrap();
        assert!(store.access_list("shut").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn lists_filter_sort_and_go_on_after_a_marker() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        for (id, name, ram) in [("a", "big", 512), ("b", "small", 64), ("c", "middle", 128), ("d", "twin", 128)] {
            add(&db, flavor(id, name, ram, true)).await;
        }
        let by_ram =
            |descending, marker, limit| FlavorList { sort_key: "memory_mb", descending, marker, limit, ..everything() };
        assert_eq!(ids(&store, by_ram(false, None, 10)).await, ["b", "c", "d", "a"]);
        assert_eq!(ids(&store, by_ram(true, None, 10)).await, ["a", "d", "c", "b"]);
        assert_eq!(ids(&store, by_ram(false, Some("c"), 1)).await, ["d"]);
        assert_eq!(ids(&store, by_ram(true, Some("d"), 10)).await, ["c", "b"]);
        for key in ["id", "description", "disabled", "is_public", "rxtx_factor", "updated_at", "vcpu_weight", "swap"] {
            let list = FlavorList { sort_key: key, marker: Some("b"), ..everything() };
            assert_eq!(ids(&store, list).await, ["c", "d"], "{key}");
        }
        assert_eq!(ids(&store, FlavorList { min_ram_mib: Some(100), ..everything() }).await, ["a", "c", "d"]);
        assert_eq!(ids(&store, FlavorList { min_root_gib: Some(2), ..everything() }).await, [""; 0]);
        assert_eq!(ids(&store, FlavorList { name: Some("^(big|t.*)$"), ..everything() }).await, ["a", "d"]);
        assert_eq!(ids(&store, FlavorList { disabled: Some(true), ..everything() }).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn extra_specs_change_as_a_whole_or_not_at_all() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        add(&db, flavor("1", "a", 64, true)).await;
        let change = async |key: &'static str, value: Option<&'static str>| {
            let mut tx = db.begin().await.unwrap();
            let done = extra_specs_change(&mut tx, NOW, "1", |specs| match value {
                Some(value) => {
                    specs.insert(key.to_owned(), value.to_owned());
                    Ok(())
                }
                None => specs.remove(key).map(drop).ok_or("missing"),
            });
            let done = done.await.unwrap();
            tx.commit().await.unwrap();
            done
        };
        assert_eq!(change("k", Some("v")).await, Some(Ok(())));
        assert_eq!(change("l", Some("w")).await, Some(Ok(())));
        assert_eq!(change("nope", None).await, Some(Err("missing")));
        assert_eq!(change("k", None).await, Some(Ok(())));
        let kept = store.flavor_fetch("1", Sight::All).await.unwrap().unwrap();
        assert_eq!(kept.extra_specs().into_iter().collect::<Vec<_>>(), [("l".to_owned(), "w".to_owned())]);

        let mut tx = db.begin().await.unwrap();
        let none = extra_specs_change(&mut tx, NOW, "2", |_| Ok::<(), ()>(())).await.unwrap();
        assert_eq!(none, None);
    })
    .await;
}

#[tokio::test]
async fn default_flavors_come_once() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let mut tx = db.begin().await.unwrap();
        ensure_defaults(&mut tx, NOW).await.unwrap();
        flavor_delete(&mut tx, "1").await.unwrap();
        ensure_defaults(&mut tx, NOW).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(ids(&store, everything()).await, ["2", "3", "4", "42", "5", "84"]);
    })
    .await;
}
