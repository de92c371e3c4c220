use crate::{created, project, store};
use image_model::{Image, ListQuery, MemberStatus, Registry, RegistryError, Viewer, list_query};
use image_registry::Store;
use platform_db::testing::on_each_engine;
use serde_json::json;

fn query(text: &str) -> ListQuery {
    let pairs: Vec<(String, String)> = text
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| p.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).unwrap())
        .collect();
    list_query(&pairs).unwrap()
}

fn names(images: &[Image]) -> Vec<&str> {
    images.iter().map(|i| i.name.as_deref().unwrap_or("-")).collect()
}

async fn names_of(store: &Store, who: &Viewer, text: &str) -> Vec<String> {
    let images = store.image_list(query(text), who.clone()).await.unwrap();
    names(&images).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn who_sees_what() {
    on_each_engine(|db| async move {
        let store = store(db);
        for (n, (owner, visibility)) in [
            ("p1", "private"),
            ("p1", "shared"),
            ("p1", "community"),
            ("p1", "public"),
            ("p2", "private"),
            ("p2", "shared"),
            ("p2", "community"),
            ("p2", "public"),
        ]
        .into_iter()
        .enumerate()
        {
            let body = json!({"name": format!("{owner}-{visibility}"), "visibility": visibility});
            let image = created(&store, owner, body, n as i64).await;
            if owner == "p2" {
                store.member_add(image.id, "p1".into(), None).await.unwrap();
            }
            if visibility == "shared" && owner == "p2" {
                store.member_add(image.id, "p3".into(), None).await.unwrap();
                store.member_update(image.id, "p3".into(), MemberStatus::Accepted).await.unwrap();
            }
        }
        let p1 = project("p1");
        let own = ["p1-public", "p1-community", "p1-shared", "p1-private"];
        assert_eq!(names_of(&store, &p1, "").await, [&["p2-public"][..], &own].concat());
        // offered, not yet accepted
        assert_eq!(names_of(&store, &p1, "member_status=pending&visibility=shared").await, ["p2-shared", "p1-shared"]);
        assert_eq!(names_of(&store, &p1, "visibility=shared").await, ["p1-shared"]);
        assert_eq!(names_of(&store, &p1, "visibility=community").await, ["p2-community", "p1-community"]);
        assert_eq!(names_of(&store, &p1, "visibility=all").await, [&["p2-public", "p2-community"][..], &own].concat());
        assert_eq!(names_of(&store, &p1, "owner=p2").await, ["p2-public"]);
        assert_eq!(names_of(&store, &project("p3"), "").await, ["p2-public", "p2-shared", "p1-public"]);
        let nobody = Viewer { project: None, admin: false };
        assert_eq!(names_of(&store, &nobody, "").await, ["p2-public", "p1-public"]);
        let admin = Viewer { project: Some("p9".into()), admin: true };
        assert_eq!(
            names_of(&store, &admin, "").await,
            ["p2-public", "p2-shared", "p2-private", "p1-public", "p1-shared", "p1-private"]
        );
        assert_eq!(names_of(&store, &admin, "visibility=all").await.len(), 8);
    })
    .await;
}

#[tokio::test]
async fn filters() {
    on_each_engine(|db| async move {
        let store = store(db);
        let me = project("p1");
        created(&store, "p1", json!({"name": "a", "disk_format": "raw", "tags": ["x", "y"], "os_distro": "debian"}), 0)
            .await;
        created(&store, "p1", json!({"name": "b", "disk_format": "qcow2", "tags": ["x"], "min_ram": 512}), 10).await;
        created(&store, "p1", json!({"name": "c,d", "protected": true, "os_distro": "alpine"}), 20).await;
        created(&store, "p1", json!({"name": "hidden", "os_hidden": true}), 30).await;
        for (text, want) in [
            ("", &["c,d", "b", "a"][..]),
            ("name=a", &["a"]),
            ("name=A", &[]),
            ("name=in:a,\"c,d\"", &["c,d", "a"]),
            ("disk_format=in:raw,qcow2", &["b", "a"]),
            ("tag=x", &["b", "a"]),
            ("tag=x&tag=y", &["a"]),
            ("os_distro=debian", &["a"]),
            ("os_distro=debian&name=b", &[]),
            ("no_such_property=x", &[]),
            ("min_ram=512", &["b"]),
            ("min_ram_min=1", &["b"]),
            ("min_ram_max=0", &["c,d", "a"]),
            ("protected=true", &["c,d"]),
            ("protected=false", &["b", "a"]),
            ("os_hidden=true", &["hidden"]),
            ("status=active", &[]),
            ("status=queued", &["c,d", "b", "a"]),
            ("created_at=gt:2023-11-14T22:13:20Z", &["c,d", "b"]),
            ("created_at=gte:2023-11-14T22:13:20Z", &["c,d", "b", "a"]),
            ("created_at=lt:2023-11-14T22:13:30Z", &["a"]),
            ("created_at=lte:2023-11-14T22:13:30Z", &["b", "a"]),
            ("created_at=2023-11-14T22:13:30Z", &["b"]),
            ("created_at=neq:2023-11-14T22:13:30Z", &["c,d", "a"]),
            ("size_min=1", &[]),
            ("limit=2", &["c,d", "b"]),
            ("limit=0", &[]),
            ("sort=name:asc", &["a", "b", "c,d"]),
            ("sort=disk_format:asc,name:desc", &["c,d", "b", "a"]),
        ] {
            assert_eq!(names_of(&store, &me, text).await, want, "{text}");
        }
    })
    .await;
}

/// Every order is walked page by page and gives each image once, in that order.
#[tokio::test]
async fn pages() {
    on_each_engine(|db| async move {
        let store = store(db);
        let me = project("p1");
        for n in 0..23 {
            let mut body = json!({"min_ram": n});
            if n % 3 != 0 {
                body["name"] = json!(format!("n{}", n % 4));
            }
            if n % 2 == 0 {
                body["disk_format"] = json!(["raw", "iso"][n / 2 % 2]);
            }
            // several in the same second
            created(&store, "p1", body, (n / 5) as i64).await;
        }
        for sort in [
            "",
            "sort=name:asc",
            "sort=name:desc",
            "sort=name:asc,disk_format:desc",
            "sort=disk_format",
            "sort=size:asc",
            "sort=id:asc",
            "sort_key=status&sort_dir=asc",
            "sort=updated_at:asc,name:desc",
        ] {
            let all = store.image_list(query(sort), me.clone()).await.unwrap();
            assert_eq!(all.len(), 23);
            for limit in [1, 4, 23] {
                let mut walked = Vec::new();
                let mut page = ListQuery { limit, ..query(sort) };
                loop {
                    let images = store.image_list(page.clone(), me.clone()).await.unwrap();
                    let Some(last) = images.last() else { break };
                    page.marker = Some(last.id);
                    walked.extend(images);
                }
                assert_eq!(walked, all, "{sort} by {limit}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_marker_must_be_visible() {
    on_each_engine(|db| async move {
        let store = store(db);
        let private = created(&store, "p2", json!({"visibility": "private"}), 0).await;
        let marker = ListQuery { marker: Some(private.id), ..query("") };
        let refused = store.image_list(marker.clone(), project("p1")).await;
        assert_eq!(refused, Err(RegistryError::NoMarker(private.id)));
        assert_eq!(store.image_list(marker, project("p2")).await, Ok(vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_list_takes_the_same_few_statements_however_long_it_is() {
    on_each_engine(|db| async move {
        let store = store(db.clone());
        let mut first = None;
        for n in 0..60 {
            let image = created(&store, "p1", json!({"tags": ["a", "b"], "x": "y"}), n).await;
            first.get_or_insert(image.id);
            if n == 0 || n == 59 {
                let before = db.statements();
                let images = store.image_list(query("limit=1000"), project("p1")).await.unwrap();
                assert_eq!(images.len() as i64, n + 1);
                assert!(images.iter().all(|i| i.tags.len() == 2 && i.properties.len() == 1));
                assert_eq!(db.statements() - before, 4);
            }
        }
    })
    .await;
}
