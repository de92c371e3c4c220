//! Candidates from memory that follow the database, and reasons.

use crate::support::{claim, host, set_traits, used};
use placement::{COMPUTE_STATUS_DISABLED, Cause, Found, Group, Placement, Request, release};
use platform_db::testing::on_each_engine;

fn small_server() -> Request {
    Request::of(Group::of([("VCPU", 1), ("MEMORY_MB", 1024), ("DISK_GB", 1)]).forbids(COMPUTE_STATUS_DISABLED))
}

fn names(found: &Found) -> Vec<String> {
    let mut names: Vec<String> = found.candidates.iter().map(|c| c.root.provider.name.clone()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn refusals_say_why() {
    on_each_engine(|db| async move {
        let tight = host(&db, "tight", 8, 2048, 100).await;
        host(&db, "tiny", 8, 256, 100).await;
        let off = host(&db, "off", 8, 8192, 100).await;
        set_traits(&db, off, &[COMPUTE_STATUS_DISABLED, "CUSTOM_BLUE"]).await;
        claim(&db, tight, &[("MEMORY_MB", 1536)]).await.unwrap();
        let found = Placement::new(db).candidates(&small_server()).await.unwrap();
        assert_eq!(names(&found), Vec::<String>::new());
        let mut causes: Vec<(String, Cause)> =
            found.refused.into_iter().map(|(m, c)| (m.provider.name.clone(), c)).collect();
        causes.sort_by(|a, b| a.0.cmp(&b.0));
        let lacks = |free, total| Cause::Lacks { class: "MEMORY_MB".into(), asked: 1024, free, total };
        assert_eq!(
            causes,
            [
                ("off".to_owned(), Cause::ForbiddenTrait(COMPUTE_STATUS_DISABLED.into())),
                ("tight".to_owned(), lacks(512, 2048)),
                ("tiny".to_owned(), lacks(256, 256)),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn what_this_process_changes_is_seen_at_once_when_told() {
    on_each_engine(|db| async move {
        let placement = Placement::new(db.clone());
        let a = host(&db, "a", 2, 2048, 10).await;
        host(&db, "b", 2, 2048, 10).await;
        assert_eq!(names(&placement.candidates(&small_server()).await.unwrap()), ["a", "b"]);
        let id = claim(&db, a, &[("MEMORY_MB", 2048)]).await.unwrap();
        placement.touched([a]);
        assert_eq!(names(&placement.candidates(&small_server()).await.unwrap()), ["b"]);
        let mut tx = db.begin().await.unwrap();
        let freed = release(&mut tx, &id).await.unwrap();
        tx.commit().await.unwrap();
        placement.touched(freed);
        assert_eq!(names(&placement.candidates(&small_server()).await.unwrap()), ["a", "b"]);
        assert_eq!(used(&db, a).await, [0, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn nobody_is_refused_for_what_another_process_has_just_freed_or_added() {
    on_each_engine(|db| async move {
        let placement = Placement::new(db.clone());
        let a = host(&db, "a", 2, 2048, 10).await;
        let id = claim(&db, a, &[("VCPU", 2)]).await.unwrap();
        assert_eq!(names(&placement.candidates(&small_server()).await.unwrap()), Vec::<String>::new());
        let mut tx = db.begin().await.unwrap();
        release(&mut tx, &id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(names(&placement.candidates(&small_server()).await.unwrap()), ["a"]);
    })
    .await;
}

#[tokio::test]
async fn a_look_costs_a_constant_number_of_statements() {
    on_each_engine(|db| async move {
        for n in 0..40 {
            host(&db, &format!("h{n}"), 2, 2048, 10).await;
        }
        let placement = Placement::new(db.clone());
        let before = db.statements();
        let found = placement.candidates(&small_server()).await.unwrap();
        assert_eq!((found.candidates.len(), db.statements() - before), (40, 3), "first: all is read");
        let before = db.statements();
        placement.candidates(&small_server()).await.unwrap();
        assert!(db.statements() - before <= 1, "then nothing, or once a second the generations");
        let limited = Request { limit: Some(7), ..small_server() };
        assert_eq!(placement.candidates(&limited).await.unwrap().candidates.len(), 7);
    })
    .await;
}
