//! Breaks of what the tables say of each other.

use crate::cloud::{Cloud, PROJECT, long_ago, now};
use base::OperationId;
use doctor::{Outcome, Settings};
use platform_db::testing::on_each_engine;
use platform_db::{Db, Dialect, args};
use std::time::Duration;

#[tokio::test]
async fn a_clean_cloud_has_nothing() {
    on_each_engine(|db| async move { Cloud::healthy(db).await.is_clean().await }).await;
}

#[tokio::test]
async fn an_empty_one_neither() {
    on_each_engine(|db| async move {
        let settings = Settings { repair: true, deep: true, ..Settings::default() };
        let doctor = doctor::Doctor::new(db, None, std::sync::Arc::new(base::SystemClock), settings);
        for check in doctor::checks::all() {
            let report = doctor.examine(&*check).await.unwrap();
            assert!(report.findings.is_empty(), "{report:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_inventory_that_is_not_its_allocations() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE inventories SET used = 7 WHERE resource_class = 'VCPU' AND used = 2", args![]).await;
        let provider = c.providers[0].to_string();
        c.mends("inventory_use", &[&provider, "VCPU says 7 used", "allocations are 2"]).await;
    })
    .await;
}

#[tokio::test]
async fn allocations_of_nobody() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let mut tx = c.db.begin().await.unwrap();
        let consumer = |kind: &str, id: &str| placement::Consumer {
            id: id.into(),
            project: PROJECT.into(),
            user: "u".into(),
            kind: Some(kind.into()),
        };
        let two = c.providers[1];
        placement::claim(&mut tx, &consumer("INSTANCE", "ghost"), &[(two, "VCPU", 3)], None).await.unwrap();
        // somebody else's, who is not our business
        placement::claim(&mut tx, &consumer("BATCH_JOB", "job"), &[(two, "VCPU", 1)], None).await.unwrap();
        tx.commit().await.unwrap();
        c.mends("orphan_allocations", &["consumer ghost has 1 allocations", &two.to_string()]).await;
        let (used,): (i64,) = c
            .db
            .fetch_one("SELECT used FROM inventories WHERE provider_id = $1 AND resource_class = 'VCPU'", args![two])
            .await
            .unwrap();
        assert_eq!(used, 1, "the other's claim stands");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_has_claimed_something_else() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let id = c.server.to_string();
        let mut tx = c.db.begin().await.unwrap();
        placement::release(&mut tx, &id).await.unwrap();
        tx.commit().await.unwrap();
        c.mends("server_allocations", &[&id, "on one has claimed nothing", "3 DISK_GB 512 MEMORY_MB 2 VCPU"]).await;
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let id = c.server.to_string();
        let mut tx = c.db.begin().await.unwrap();
        placement::release(&mut tx, &id).await.unwrap();
        let consumer = placement::Consumer {
            id: id.clone(),
            project: PROJECT.into(),
            user: "u".into(),
            kind: Some("INSTANCE".into()),
        };
        let two = c.providers[1];
        let all = [(two, "VCPU", 2), (two, "MEMORY_MB", 512), (two, "DISK_GB", 3)];
        placement::claim(&mut tx, &consumer, &all, None).await.unwrap();
        tx.commit().await.unwrap();
        c.mends("server_allocations", &[&id, &format!("some of it on provider {two}")]).await;
    })
    .await;
}

#[tokio::test]
async fn a_quota_that_is_counted_wrong() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE quota_usage SET in_use = 9 WHERE resource = 'cores'", args![]).await;
        c.mends("quota_usage", &[PROJECT, "counted with 9 cores", "its servers have 2"]).await;
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("DELETE FROM quota_usage WHERE resource = 'ram'", args![]).await;
        c.mends("quota_usage", &["counted with 0 ram", "its servers have 512"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_nobody_moves() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE instances SET task_state = 'powering-off'", args![]).await;
        c.mends("servers_have_work", &[&c.server.to_string(), "active (powering-off)"]).await;
        let (state, fault): (String, String) =
            c.db.fetch_one("SELECT vm_state, fault FROM instances", args![]).await.unwrap();
        assert_eq!(state, "active");
        assert!(fault.contains("Nobody was working on the server"), "{fault}");
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE instances SET task_state = 'deleting'", args![]).await;
        c.mends("servers_have_work", &["deleting"]).await;
        let (state,): (String,) = c.db.fetch_one("SELECT vm_state FROM instances", args![]).await.unwrap();
        assert_eq!(state, "error");
    })
    .await;
}

async fn operation(c: &Cloud, kind: &str, subject: &str, due: base::Timestamp) -> String {
    let id = OperationId::random().to_string();
    c.plant(
        "INSERT INTO operations (id, kind, subject, step, data, state, attempts, wake_at, deadline, lease_until, fence,
                created_at, updated_at)
         VALUES ($1, $2, $3, 'assign', '{}', 'running', 0, $4, $4, 0, 1, $4, $4)",
        args![&id, kind, subject, due],
    )
    .await;
    id
}

#[tokio::test]
async fn two_operations_for_one_server() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let server = c.server.to_string();
        c.plant("UPDATE instances SET task_state = 'powering-off'", args![]).await;
        let first = operation(&c, "compute.power", &server, now().minus(Duration::from_secs(1))).await;
        let second = operation(&c, "compute.power", &server, now()).await;
        c.mends("one_operation", &[&first, &server, "another one has been begun since"]).await;
        let left: Vec<(String,)> =
            c.db.fetch_all("SELECT id FROM operations WHERE state = 'running'", args![]).await.unwrap();
        assert_eq!(left, [(second,)]);
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let server = c.server.to_string();
        let id = operation(&c, "compute.power", &server, now()).await;
        c.mends("one_operation", &[&id, &server, "which is at rest"]).await;
    })
    .await;
    // an operator has set the server's state while it was being deleted, and it is begun something with
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let server = c.server.to_string();
        operation(&c, "compute.delete", &server, now().minus(Duration::from_secs(1))).await;
        c.is_clean().await;
        operation(&c, "compute.power", &server, now()).await;
        c.plant("UPDATE instances SET task_state = 'powering-off'", args![]).await;
        c.is_clean().await;
    })
    .await;
}

#[tokio::test]
async fn an_operation_that_nobody_takes() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE instances SET task_state = 'powering-off'", args![]).await;
        operation(&c, "compute.power", &c.server.to_string(), now()).await;
        c.is_clean().await;
        c.plant("UPDATE operations SET wake_at = $1", args![long_ago()]).await;
        let (id,): (String,) = c.db.fetch_one("SELECT id FROM operations", args![]).await.unwrap();
        c.leaves("operations_end", &[&id, &c.server.to_string(), "was due 36", "step assign"]).await;
        c.plant("UPDATE operations SET lease_until = $1", args![now()]).await;
        c.is_clean().await;
    })
    .await;
}

#[tokio::test]
async fn an_operation_that_nobody_knows() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let id = operation(&c, "volume.attach", "v1", now()).await;
        c.leaves("operations_known", &[&id, "volume.attach"]).await;
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        let id = operation(&c, "compute.power", "no-such-server", now()).await;
        c.mends("operations_known", &[&id, "no-such-server"]).await;
    })
    .await;
}

#[tokio::test]
async fn two_hosts_for_one_server() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE assignments SET host = 'two'", args![]).await;
        c.leaves("one_host", &[&c.server.to_string(), "is on one", "two is told to do"]).await;
    })
    .await;
}

#[tokio::test]
async fn references_that_lead_nowhere() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("INSERT INTO identity_roles (id, name, options, extra) VALUES ('r', 'r', '{}', '{}')", args![]).await;
        c.plant(
            "INSERT INTO identity_assignments (actor_type, actor_id, target_type, target_id, role_id, inherited)
             VALUES ('user', 'nobody', 'project', $1, 'r', FALSE)",
            args![PROJECT],
        )
        .await;
        c.mends("references", &["role r is given to user nobody"]).await;
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE instances SET image_id = 'no-image'", args![]).await;
        c.leaves("references", &["image no-image, of which there is no record"]).await;
    })
    .await;
}

#[tokio::test]
async fn members_of_a_deleted_image_and_hosts_of_an_aggregate() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("INSERT INTO aggregates (id, uuid, name, metadata, created_at) VALUES (1, 'a', 'a', '{}', 0)", args![])
            .await;
        c.plant("INSERT INTO aggregate_hosts (aggregate_id, host) VALUES (1, 'gone'), (1, 'one')", args![]).await;
        c.mends("references", &["aggregate 1 has host gone"]).await;
    })
    .await;
}

/// SQLite keeps references only for who asks it to, and another program may not.
#[tokio::test]
async fn a_broken_constraint_on_sqlite() {
    on_each_engine(|db: Db| async move {
        if db.dialect() != Dialect::Sqlite {
            return;
        }
        let c = Cloud::healthy(db).await;
        let (file,): (String,) = c.db.fetch_one("SELECT file FROM pragma_database_list", args![]).await.unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).foreign_keys(false);
        let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
        let sql = "INSERT INTO image_tags (image_id, value) VALUES ('no-image', 'a'), ('no-image', 'b')";
        sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
        c.leaves("references", &["2 rows of image_tags refer to rows of images"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_history_that_ends_elsewhere() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE events SET what = 'delete.done' WHERE what = 'build.done' AND subject = $1", args![c.server])
            .await;
        let found = c.found(Settings::default()).await;
        let proofs: Vec<&str> = found.iter().map(|(_, proof, _)| proof.as_str()).collect();
        assert!(
            found.iter().all(|(check, _, outcome)| *check == "history" && matches!(outcome, Outcome::ForAPerson(_)))
        );
        assert_eq!(proofs.len(), 2, "{proofs:?}");
        assert!(proofs[0].contains("has run but was never built"), "{proofs:?}");
        assert!(proofs[1].contains("lives but was removed"), "{proofs:?}");
    })
    .await;
}

#[tokio::test]
async fn secrets_where_people_read() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE events SET detail = 'set to correct-horse' WHERE what = 'build.done'", args![]).await;
        c.mends("no_secrets", &["events.detail", "the server's password"]).await;
        let (text,): (String,) =
            c.db.fetch_one("SELECT detail FROM events WHERE what = 'build.done'", args![]).await.unwrap();
        assert_eq!(text, "set to ***");
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE instances SET fault = $1", args![r#"{"message": "adminPass=opensesame"}"#]).await;
        c.mends("no_secrets", &["instances.fault", "a password"]).await;
    })
    .await;
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE instances SET task_state = 'powering-off'", args![]).await;
        operation(&c, "compute.power", &c.server.to_string(), now()).await;
        c.plant("UPDATE operations SET data = $1", args![format!("{{\"t\": \"gAAAAA{}\"}}", "x".repeat(80))]).await;
        c.leaves("no_secrets", &["operations.data", "a token"]).await;
        let (text,): (String,) = c.db.fetch_one("SELECT data FROM operations", args![]).await.unwrap();
        assert!(text.contains("gAAAAA"), "a running operation keeps its data");
    })
    .await;
}

/// Whoever is faster than the repair wins: nothing is written twice.
#[tokio::test]
async fn what_has_changed_meanwhile_is_left_alone() {
    on_each_engine(|db| async move {
        let c = Cloud::healthy(db).await;
        c.plant("UPDATE instances SET task_state = 'powering-off'", args![]).await;
        let look = doctor::Look { db: c.db.clone(), images: None, now: now(), settings: Settings::default() };
        for check in doctor::checks::all().iter().filter(|c| c.name() == "servers_have_work") {
            let finding = check.find(&look).await.unwrap().remove(0);
            operation(&c, "compute.power", &c.server.to_string(), now()).await;
            let doctor::Remedy::Safe(_, mend) = finding.remedy else { panic!("it can be mended") };
            let mut tx = c.db.begin().await.unwrap();
            assert!(!mend(&mut tx, now()).await.unwrap(), "somebody works on it now");
        }
        c.is_clean().await;
    })
    .await;
}
