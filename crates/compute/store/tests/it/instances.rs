use crate::support::{NOW, Server, store};
use base::{InstanceId, Timestamp};
use compute_store::instance_changes::*;
use compute_store::instances::{Instance, instance_get, instances_insert};
use compute_store::quota_limits::LimitsOf;
use compute_store::{Store, instance_moves};
use platform_db::Db;
use platform_db::testing::on_each_engine;

async fn one(db: &Db) -> (Store, Instance) {
    let (store, _) = store(db);
    let uuid = Server { project: "p", user: "u", ..Server::default() }.add(db).await;
    let server = fetch(&store, &uuid).await;
    (store, server)
}

async fn fetch(store: &Store, uuid: &str) -> Instance {
    store.instance_fetch(uuid.parse().unwrap()).await.unwrap().unwrap()
}

/// Runs one change in a transaction of its own.
macro_rules! change {
    ($db:expr, $f:ident($($arg:expr),*)) => {{
        let mut tx = $db.begin().await.unwrap();
        let done = $f(&mut tx, $($arg),*).await.unwrap();
        tx.commit().await.unwrap();
        done
    }};
}

const LATER: Timestamp = Timestamp(NOW.0 + 5);

#[tokio::test]
async fn every_column_comes_back() {
    on_each_engine(|db| async move {
        let (store, old) = one(&db).await;
        let mut new = Instance {
            uuid: InstanceId::random().to_string(),
            description: Some("d".into()),
            node: Some("n".into()),
            image: Some("{}".into()),
            image_id: Some("i".into()),
            key_name: Some("k".into()),
            keypair: Some("{\"name\":\"k\"}".into()),
            user_data: Some("dQ==".into()),
            tags: r#"["a"]"#.into(),
            config_drive: true,
            admin_pass: Some("x".into()),
            availability_zone: Some("z".into()),
            pinned_availability_zone: Some("z".into()),
            requested_host: Some("rh".into()),
            requested_node: Some("rn".into()),
            launch_index: 3,
            root_device_name: Some("/dev/vda".into()),
            access_ip_v4: Some("1.2.3.4".into()),
            access_ip_v6: Some("::1".into()),
            trusted_certificates: Some(r#"["c"]"#.into()),
            locked_by: Some("admin".into()),
            locked_reason: Some("r".into()),
            fault: Some("{}".into()),
            launched_at: Some(7),
            terminated_at: Some(8),
            deleted_at: None,
            ..old
        };
        // more than one statement takes
        let many: Vec<Instance> = (0..250)
            .map(|n| Instance { uuid: InstanceId::random().to_string(), launch_index: n, ..new.clone() })
            .collect();
        change!(db, instances_insert([vec![new.clone()], many].concat()));
        let back = fetch(&store, &new.uuid).await;
        assert_eq!(format!("{back:?}"), format!("{new:?}"));
        let row = store.instance_row(new.id()).await.unwrap().unwrap();
        assert_eq!((row.service_disabled, row.service_last_seen), (None, None));
        let (n,): (i64,) = db.fetch_one("SELECT COUNT(*) FROM instances", vec![]).await.unwrap();
        assert_eq!(n, 252);
        new.deleted_at = Some(1);
    })
    .await;
}

#[tokio::test]
async fn a_task_begins_only_where_the_server_was_seen() {
    on_each_engine(|db| async move {
        let (store, seen) = one(&db).await;
        assert!(change!(db, instance_begin(&seen, "powering-off", LATER)));
        assert!(!change!(db, instance_begin(&seen, "rebooting", LATER)));
        let now = fetch(&store, &seen.uuid).await;
        assert_eq!((now.task_state.as_deref(), now.updated_at), (Some("powering-off"), LATER.0));
        assert!(change!(db, instance_begin(&now, "rebooting_hard", LATER)));
        // a lock that came in between counts too
        let now = fetch(&store, &seen.uuid).await;
        assert!(change!(db, instance_lock(seen.id(), Some("admin"), Some("why"), LATER)));
        assert!(!change!(db, instance_begin(&now, "rebooting_hard", LATER)));
        assert!(change!(db, instance_begin_delete(seen.id(), LATER)));
        assert!(!change!(db, instance_begin_delete(seen.id(), LATER)));
        assert!(change!(db, instance_reset(seen.id(), "error", LATER)));
        let now = fetch(&store, &seen.uuid).await;
        assert_eq!((now.vm_state.as_str(), now.task_state, now.locked_reason.as_deref()), ("error", None, Some("why")));
        assert!(!change!(db, instance_begin_delete(InstanceId::random(), LATER)));
    })
    .await;
}

#[tokio::test]
async fn nothing_touches_a_deleted_server() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let uuid = Server { project: "p", user: "u", deleted: true, ..Server::default() }.add(&db).await;
        let seen = fetch(&store, &uuid).await;
        let id = seen.id();
        assert!(!change!(db, instance_begin(&seen, "rebooting", LATER)));
        assert!(!change!(db, instance_begin_delete(id, LATER)));
        assert!(!change!(db, instance_reset(id, "active", LATER)));
        assert!(!change!(db, instance_lock(id, None, None, LATER)));
        assert!(!change!(db, instance_edit(id, InstanceEdit::default(), LATER)));
        assert!(!change!(db, instance_metadata_set(&seen, &[].into(), LATER)));
        assert!(!change!(db, instance_tags_set(&seen, &[], LATER)));
        assert!(store.instance_row(id).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn edits_change_what_they_name() {
    on_each_engine(|db| async move {
        let (store, seen) = one(&db).await;
        let edit = InstanceEdit {
            name: Some("n".into()),
            description: Some(Some("d".into())),
            access_ip_v4: Some(None),
            pinned_availability_zone: Some(Some("z".into())),
            ..InstanceEdit::default()
        };
        assert!(change!(db, instance_edit(seen.id(), edit, LATER)));
        let now = fetch(&store, &seen.uuid).await;
        assert_eq!((now.name.as_str(), now.description.as_deref(), now.access_ip_v4), ("n", Some("d"), None));
        assert_eq!((now.pinned_availability_zone.as_deref(), &now.hostname), (Some("z"), &seen.hostname));
        let edit = InstanceEdit { description: Some(None), ..InstanceEdit::default() };
        assert!(change!(db, instance_edit(seen.id(), edit, LATER)));
        assert_eq!(fetch(&store, &seen.uuid).await.description, None);
    })
    .await;
}

#[tokio::test]
async fn of_two_writers_of_metadata_or_tags_the_second_looks_again() {
    on_each_engine(|db| async move {
        let (store, seen) = one(&db).await;
        let one = [("a".to_owned(), "1".to_owned())].into();
        assert!(change!(db, instance_metadata_set(&seen, &one, LATER)));
        assert!(!change!(db, instance_metadata_set(&seen, &one, LATER)));
        assert!(change!(db, instance_tags_set(&seen, &["t".into()], LATER)));
        assert!(!change!(db, instance_tags_set(&seen, &["t".into()], LATER)));
        let now = fetch(&store, &seen.uuid).await;
        assert_eq!((now.metadata(), now.tags()), (one, vec!["t".to_owned()]));
        assert!(change!(db, instance_password_clear(&now, LATER)));
    })
    .await;
}

/// The other end of the conductor's moves: a deleted server gives back its quota once.
#[tokio::test]
async fn deletion_gives_quota_back_once() {
    on_each_engine(|db| async move {
        let (store, seen) = one(&db).await;
        let mut tx = db.begin().await.unwrap();
        let one = compute_model::quota::Amounts::of_server(1, 512);
        let allowed = compute_store::quotas::amounts_of(&store.limits_fetch(LimitsOf::Defaults).await.unwrap());
        compute_store::quotas::usage_claim(&mut tx, "p", one * 2, allowed).await.unwrap();
        for expected in [true, false] {
            assert_eq!(instance_moves::instance_deleted(&mut tx, seen.id(), LATER).await.unwrap(), expected);
        }
        assert_eq!(instance_get(&mut tx, seen.id()).await.unwrap().unwrap().vm_state, "deleted");
        tx.commit().await.unwrap();
        assert_eq!(store.quota_usage("p").await.unwrap(), one);
    })
    .await;
}
