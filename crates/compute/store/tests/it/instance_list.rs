use crate::support::{NOW, Server, add_host, store};
use base::Timestamp;
use compute_store::Store;
use compute_store::instance_list::*;
use platform_db::testing::on_each_engine;
use platform_db::{Db, DbError, args, built};

fn all() -> InstanceQuery {
    InstanceQuery {
        project: None,
        deleted: Deleted::No,
        filters: Vec::new(),
        sort: Vec::new(),
        marker: None,
        limit: 1000,
        user_data: false,
    }
}

async fn names(store: &Store, query: &InstanceQuery) -> String {
    let rows = store.instance_list(query).await.unwrap();
    rows.into_iter().map(|r| r.instance.name).collect::<Vec<_>>().join(" ")
}

async fn sql(db: &Db, sql: &str) {
    let mut tx = db.begin().await.unwrap();
    tx.execute(built(sql.to_owned()), args![]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Servers a, b, c, … of project p, each a second younger than the one before.
async fn servers(db: &Db, names: &str) -> Vec<String> {
    let mut uuids = Vec::new();
    for (n, name) in names.chars().enumerate() {
        let uuid = Server { project: "p", user: "u", ..Server::default() }.add(db).await;
        sql(
            db,
            &format!(
                "UPDATE instances SET name = '{name}', created_at = created_at + {0}, updated_at = updated_at + {0}
                 WHERE uuid = '{uuid}'",
                n * 1_000_000
            ),
        )
        .await;
        uuids.push(uuid);
    }
    uuids
}

#[tokio::test]
async fn each_filter_on_each_engine() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        add_host(&db, "h1").await;
        servers(&db, "abcd").await;
        for change in [
            "UPDATE instances SET tags = '[\"x\",\"y\"]', metadata = '{\"k\":\"v\",\"q\":\"\\\"\"}' WHERE name = 'a'",
            "UPDATE instances SET tags = '[\"y\"]', host = 'h1', locked_by = 'owner', task_state = 'rebooting' WHERE name = 'b'",
            "UPDATE instances SET config_drive = (1 = 1), power_state = 4, vm_state = 'stopped', key_name = 'K' WHERE name = 'c'",
            "UPDATE instances SET deleted_at = 5, disk_config = 'AUTO' WHERE name = 'd'",
        ] {
            sql(&db, change).await;
        }
        let text = |c: &str| Column::text(c).unwrap();
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let at = |secs: i64| Timestamp(NOW.0 + secs * 1_000_000);
        let cases = [
            (Filter::Equal(text("host"), "h1".into()), "b"),
            (Filter::OneOf(text("vm_state"), words(&["stopped", "error"])), "c"),
            (Filter::OneOf(text("vm_state"), words(&[])), ""),
            (Filter::Matches(text("name"), "^[ab]$".into()), "b a"),
            (Filter::Matches(text("key_name"), "k".into()), ""),
            (Filter::Matches(text("key_name"), "K".into()), "c"),
            (Filter::Number(Column::number("power_state").unwrap(), 4), "c"),
            (Filter::At(Column::time("created_at").unwrap(), Timestamp(at(1).0 + 400_000)), "b"),
            (Filter::ConfigDrive(true), "c"),
            (Filter::ConfigDrive(false), "b a"),
            (Filter::Locked(true), "b"),
            (Filter::Locked(false), "c a"),
            (Filter::DiskConfig(true), ""),
            (Filter::ChangedSince(at(1)), "c b"),
            (Filter::ChangedBefore(at(1)), "b a"),
            (Filter::AllTags(words(&["x", "y"])), "a"),
            (Filter::AnyTag(words(&["x", "y"])), "b a"),
            (Filter::NotAllTags(words(&["x", "y"])), "c b"),
            (Filter::NotAnyTag(words(&["x", "y"])), "c"),
            (Filter::AllTags(words(&["X"])), ""),
            (Filter::AllTags(words(&[])), "c b a"),
            (Filter::Metadata("k".into(), "v".into()), "a"),
            (Filter::Metadata("q".into(), "\"".into()), "a"),
            (Filter::Metadata("k".into(), "w".into()), ""),
            (Filter::Never, ""),
        ];
        for (filter, expected) in cases {
            let query = InstanceQuery { filters: vec![filter.clone()], ..all() };
            assert_eq!(names(&store, &query).await, expected, "{filter:?}");
        }
        assert_eq!(names(&store, &InstanceQuery { deleted: Deleted::Only, ..all() }).await, "d");
        assert_eq!(names(&store, &InstanceQuery { deleted: Deleted::Any, ..all() }).await, "d c b a");
        assert_eq!(names(&store, &InstanceQuery { project: Some("q".into()), ..all() }).await, "");
        let rows = store.instance_list(&all()).await.unwrap();
        assert_eq!(rows[1].service_disabled, Some(false));
        assert_eq!(rows[0].service_disabled, None);
    })
    .await;
}

#[tokio::test]
async fn pages_in_every_order() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        servers(&db, "abcdefg").await;
        sql(&db, "UPDATE instances SET key_name = 'k' WHERE name IN ('b', 'e')").await;
        sql(&db, "UPDATE instances SET task_state = 'rebooting', locked_by = 'x' WHERE name IN ('e', 'f')").await;
        sql(&db, "UPDATE instances SET created_at = 5 WHERE name IN ('c', 'd')").await;
        for wire in
            ["created_at", "uuid", "key_name", "task_state", "locked", "config_drive", "display_name", "launched_at"]
        {
            for direction in [Direction::Asc, Direction::Desc] {
                for second in [None, Some("task_state"), Some("created_at")] {
                    let key = |w: &str| (SortKey::by_name(w).unwrap(), direction);
                    let sort: Vec<_> = [Some(wire), second].into_iter().flatten().map(key).collect();
                    let whole = names(&store, &InstanceQuery { sort: sort.clone(), ..all() }).await;
                    let (mut pages, mut marker) = (Vec::new(), None);
                    loop {
                        let query = InstanceQuery { sort: sort.clone(), marker, limit: 2, ..all() };
                        let rows = store.instance_list(&query).await.unwrap();
                        pages.extend(rows.iter().map(|r| r.instance.name.clone()));
                        match rows.last() {
                            Some(last) => marker = Some(last.instance.uuid.clone()),
                            None => break,
                        }
                    }
                    assert_eq!(pages.join(" "), whole, "{wire} {direction:?} {second:?}");
                }
            }
        }
        let by = |w: &str, d| vec![(SortKey::by_name(w).unwrap(), d)];
        let query = InstanceQuery { sort: by("key_name", Direction::Asc), ..all() };
        assert!(names(&store, &query).await.ends_with("b e"), "nulls first");
        let query = InstanceQuery { sort: by("key_name", Direction::Desc), ..all() };
        assert!(names(&store, &query).await.starts_with("e b"), "nulls last");
    })
    .await;
}

#[tokio::test]
async fn what_lists_do_not_show_is_not_read() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        servers(&db, "a").await;
        sql(&db, "UPDATE instances SET user_data = 'dQ==', keypair = '{}', files = '[{}]', admin_pass = 'x'").await;
        for user_data in [false, true] {
            let rows = store.instance_list(&InstanceQuery { user_data, ..all() }).await.unwrap();
            let i = &rows[0].instance;
            assert_eq!(i.user_data.as_deref(), user_data.then_some("dQ=="));
            assert_eq!((i.keypair.as_ref(), i.files.as_str(), i.admin_pass.as_ref()), (None, "[]", None));
        }
    })
    .await;
}

#[tokio::test]
async fn a_marker_must_be_there_for_the_caller() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let uuids = servers(&db, "ab").await;
        let query = InstanceQuery { marker: Some(uuids[1].clone()), project: Some("p".into()), ..all() };
        assert_eq!(names(&store, &query).await, "a");
        let foreign = InstanceQuery { project: Some("q".into()), ..query.clone() };
        let refused = store.instance_list(&foreign).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("marker [{}] not found", uuids[1]));
        let unknown = InstanceQuery { marker: Some("x".into()), ..query };
        assert!(matches!(store.instance_list(&unknown).await, Err(ListError::MarkerNotFound(_))));
    })
    .await;
}

/// What one engine takes for a pattern, or for text, the other need not: never a failure of ours.
#[tokio::test]
async fn patterns_the_engine_does_not_know_are_the_caller_s_fault() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        servers(&db, "a").await;
        for value in ["(?P<n>a)", "a\u{0}b"] {
            let filters = vec![Filter::Matches(Column::text("name").unwrap(), value.into())];
            match store.instance_list(&InstanceQuery { filters, ..all() }).await {
                Ok(_) | Err(ListError::Db(DbError::Unacceptable(_))) => {}
                Err(e) => panic!("{value:?}: {e:?}"),
            }
        }
    })
    .await;
}
