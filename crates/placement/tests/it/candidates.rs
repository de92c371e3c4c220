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

#[tokio::test]
async fn a_search_that_ends_early_finds_other_hosts_from_each_place() {
    on_each_engine(|db| async move {
        let mut ids = Vec::new();
        for n in 0..30 {
            ids.push(host(&db, &format!("h{n}"), 2, 2048, 10).await);
        }
        ids.sort();
        let placement = Placement::new(db);
        let from = async |n: usize| {
            let request = Request { limit: Some(10), from: ids[n], ..small_server() };
            placement.candidates(&request).await.unwrap().candidates.iter().map(|c| c.root.id()).collect::<Vec<_>>()
        };
        assert_eq!(from(0).await, ids[..10]);
        assert_eq!(from(7).await, ids[7..17]);
        assert_eq!(from(25).await, [&ids[25..], &ids[..5]].concat(), "and round");
    })
    .await;
}

/// As many as are not all read because a few have changed.
const MANY: usize = 30;

#[tokio::test]
async fn what_others_change_is_found_by_what_was_written_lately_or_by_the_sum() {
    on_each_engine(|db| async move {
        let mut ids = Vec::new();
        for n in 0..MANY {
            ids.push(host(&db, &format!("h{n}"), 2, 2048, 10).await);
        }
        let placement = Placement::new(db.clone());
        let free = async |n| {
            tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
            let before = db.statements();
            let found = placement.candidates(&small_server()).await.unwrap();
            assert_eq!(found.candidates.len(), n);
            db.statements() - before
        };
        free(MANY).await;
        assert_eq!(free(MANY).await, 1, "nothing has changed: one statement says so");
        claim(&db, ids[3], &[("VCPU", 2)]).await.unwrap();
        claim(&db, ids[4], &[("VCPU", 2)]).await.unwrap();
        assert_eq!(free(MANY - 2).await, 4, "the changed ones are read");
        // by a clock that is an hour behind
        claim(&db, ids[5], &[("VCPU", 2)]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let hour = 3_600_000_000_i64;
        let sql = "UPDATE resource_providers SET updated_at = updated_at - $2 WHERE id = $1";
        tx.execute(sql, platform_db::args![ids[5], hour]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(free(MANY - 3).await, 5, "the sum is another one: all are compared");
        let mut tx = db.begin().await.unwrap();
        tx.execute("DELETE FROM inventories WHERE provider_id = $1", platform_db::args![ids[6]]).await.unwrap();
        tx.execute("DELETE FROM resource_providers WHERE id = $1", platform_db::args![ids[6]]).await.unwrap();
        tx.commit().await.unwrap();
        free(MANY - 4).await;
        assert_eq!(free(MANY - 4).await, 1);
    })
    .await;
}
