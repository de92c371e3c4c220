use crate::support::{NOW, Server, store};
use base::{InstanceId, ProjectId, RequestId, Timestamp, UserId};
use compute_store::instance_actions::*;
use platform_db::testing::on_each_engine;

#[tokio::test]
async fn actions_come_newest_first_and_in_pages() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let server: InstanceId =
            Server { project: "p", user: "u", ..Server::default() }.add(&db).await.parse().unwrap();
        let at = |secs: i64| Timestamp(NOW.0 + secs * 1_000_000);
        let (project, user) = (ProjectId::from("p"), UserId::from("u"));
        let mut tx = db.begin().await.unwrap();
        for (n, action) in ["create", "stop", "start"].into_iter().enumerate() {
            let request = RequestId(format!("req-{n}"));
            let new =
                NewAction { instance: server, action, request_id: &request, project_id: &project, user_id: &user };
            let id = action_begin(&mut tx, at(n as i64), new).await.unwrap();
            event_add(&mut tx, id, "compute_x", Some("h"), at(n as i64), Some((at(n as i64), None))).await.unwrap();
        }
        tx.commit().await.unwrap();
        let page = async |q: ActionQuery| -> Option<String> {
            let actions = store.actions_page(server, &q).await.unwrap()?;
            Some(actions.into_iter().map(|a| a.action).collect::<Vec<_>>().join(" "))
        };
        let q = ActionQuery::default;
        assert_eq!(page(q()).await.unwrap(), "start stop create");
        assert_eq!(page(ActionQuery { limit: Some(1), ..q() }).await.unwrap(), "start");
        assert_eq!(page(ActionQuery { marker: Some("req-2".into()), ..q() }).await.unwrap(), "stop create");
        assert_eq!(page(ActionQuery { marker: Some("req-9".into()), ..q() }).await, None);
        assert_eq!(page(ActionQuery { since: Some(at(1)), ..q() }).await.unwrap(), "start stop");
        assert_eq!(page(ActionQuery { before: Some(at(1)), ..q() }).await.unwrap(), "stop create");
        let action = store.action_by_request(server, "req-1").await.unwrap().unwrap();
        let events = store.action_events(action.id).await.unwrap();
        assert_eq!((events.len(), events[0].result.as_deref()), (1, Some("Success")));
    })
    .await;
}
