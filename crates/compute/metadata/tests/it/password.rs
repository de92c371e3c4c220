//! The password a guest posts.

use crate::world::World;
use platform_db::testing::on_each_engine;

const PATH: &str = "/openstack/latest/password";

#[tokio::test]
async fn it_is_posted_once_and_then_read() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|row| row.system_metadata = r#"{"kept":"yes"}"#.into()).await;
        assert_eq!(world.get(id, PATH).await.text(200), "");
        assert_eq!(world.call(id, "POST", PATH, "").await.text(200), "", "nothing posted is nothing noted");

        let longest = "é".repeat(510);
        assert_eq!(world.call(id, "POST", PATH, &longest).await.text(200), "");
        assert_eq!(world.get(id, PATH).await.text(200), longest);
        let again = world.call(id, "POST", PATH, "another").await.text(409);
        assert_eq!(again, "409 Conflict\n\nThere was a conflict when trying to complete your request.\n\n   ");
        assert_eq!(world.get(id, PATH).await.text(200), longest);

        // what os-server-password reads
        let row = world.store.instance_fetch(id).await.unwrap().unwrap();
        assert_eq!(row.password().as_deref(), Some(&*longest));
        assert!(row.system_metadata.contains(r#""kept":"yes""#), "{}", row.system_metadata);
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_is_not_noted() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let large = world.call(id, "POST", PATH, &"x".repeat(1021)).await.text(400);
        assert_eq!(large, "400 Bad Request\n\nRequest is too large.\n\n   ");
        let put = world.call(id, "PUT", PATH, "secret").await.text(400);
        assert_eq!(put, "400 Bad Request\n\nGET and POST only are supported.\n\n   ");
        // the first version that has it came later
        world.call(id, "POST", "/openstack/2012-08-10/password", "secret").await.text(404);
        assert_eq!(world.get(id, PATH).await.text(200), "");
    })
    .await;
}

#[tokio::test]
async fn of_many_at_once_one_is_noted() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        let posts = tokio::join!(
            world.call(id, "POST", PATH, "one"),
            world.call(id, "POST", PATH, "two"),
            world.call(id, "POST", PATH, "three"),
        );
        let mut statuses = [posts.0.status, posts.1.status, posts.2.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409]);
        let noted = world.get(id, PATH).await.text(200);
        let first = [("one", posts.0), ("two", posts.1), ("three", posts.2)].into_iter().find(|(_, a)| a.status == 200);
        assert_eq!(first.unwrap().0, noted);
    })
    .await;
}

#[tokio::test]
async fn it_costs_a_constant_number_of_statements() {
    on_each_engine(async |db| {
        let world = World::on(&db);
        let id = world.guest(|_| ()).await;
        world.get(id, "/openstack").await.text(200);
        let before = db.statements();
        world.get(id, PATH).await.text(200);
        assert_eq!(db.statements() - before, 1);
        let before = db.statements();
        world.call(id, "POST", PATH, "secret").await.text(200);
        assert_eq!(db.statements() - before, 2, "a look and an UPDATE");
    })
    .await;
}
