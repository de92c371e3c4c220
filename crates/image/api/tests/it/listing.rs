use crate::cloud::{ADMIN, ALICE, ALICES_READER, BOB, Cloud, UNSCOPED};
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<&str> {
    list["images"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_by_their_links() {
    let cloud = Cloud::start().await;
    for n in 0..5 {
        cloud.create(ALICE, json!({"name": format!("n{n}"), "tags": ["a b", "c"]})).await;
    }
    let first = cloud.get(ALICE, "/v2/images?limit=2&sort=name:asc&tag=a+b").await.expect(200).json();
    assert_eq!(names(&first), ["n0", "n1"]);
    assert_eq!(first["first"], "/v2/images?limit=2&sort=name%3Aasc&tag=a+b");
    assert_eq!(first["schema"], "/v2/schemas/images");
    let next = first["next"].as_str().unwrap();
    let second = cloud.get(ALICE, next).await.expect(200).json();
    assert_eq!(names(&second), ["n2", "n3"]);
    assert_eq!(second["first"], first["first"]);
    let last = cloud.get(ALICE, second["next"].as_str().unwrap()).await.expect(200).json();
    assert_eq!(names(&last), ["n4"]);
    assert_eq!(last.get("next"), None);
    let all = cloud.get(ALICE, "/v2/images").await.expect(200).json();
    assert_eq!((names(&all).len(), &all["first"]), (5, &json!("/v2/images")));
    let none = cloud.get(ALICE, "/v2/images?limit=0").await.expect(200).json();
    assert_eq!((names(&none).len(), none.get("next")), (0, None));
}

#[tokio::test]
async fn what_others_have() {
    let cloud = Cloud::start().await;
    for (token, name, visibility) in [
        (ALICE, "private", "private"),
        (ALICE, "shared", "shared"),
        (ALICE, "community", "community"),
        (ADMIN, "public", "public"),
    ] {
        cloud.create(token, json!({"name": name, "visibility": visibility})).await;
    }
    let list = async |token, query: &str| {
        let list = cloud.get(token, &format!("/v2/images{query}")).await.expect(200).json();
        let mut names: Vec<String> = names(&list).into_iter().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(list(ALICES_READER, "").await, ["community", "private", "public", "shared"]);
    assert_eq!(list(BOB, "").await, ["public"]);
    assert_eq!(list(BOB, "?visibility=community").await, ["community"]);
    assert_eq!(list(BOB, "?visibility=private").await, [] as [&str; 0]);
    assert_eq!(list(ADMIN, "").await, ["private", "public", "shared"]);
    assert_eq!(list(ADMIN, "?owner=p1&visibility=all").await, ["community", "private", "shared"]);
    cloud.get(UNSCOPED, "/v2/images").await.expect(403);
}

#[tokio::test]
async fn queries_that_are_refused() {
    let cloud = Cloud::start().await;
    for (query, words) in [
        ("limit=x", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("marker=00000000-0000-0000-0000-000000000000", "No image found with ID"),
        ("marker=x", "No image found with ID"),
        ("sort=nonsense", "Invalid sort key"),
        ("visibility=nonsense", "Invalid visibility value"),
        ("created_at=nonsense", "query filter format"),
        ("name=in:%22", "The quote is not closed"),
        ("name=a%00b", "NUL"),
    ] {
        cloud.get(ALICE, &format!("/v2/images?{query}")).await.refuses(400, words);
    }
}
