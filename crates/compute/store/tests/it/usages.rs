use crate::support::{HOUR, NOW, Server, add_host, store};
use base::Timestamp;
use compute_store::usages::UsagePeriod;
use platform_db::testing::on_each_engine;

#[tokio::test]
async fn servers_that_ran_in_the_period() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        add_host(&db, "h1").await;
        add_host(&db, "h2").await;
        let (start, end) = (NOW.0 - 10 * HOUR, NOW.0);
        let server = Server { project: "p", user: "u", host: Some("h1"), ..Server::default() };
        let launched = |hours_ago: i64| Some(NOW.0 - hours_ago * HOUR);
        let running = Server { launched_at: launched(20), ..server.clone() }.add(&db).await;
        let ended = Server {
            launched_at: launched(20),
            terminated_at: launched(5),
            deleted: true,
            project: "q",
            ..server.clone()
        };
        let ended = ended.add(&db).await;
        Server { launched_at: launched(20), terminated_at: launched(15), ..server.clone() }.add(&db).await;
        Server { launched_at: launched(-1), ..server.clone() }.add(&db).await;
        server.add(&db).await;

        let list = async |project, limit, marker| -> Vec<String> {
            let period = UsagePeriod { start: Timestamp(start), end: Timestamp(end), project, limit, marker };
            store.usage_list(period).await.unwrap().into_iter().map(|s| s.uuid).collect()
        };
        assert_eq!(list(None, 10, None).await, [running.clone(), ended.clone()]);
        assert_eq!(list(None, 1, Some(running.as_str())).await, std::slice::from_ref(&ended));
        assert_eq!(list(Some("q"), 10, None).await, [ended]);
        let period =
            UsagePeriod { start: Timestamp(start), end: Timestamp(end), project: Some("q"), limit: 1, marker: None };
        let one = store.usage_list(period).await.unwrap().pop().unwrap();
        assert_eq!((one.flavor_name().as_str(), one.disk_gib, one.ended_at), ("m1.f", 3, launched(5)));
        let hosts = store.usage_by_host(Timestamp(start), Timestamp(end)).await.unwrap();
        assert_eq!(hosts, [("h1".to_owned(), 2), ("h2".to_owned(), 0)]);
    })
    .await;
}
