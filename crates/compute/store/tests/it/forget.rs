use crate::support::{NOW, Server};
use base::{InstanceId, ProjectId, RequestId, Timestamp, UserId};
use compute_store::forget::deleted_forget;
use compute_store::instance_actions::*;
use platform_db::testing::on_each_engine;
use platform_db::{Db, args};
use std::time::Duration;

/// A server with an action, an event of it, a line of history and a migration.
async fn add(db: &Db, deleted: bool, source_open: bool) -> String {
    let uuid = Server { project: "p", user: "u", deleted, ..Server::default() }.add(db).await;
    let (instance, request_id): (InstanceId, _) = (uuid.parse().unwrap(), RequestId("req-1".into()));
    let (project_id, user_id) = (ProjectId::from("p"), UserId::from("u"));
    let action =
        NewAction { instance, action: "create", request_id: &request_id, project_id: &project_id, user_id: &user_id };
    let mut tx = db.begin().await.unwrap();
    let id = action_begin(&mut tx, NOW, action).await.unwrap();
    event_add(&mut tx, id, "compute_x", None, NOW, Some((NOW, None))).await.unwrap();
    platform_engine::record(&mut tx, &uuid, None, NOW, "build.accepted", "").await.unwrap();
    tx.execute(
        "INSERT INTO compute_migrations (id, uuid, instance, project_id, user_id, migration_type, status, source_compute,
            source_open, created_at) VALUES ($1, $2, $3, 'p', 'u', 'evacuation', 'done', 'h', $4, $5)",
        args![base::entropy::ordered(NOW), &format!("m-{uuid}"), &uuid, source_open, NOW],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    uuid
}

async fn rows(db: &Db) -> Vec<i64> {
    let mut found = Vec::new();
    for sql in [
        "SELECT COUNT(*) FROM instances",
        "SELECT COUNT(*) FROM instance_actions",
        "SELECT COUNT(*) FROM instance_action_events",
        "SELECT COUNT(*) FROM events",
        "SELECT COUNT(*) FROM compute_migrations",
    ] {
        let (n,): (i64,) = db.fetch_one(sql, args![]).await.unwrap();
        found.push(n);
    }
    found
}

#[tokio::test]
async fn deleted_servers_are_forgotten_with_all_that_is_known_of_them() {
    on_each_engine(|db| async move {
        let alive = add(&db, false, false).await;
        let maybe_still_on_its_host = add(&db, true, true).await;
        for _ in 0..3 {
            add(&db, true, false).await;
        }
        assert_eq!(rows(&db).await, [5; 5]);
        let later = Timestamp(NOW.0).plus(Duration::from_secs(1));
        assert_eq!(deleted_forget(&db, NOW, 2).await.unwrap(), 0);
        assert_eq!(deleted_forget(&db, later, 2).await.unwrap(), 2);
        assert_eq!(rows(&db).await, [3; 5]);
        assert_eq!(deleted_forget(&db, later, 2).await.unwrap(), 1);
        assert_eq!(deleted_forget(&db, later, 2).await.unwrap(), 0);
        assert_eq!(rows(&db).await, [2; 5]);
        let left: Vec<(String,)> = db.fetch_all("SELECT uuid FROM instances ORDER BY uuid", args![]).await.unwrap();
        let mut kept = [(alive,), (maybe_still_on_its_host,)];
        kept.sort();
        assert_eq!(left, kept);
    })
    .await;
}
