use crate::support::{NOW, Server, store};
use base::{ProjectId, UserId};
use compute_store::quota_limits::*;
use compute_store::server_groups::{NewServerGroup, group_add};
use platform_db::testing::on_each_engine;
use std::collections::BTreeMap;

fn limits(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
}

#[tokio::test]
async fn a_users_limit_stands_before_the_projects_before_the_class_before_the_default() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let mut tx = db.begin().await.unwrap();
        class_set(&mut tx, DEFAULT_CLASS, &limits(&[("cores", 30), ("ram", 1)])).await.unwrap();
        limits_set(&mut tx, "p", None, &limits(&[("cores", 40), ("instances", 7)])).await.unwrap();
        limits_set(&mut tx, "p", Some("u"), &limits(&[("cores", 5)])).await.unwrap();
        limits_set(&mut tx, "p", Some("v"), &limits(&[("cores", 6), ("nonsense", 1)])).await.unwrap();
        tx.commit().await.unwrap();

        let get = async |of: LimitsOf<'_>| {
            let l = store.limits_fetch(of).await.unwrap();
            (l.get("cores"), l.get("instances"), l.get("ram"), l.get("key_pairs"))
        };
        assert_eq!(get(LimitsOf::Defaults).await, (30, 10, 1, 100));
        assert_eq!(get(LimitsOf::Class("other")).await, (20, 10, 51200, 100));
        assert_eq!(get(LimitsOf::Project("p")).await, (40, 7, 1, 100));
        assert_eq!(get(LimitsOf::Project("q")).await, (30, 10, 1, 100));
        assert_eq!(get(LimitsOf::User { project: "p", user: "u" }).await, (5, 7, 1, 100));
        assert_eq!(get(LimitsOf::User { project: "p", user: "w" }).await, (40, 7, 1, 100));
        assert_eq!(store.limits_of_users("p").await.unwrap().get("cores"), Some(&11));
        assert_eq!(store.limits_own("p", "u").await.unwrap().get("cores"), Some(&5));

        let mut tx = db.begin().await.unwrap();
        limits_reset(&mut tx, "p", Some("u")).await.unwrap();
        let in_tx = limits_get(&mut tx, LimitsOf::User { project: "p", user: "u" }).await.unwrap();
        assert_eq!(in_tx.get("cores"), 40);
        assert!(in_tx.allows("cores", 40) && !in_tx.allows("cores", 41) && in_tx.allows("fixed_ips", i64::MAX));
        limits_reset(&mut tx, "p", None).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(get(LimitsOf::User { project: "p", user: "v" }).await, (30, 10, 1, 100));
    })
    .await;
}

#[tokio::test]
async fn use_is_counted_by_project_and_by_user() {
    on_each_engine(|db| async move {
        let (store, _) = store(&db);
        let server = Server { project: "p", user: "u", ..Server::default() };
        server.clone().add(&db).await;
        Server { user: "v", ..server.clone() }.add(&db).await;
        Server { deleted: true, ..server }.add(&db).await;
        let mut tx = db.begin().await.unwrap();
        let (project_id, user_id) = (ProjectId::from("p"), UserId::from("v"));
        let rules = BTreeMap::new();
        let group =
            NewServerGroup { project_id: &project_id, user_id: &user_id, name: "g", policy: "affinity", rules: &rules };
        group_add(&mut tx, NOW, &group, -1).await.unwrap();
        let claimed = compute_model::quota::Amounts { instances: 2, cores: 2, ram: 1024 };
        let allowed = compute_store::quotas::amounts_of(&limits_get(&mut tx, LimitsOf::Project("p")).await.unwrap());
        compute_store::quotas::usage_claim(&mut tx, "p", claimed, allowed).await.unwrap();
        tx.commit().await.unwrap();

        let project = store.usage_of_project("p").await.unwrap();
        assert_eq!((project["instances"], project["cores"], project["ram"], project["server_groups"]), (2, 2, 1024, 1));
        let user = store.usage_of_user("p", "u").await.unwrap();
        assert_eq!((user["instances"], user["cores"], user["ram"], user["server_groups"]), (1, 1, 512, 0));
        assert_eq!(store.usage_of_project("nobody").await.unwrap().get("instances"), None);
    })
    .await;
}
