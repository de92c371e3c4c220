use crate::{at, bare, created, request, shown, store, stored};
use base::{ImageId, Timestamp};
use image_model::{
    Image, Imported, Leftover, Method, NewTask, Plan, Registry, RegistryError, Staged, Status, Task, TaskId, TaskKind,
    TaskQuery, TaskSort, TaskStatus, task_query,
};
use image_registry::Store;
use platform_db::testing::on_each_engine;
use serde_json::json;
use std::collections::BTreeMap;

const LATER: Timestamp = Timestamp(2_000_000_000_000_000);
const NEVER: Timestamp = Timestamp(0);

fn wanted(image: ImageId, method: Method) -> NewTask {
    let task = Task {
        id: TaskId::random(),
        kind: TaskKind::ApiImageImport,
        status: TaskStatus::Pending,
        owner: Some("p1".into()),
        user: Some("u1".into()),
        request: request(),
        image: Some(image),
        input: json!({"image_id": image}),
        result: None,
        message: String::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        expires_at: None,
    };
    let plan = Plan { method, stores: vec!["main".into()], all_stores_must_succeed: true, inject: BTreeMap::new() };
    NewTask { task, plan, node: None, deadline: LATER }
}

fn web() -> Method {
    Method::WebDownload { uri: "http://x/y".into() }
}

async fn begun(store: &Store, image: &Image, method: Method) -> TaskId {
    store.import_begin(Box::new(wanted(image.id, method)), None).await.unwrap().id
}

async fn task(store: &Store, id: &TaskId) -> Task {
    store.task_show(id.clone()).await.unwrap().expect("it is there")
}

async fn claimed(store: &Store, node: &str, holder: &str) -> Option<TaskId> {
    let now = Timestamp(LATER.0 - 1);
    store.task_claim(node.into(), holder.into(), now, LATER).await.unwrap().map(|c| c.task.id)
}

async fn staged(store: &Store, image: &Image, node: &str) {
    let at = Staged { node: node.into(), upload: "s1".into() };
    store.stage_begin(image.id, at, LATER, request()).await.unwrap();
    store.stage_finish(image.id, "s1".into(), 4, LATER).await.unwrap().expect("it is still there");
}

#[tokio::test]
async fn from_staged_to_active() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        let at_a = Staged { node: "a".into(), upload: "s1".into() };
        let uploading = store.stage_begin(image.id, at_a.clone(), LATER, request()).await.unwrap();
        assert_eq!(uploading.status, Status::Uploading);
        let again = store.stage_begin(image.id, at_a.clone(), LATER, request()).await;
        assert_eq!(again, Err(RegistryError::WrongStatus(Status::Uploading)));
        assert_eq!(store.staged_at(image.id).await.unwrap(), None, "not all of it is there");
        let early = store.import_begin(Box::new(wanted(image.id, Method::GlanceDirect)), None).await;
        assert_eq!(early, Err(RegistryError::WrongStatus(Status::Uploading)));
        assert!(store.stage_renew(image.id, "s1".into(), LATER).await.unwrap());
        assert!(!store.stage_renew(image.id, "s2".into(), LATER).await.unwrap());
        let whole = store.stage_finish(image.id, "s1".into(), 4, LATER).await.unwrap().unwrap();
        assert_eq!((whole.status, whole.size), (Status::Uploading, Some(4)));
        assert_eq!(store.staged_at(image.id).await.unwrap(), Some(at_a.clone()));
        assert_eq!(store.staged_keys("a".into()).await.unwrap(), [format!("{}.s1", image.id)]);

        let id = begun(&store, &image, Method::GlanceDirect).await;
        let importing = shown(&store, &image).await;
        assert_eq!(importing.status, Status::Importing);
        assert_eq!(importing.properties["os_glance_import_task"], id.0);
        assert_eq!(importing.properties["os_glance_importing_to_stores"], "main");
        assert_eq!(importing.properties["os_glance_failed_import"], "");
        assert_eq!(claimed(&store, "b", "h0").await, None, "it is staged elsewhere");
        let taken = store.task_claim("a".into(), "h1".into(), Timestamp(LATER.0 - 1), LATER).await.unwrap().unwrap();
        assert_eq!((taken.task.status, taken.tries, taken.staged), (TaskStatus::Processing, 1, Some(at_a)));
        assert!(store.task_renew(id.clone(), "h1".into(), LATER, "Copied 3 MiB".into()).await.unwrap());
        assert!(!store.task_renew(id.clone(), "h2".into(), LATER, "no".into()).await.unwrap());
        assert_eq!(task(&store, &id).await.message, "Copied 3 MiB");

        store.location_plan(image.id, at("file:///1"), LATER).await.unwrap();
        let imported = Imported { properties: [("k".into(), "v".into())].into(), ..Imported::default() };
        let data = Some(stored("file:///1"));
        let finish = |holder: &str| {
            let imported = imported.clone();
            store.import_finish(id.clone(), holder.into(), data.clone(), vec![at("file:///1")], imported)
        };
        assert_eq!(finish("h2").await, Ok(None));
        let active = finish("h1").await.unwrap().unwrap();
        assert_eq!((active.status, active.size), (Status::Active, Some(10)));
        assert_eq!(active.locations, [at("file:///1")]);
        assert_eq!(active.properties["k"], "v");
        assert_eq!(active.properties["os_glance_importing_to_stores"], "");
        assert_eq!(active.properties.get("os_glance_import_task"), None);
        assert!(store.staged_keys("a".into()).await.unwrap().is_empty());
        assert!(store.leftovers().await.unwrap().is_empty());
        let done = task(&store, &id).await;
        assert_eq!((done.status, done.result), (TaskStatus::Success, Some(json!({"image_id": image.id}))));
        assert!(done.expires_at.is_some());
        assert_eq!(finish("h1").await, Ok(None), "it has ended");
    })
    .await;
}

#[tokio::test]
async fn a_failed_import_leaves_the_image_as_it_was() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        staged(&store, &image, "a").await;
        let id = begun(&store, &image, Method::GlanceDirect).await;
        assert_eq!(claimed(&store, "a", "h1").await, Some(id.clone()));
        store.location_plan(image.id, at("file:///1"), LATER).await.unwrap();
        assert!(!store.import_fail(id.clone(), "h2".into(), "why".into(), vec![]).await.unwrap());
        assert!(store.import_fail(id.clone(), "h1".into(), "why".into(), vec!["main".into()]).await.unwrap());
        let queued = shown(&store, &image).await;
        assert_eq!((queued.status, queued.size), (Status::Queued, None));
        assert_eq!(queued.properties["os_glance_failed_import"], "main");
        assert_eq!(queued.properties["os_glance_importing_to_stores"], "");
        assert_eq!(queued.properties.get("os_glance_import_task"), None);
        assert!(store.staged_keys("a".into()).await.unwrap().is_empty());
        let left = Leftover { image: image.id, location: at("file:///1") };
        assert_eq!(store.leftovers().await.unwrap(), [left]);
        let failed = task(&store, &id).await;
        assert_eq!((failed.status, failed.message.as_str()), (TaskStatus::Failure, "why"));
        // and once more
        let again = begun(&store, &image, web()).await;
        assert_ne!(again, id);
        assert_eq!(shown(&store, &image).await.properties["os_glance_failed_import"], "");
    })
    .await;
}

/// One at a time; the next holder condemns what the last one stored; too many of them, and it has failed.
#[tokio::test]
async fn holders_that_die() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        let id = begun(&store, &image, web()).await;
        let second = store.import_begin(Box::new(wanted(image.id, web())), None).await;
        assert_eq!(second, Err(RegistryError::WrongStatus(Status::Importing)));
        // a lease that ends at once
        let claim = async |holder: &str| {
            let by = Timestamp(LATER.0 - 1);
            let taken = store.task_claim("a".into(), holder.into(), by, Timestamp(5)).await.unwrap();
            taken.map(|c| c.tries)
        };
        assert_eq!(claim("h1").await, Some(1));
        store.location_plan(image.id, at("file:///1"), LATER).await.unwrap();
        assert_eq!(claim("h2").await, Some(2));
        let left = Leftover { image: image.id, location: at("file:///1") };
        assert_eq!(store.leftovers().await.unwrap(), [left]);
        assert!(!store.task_renew(id.clone(), "h1".into(), LATER, String::new()).await.unwrap());
        let late = store.import_finish(
            id.clone(),
            "h1".into(),
            Some(stored("file:///1")),
            vec![at("file:///1")],
            Imported::default(),
        );
        assert_eq!(late.await, Ok(None));
        assert_eq!(claim("h3").await, Some(3));
        assert_eq!(claim("h4").await, None);
        assert_eq!(store.tasks_tidy("b".into(), NEVER).await.unwrap().failed, 1);
        let failed = task(&store, &id).await;
        assert_eq!(failed.status, TaskStatus::Failure);
        assert!(failed.message.contains("begun 3 times"), "{}", failed.message);
        assert_eq!(shown(&store, &image).await.status, Status::Queued);
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_gone_takes_its_imports_with_it() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        staged(&store, &image, "a").await;
        let id = begun(&store, &image, Method::GlanceDirect).await;
        assert_eq!(store.tasks_tidy("b".into(), NEVER).await.unwrap().failed, 0, "it may come back");
        // it does, and is not too late
        assert_eq!(store.tasks_tidy("a".into(), LATER).await.unwrap().failed, 0);
        assert_eq!(store.tasks_tidy("b".into(), LATER).await.unwrap().failed, 1);
        let failed = task(&store, &id).await;
        assert_eq!(failed.message, "The host that has the staged data is gone.");
        assert_eq!(shown(&store, &image).await.status, Status::Queued);
        assert!(store.staged_keys("a".into()).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn staged_data_does_not_wait_for_ever() {
    on_each_engine(|db| async move {
        let store = store(db);
        let (whole, half) = (created(&store, "p1", bare(), 0).await, created(&store, "p1", bare(), 1).await);
        staged(&store, &whole, "a").await;
        let at = Staged { node: "a".into(), upload: "s1".into() };
        store.stage_begin(half.id, at, Timestamp(10), request()).await.unwrap();
        assert_eq!(store.stages_expire(Timestamp(20)).await.unwrap(), [half.id]);
        assert_eq!(store.stages_expire(Timestamp(LATER.0 + 1)).await.unwrap(), [whole.id]);
        for image in [&whole, &half] {
            let queued = shown(&store, image).await;
            assert_eq!((queued.status, queued.size), (Status::Queued, None));
        }
        assert!(store.staged_keys("a".into()).await.unwrap().is_empty());
        assert_eq!(store.stage_finish(half.id, "s1".into(), 4, LATER).await, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn deleting_the_image_ends_its_import() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        staged(&store, &image, "a").await;
        let id = begun(&store, &image, Method::GlanceDirect).await;
        assert_eq!(claimed(&store, "a", "h1").await, Some(id.clone()));
        store.location_plan(image.id, at("file:///1"), LATER).await.unwrap();
        store.image_delete(image.id, request()).await.unwrap();
        assert!(!store.task_renew(id.clone(), "h1".into(), LATER, String::new()).await.unwrap());
        let late = store.import_finish(
            id.clone(),
            "h1".into(),
            Some(stored("file:///1")),
            vec![at("file:///1")],
            Imported::default(),
        );
        assert_eq!(late.await, Ok(None));
        assert_eq!(task(&store, &id).await.message, "Image has been deleted, aborting import.");
        assert!(store.staged_keys("a".into()).await.unwrap().is_empty());
        // what it was writing is deleted when it should have renewed
        assert!(store.leftovers().await.unwrap().is_empty());
        assert!(!store.location_renew(image.id, "file:///2".into(), LATER).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_copy_is_one_location_more() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = created(&store, "p1", bare(), 0).await;
        let queued = store.import_begin(Box::new(wanted(image.id, Method::CopyImage)), None).await;
        assert_eq!(queued, Err(RegistryError::WrongStatus(Status::Queued)));
        store.upload_begin(image.id, "u1".into(), at("file:///u1"), LATER, request()).await.unwrap();
        store.upload_finish(image.id, "u1".into(), stored("file:///u1"), request()).await.unwrap().unwrap();
        for (copy, done) in [("file:///2", true), ("file:///3", false)] {
            let id = begun(&store, &image, Method::CopyImage).await;
            assert_eq!(shown(&store, &image).await.status, Status::Active);
            let second = store.import_begin(Box::new(wanted(image.id, Method::CopyImage)), None).await;
            assert_eq!(second, Err(RegistryError::Duplicate));
            assert_eq!(claimed(&store, "a", "h1").await, Some(id.clone()));
            store.location_plan(image.id, at(copy), LATER).await.unwrap();
            if done {
                let finished = store.import_finish(id, "h1".into(), None, vec![at(copy)], Imported::default()).await;
                assert!(finished.unwrap().is_some());
            } else {
                assert!(store.import_fail(id, "h1".into(), "why".into(), vec!["x".into()]).await.unwrap());
            }
            let now = shown(&store, &image).await;
            assert_eq!((now.status, now.size), (Status::Active, Some(10)));
            assert_eq!(now.locations, [at("file:///u1"), at("file:///2")]);
        }
        assert_eq!(shown(&store, &image).await.properties["os_glance_failed_import"], "x");
    })
    .await;
}

/// The task makes the image, and takes it away again.
#[tokio::test]
async fn tasks_of_the_old_kind() {
    on_each_engine(|db| async move {
        let store = store(db);
        let image = crate::wanted("p1", bare(), 0);
        let mut new = wanted(image.id, web());
        new.task.kind = TaskKind::Import;
        let id = store.import_begin(Box::new(new), Some(image.clone())).await.unwrap().id;
        assert_eq!(shown(&store, &image).await.status, Status::Importing);
        assert_eq!(claimed(&store, "a", "h1").await, Some(id.clone()));
        assert!(store.import_fail(id.clone(), "h1".into(), "why".into(), vec![]).await.unwrap());
        let gone = store.image_show(image.id, image_model::Viewer::cloud()).await.unwrap();
        assert_eq!(gone, None);
        assert_eq!(task(&store, &id).await.status, TaskStatus::Failure);
    })
    .await;
}

#[tokio::test]
async fn lists_and_the_end_of_tasks() {
    on_each_engine(|db| async move {
        let store = store(db);
        let mut ids = Vec::new();
        for n in 0..5 {
            let image = created(&store, if n < 3 { "p1" } else { "p2" }, bare(), n).await;
            let mut new = wanted(image.id, web());
            new.task.owner = image.owner.clone();
            ids.push(store.import_begin(Box::new(new), None).await.unwrap().id);
        }
        let list = async |query: TaskQuery| -> Vec<TaskId> {
            store.task_list(query).await.unwrap().into_iter().map(|t| t.id).collect()
        };
        let newest = task_query(&[]).unwrap();
        let backwards: Vec<TaskId> = ids.iter().rev().cloned().collect();
        assert_eq!(list(newest.clone()).await, backwards);
        let page = TaskQuery { limit: 2, marker: Some(ids[3].clone()), ..newest.clone() };
        assert_eq!(list(page).await, [ids[2].clone(), ids[1].clone()]);
        let own = TaskQuery { owner: Some("p2".into()), descending: false, ..newest.clone() };
        assert_eq!(list(own).await, [ids[3].clone(), ids[4].clone()]);
        for sort in TaskSort::ALL {
            assert_eq!(list(TaskQuery { sort: *sort, ..newest.clone() }).await.len(), 5, "{sort}");
        }
        let unknown = TaskQuery { marker: Some(TaskId::random()), ..newest.clone() };
        assert!(matches!(store.task_list(unknown).await, Err(RegistryError::NoTask(_))));

        assert_eq!(claimed(&store, "a", "h1").await, Some(ids[0].clone()));
        store.import_fail(ids[0].clone(), "h1".into(), "why".into(), vec![]).await.unwrap();
        let failed = TaskQuery { status: Some(TaskStatus::Failure), ..newest.clone() };
        assert_eq!(list(failed).await, [ids[0].clone()]);
        assert_eq!(store.tasks_tidy("a".into(), NEVER).await.unwrap().purged, 0);
    })
    .await;
}
