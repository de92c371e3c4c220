use crate::support::{NOW, Server, store};
use base::{ProjectId, UserId};
use compute_store::server_groups::*;
use platform_db::Db;
use platform_db::testing::on_each_engine;
use std::collections::BTreeMap;

async fn add(db: &Db, project: &str, name: &str, limit: i64) -> Option<ServerGroup> {
    let (project_id, user_id) = (ProjectId::from(project), UserId::from("u"));
    let rules = BTreeMap::from([("max_server_per_host".to_owned(), 2)]);
    let new =
        NewServerGroup { project_id: &project_id, user_id: &user_id, name, policy: "anti-affinity", rules: &rules };
    let mut tx = db.begin().await.unwrap();
    let added = group_add(&mut tx, NOW, &new, limit).await.unwrap();
    tx.commit().await.unwrap();
    added
}

#[tokio::test]
async fn members_are_the_live_servers_that_name_the_group() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let group = add(&db, "p", "g", 2).await.unwrap();
        let server = Server { project: "p", user: "u", group: Some(group.uuid.clone()), ..Server::default() };
        let live = server.clone().add(&db).await;
        Server { deleted: true, ..server.clone() }.add(&db).await;
        Server { group: None, ..server.clone() }.add(&db).await;
        Server { user: "other", ..server }.add(&db).await;

        let members = store.group_members(std::slice::from_ref(&group)).await.unwrap();
        assert_eq!(members[&group.uuid].len(), 2);
        assert!(members[&group.uuid].contains(&live));
        let mut tx = db.begin().await.unwrap();
        assert_eq!(group_members_count(&mut tx, &group.uuid, &UserId::from("u")).await.unwrap(), 1);
        assert!(group_delete(&mut tx, &group.uuid).await.unwrap());
        assert!(!group_delete(&mut tx, &group.uuid).await.unwrap());
        tx.commit().await.unwrap();
        let kept = store.instance_fetch(live.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(kept.server_group, None, "servers outlive their group");
    })
    .await;
}

#[tokio::test]
async fn lists_are_in_the_order_of_creation_and_quotas_are_per_project() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        for name in ["z", "a", "m"] {
            assert!(add(&db, "p", name, 3).await.is_some());
        }
        assert!(add(&db, "p", "over", 3).await.is_none());
        assert!(add(&db, "q", "other", 3).await.is_some());
        let p = ProjectId::from("p");
        let names = async |project, limit, offset| -> Vec<String> {
            store.group_list(project, limit, offset).await.unwrap().into_iter().map(|g| g.name).collect()
        };
        assert_eq!(names(Some(&p), 10, 0).await, ["z", "a", "m"]);
        assert_eq!(names(Some(&p), 1, 1).await, ["a"]);
        assert_eq!(names(None, 10, 0).await, ["z", "a", "m", "other"]);
        assert_eq!(store.group_count(&p).await.unwrap(), 3);
        let all = store.group_list(None, 10, 0).await.unwrap();
        assert_eq!(all[0].rules().get("max_server_per_host"), Some(&2));
    })
    .await;
}
