use crate::cloud::{ADMIN, ALICE, ALICES_READER, BOB, Cloud, EVE};
use serde_json::json;

#[tokio::test]
async fn offered_accepted_rejected() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({"name": "offer"})).await;
    let members = format!("{image}/members");
    let bobs = format!("{members}/p2");
    cloud.get(BOB, &image).await.expect(404);
    let member = cloud.post(ALICE, &members, json!({"member": "p2"})).await.expect(200).json();
    assert_eq!(member["status"], "pending");
    assert_eq!((&member["member_id"], &member["schema"]), (&json!("p2"), &json!("/v2/schemas/member")));
    cloud.post(ALICE, &members, json!({"member": "p2"})).await.refuses(409, "Member p2 is duplicated for image");

    let listed = async |query: &str| {
        let list = cloud.get(BOB, &format!("/v2/images{query}")).await.expect(200).json();
        list["images"].as_array().unwrap().len()
    };
    // whoever was offered it can look at it, and take it into the list by accepting
    cloud.get(BOB, &image).await.expect(200);
    assert_eq!((listed("").await, listed("?member_status=pending").await), (0, 1));
    let accepted = cloud.put(BOB, &bobs, json!({"status": "accepted"})).await.expect(200).json();
    assert_eq!(accepted["status"], "accepted");
    assert_eq!((listed("").await, listed("?member_status=pending").await), (1, 0));
    cloud.put(BOB, &bobs, json!({"status": "rejected"})).await.expect(200);
    assert_eq!((listed("").await, listed("?member_status=all").await), (0, 1));

    assert_eq!(cloud.get(ALICE, &bobs).await.expect(200).json()["status"], "rejected");
    cloud.delete(BOB, &bobs).await.expect(403);
    cloud.delete(ALICE, &bobs).await.expect(204);
    cloud.delete(ALICE, &bobs).await.expect(404);
    cloud.get(BOB, &image).await.expect(404);
}

#[tokio::test]
async fn only_the_member_answers() {
    let cloud = Cloud::start().await;
    let image = cloud.create(ALICE, json!({})).await;
    let members = format!("{image}/members");
    for member in ["p2", "p3"] {
        cloud.post(ALICE, &members, json!({"member": member})).await.expect(200);
    }
    let accept = json!({"status": "accepted"});
    cloud.put(ALICE, &format!("{members}/p2"), accept.clone()).await.expect(403);
    cloud.put(EVE, &format!("{members}/p2"), accept.clone()).await.expect(404);
    cloud.put(BOB, &format!("{members}/p9"), accept.clone()).await.expect(404);
    cloud.put(BOB, &format!("{members}/p2"), json!({"status": "notavalidstatus"})).await.refuses(400, "Status must be");
    cloud.put(BOB, &format!("{members}/p2"), json!({})).await.refuses(400, "Status not specified");
    cloud.put(BOB, &format!("{members}/p2"), accept).await.expect(200);

    let seen = async |token| {
        let list = cloud.get(token, &members).await.expect(200).json();
        list["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["member_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(ALICE).await, ["p2", "p3"]);
    assert_eq!(seen(ALICES_READER).await, ["p2", "p3"]);
    assert_eq!(seen(ADMIN).await, ["p2", "p3"]);
    // members do not learn of each other
    assert_eq!(seen(BOB).await, ["p2"]);
    cloud.get(BOB, &format!("{members}/p3")).await.expect(404);
    cloud.get(BOB, &format!("{members}/p2")).await.expect(200);
}

#[tokio::test]
async fn only_shared_images_and_only_their_owners() {
    let cloud = Cloud::start().await;
    let private = cloud.create(ALICE, json!({"visibility": "private"})).await;
    let members = format!("{private}/members");
    cloud.post(ALICE, &members, json!({"member": "p2"})).await.refuses(403, "Not allowed to create members");
    cloud.get(ALICE, &members).await.refuses(403, "Only shared images have members.");
    cloud.get(ALICE, &format!("{members}/p2")).await.refuses(404, "Only shared images have members.");
    let image = cloud.create(ALICE, json!({})).await;
    let members = format!("{image}/members");
    cloud.post(BOB, &members, json!({"member": "p2"})).await.expect(404);
    cloud.post(ALICES_READER, &members, json!({"member": "p2"})).await.expect(403);
    for body in [json!({}), json!({"member": ""}), json!({"member": 5}), json!([])] {
        cloud.post(ALICE, &members, body).await.expect(400);
    }
    for n in 0..128 {
        cloud.post(ALICE, &members, json!({"member": format!("m{n}")})).await.expect(200);
    }
    cloud.post(ALICE, &members, json!({"member": "more"})).await.refuses(413, "Attempted: 129, Maximum: 128");
}
