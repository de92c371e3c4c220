//! Many at once.

use crate::world::{Server, World, settings};
use futures_util::future::join_all;
use platform_bus::Bus;
use platform_db::testing::on_each_engine;
use std::time::Duration;

async fn more_builds_than_room(w: &World) {
    let mut obeying = Vec::new();
    for name in ["a", "b"] {
        obeying.push(w.host(name).await.obey_well());
    }
    let ids = join_all((0..64).map(|_| w.create_quietly(Server::default()))).await;
    w.bus.hint(platform_engine::WAKE);
    w.until("all to be decided", async || {
        (w.count("SELECT COUNT(*) FROM operations WHERE state = 'running'").await == 0).then_some(())
    })
    .await;
    let mut by_state = std::collections::BTreeMap::new();
    for id in &ids {
        *by_state.entry(w.server(*id).await.vm_state).or_insert(0) += 1;
    }
    assert_eq!(by_state, [("active".to_owned(), 32), ("error".to_owned(), 32)].into());
    assert_eq!(w.claimed().await, [("a".to_owned(), 16), ("b".to_owned(), 16)].into());
    assert_eq!(w.count("SELECT COUNT(*) FROM consumers").await, 32);
    for sql in [
        "SELECT COUNT(*) FROM inventories WHERE used > capacity",
        "SELECT COUNT(*) FROM inventories i WHERE used <> COALESCE((SELECT CAST(SUM(a.used) AS BIGINT) FROM allocations a
             WHERE a.provider_id = i.provider_id AND a.resource_class = i.resource_class), 0)",
        "SELECT COUNT(*) FROM instances WHERE vm_state = 'error' AND (host IS NOT NULL OR fault IS NULL)",
    ] {
        assert_eq!(w.count(sql).await, 0, "{sql}");
    }
    assert_eq!(w.quota().await.instances, 64);
    join_all(ids.iter().map(|id| w.delete(*id))).await;
    w.until("all to be gone", async || {
        (w.count("SELECT COUNT(*) FROM instances WHERE deleted_at IS NULL").await == 0).then_some(())
    })
    .await;
    assert!(w.claimed().await.is_empty());
    assert_eq!((w.quota().await.instances, w.quota().await.ram), (0, 0));
    w.no_deadlocks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn there_is_never_more_on_a_host_than_it_has_room_for() {
    on_each_engine(|db| async move { more_builds_than_room(&World::new(&db)).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_conductors_share_one_database() {
    on_each_engine(|db| async move {
        let mut w = World::new(&db);
        w.add_conductor(settings());
        let began = std::time::Instant::now();
        more_builds_than_room(&w).await;
        assert!(began.elapsed() < Duration::from_secs(12), "who sees room that is not there must not pause for long");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_deleted_while_they_are_placed_leave_nothing() {
    on_each_engine(|db| async move {
        let w = World::new(&db);
        let mut obeying = Vec::new();
        for name in ["a", "b"] {
            obeying.push(w.host(name).await.obey_well());
        }
        join_all((0..32_u64).map(|n| {
            let w = &w;
            async move {
                let id = w.create(Server::default()).await;
                tokio::time::sleep(Duration::from_millis(n % 40)).await;
                w.delete(id).await;
            }
        }))
        .await;
        w.until("all to be gone", async || {
            (w.count("SELECT COUNT(*) FROM instances WHERE deleted_at IS NULL").await == 0).then_some(())
        })
        .await;
        assert!(w.claimed().await.is_empty());
        assert_eq!(w.quota().await.instances, 0);
        assert_eq!(w.count("SELECT COUNT(*) FROM assignments").await, 0);
        assert_eq!(w.count("SELECT COUNT(*) FROM operations WHERE state = 'running'").await, 0);
        w.no_deadlocks().await;
    })
    .await;
}
