use crate::cloud::{ADMIN, ALICE, BOB, Cloud};
use http::Method;
use serde_json::{Value, json};

const NAMESPACES: &str = "/v2/metadefs/namespaces";

async fn namespace(cloud: &Cloud, name: &str, more: Value) -> String {
    let mut body = json!({"namespace": name});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    cloud.post(ADMIN, NAMESPACES, body).await.expect(201);
    format!("{NAMESPACES}/{name}")
}

fn names(list: &Value, key: &str) -> Vec<String> {
    list[key].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_stock_definitions_are_there() {
    let cloud = Cloud::start().await;
    let types = cloud.get(ALICE, "/v2/metadefs/resource_types").await.expect(200).json();
    assert!(names(&types, "resource_types").contains(&"OS::Nova::Flavor".to_owned()), "{types}");
    let all = cloud.get(ALICE, "/v2/metadefs/namespaces?limit=1000").await.expect(200).json();
    assert_eq!(all["namespaces"].as_array().unwrap().len(), 33);
    assert_eq!(all.get("next"), None);
    let topology = cloud.get(ALICE, "/v2/metadefs/namespaces/OS::Compute::VirtCPUTopology").await.expect(200).json();
    assert_eq!(topology["properties"]["cpu_sockets"]["type"], "integer");
    assert_eq!((&topology["owner"], &topology["protected"]), (&json!("admin"), &json!(true)));
    let flavor = cloud
        .get(ALICE, "/v2/metadefs/namespaces/OS::Compute::VirtCPUTopology?resource_type=OS::Nova::Flavor")
        .await
        .expect(200)
        .json();
    assert_eq!(flavor["properties"]["hw:cpu_sockets"], topology["properties"]["cpu_sockets"]);
    // what an operator deletes does not come back
    let doomed = "/v2/metadefs/namespaces/OS::Compute::Watchdog";
    let open = json!({"namespace": "OS::Compute::Watchdog", "protected": false});
    cloud.delete(ADMIN, doomed).await.refuses(403, "is protected and cannot be deleted.");
    cloud.put(ADMIN, doomed, open).await.expect(200);
    cloud.delete(ADMIN, doomed).await.expect(204);
    cloud.get(ADMIN, doomed).await.expect(404);
}

#[tokio::test]
async fn a_namespace_with_all_it_holds() {
    let cloud = Cloud::start().await;
    let whole = json!({
        "display_name": "An Example", "description": "for example", "visibility": "public",
        "resource_type_associations": [{"name": "OS::Nova::Flavor", "prefix": "ex:"}, {"name": "My::Own"}],
        "properties": {"size": {"title": "Size", "type": "integer", "minimum": 1}},
        "objects": [{"name": "group", "required": ["a"], "properties": {"a": {"title": "A", "type": "string"}}}],
        "tags": [{"name": "t1"}, {"name": "t2"}],
    });
    let path = namespace(&cloud, "Example", whole).await;
    let shown = cloud.get(BOB, &path).await.expect(200).json();
    assert_eq!((&shown["self"], &shown["schema"]), (&json!(path), &json!("/v2/schemas/metadefs/namespace")));
    assert_eq!(shown["properties"], json!({"size": {"title": "Size", "type": "integer", "minimum": 1}}));
    assert_eq!(names(&shown, "resource_type_associations"), ["My::Own", "OS::Nova::Flavor"]);
    assert_eq!(names(&shown, "tags"), ["t1", "t2"]);
    assert_eq!(shown["objects"][0]["self"], format!("{path}/objects/group"));
    let flavor = cloud.get(BOB, &format!("{path}?resource_type=OS::Nova::Flavor")).await.expect(200).json();
    assert_eq!(flavor["objects"][0]["required"], json!(["ex:a"]));
    assert!(flavor["objects"][0]["properties"]["ex:a"].is_object() && flavor["properties"]["ex:size"].is_object());
    // a resource type that somebody uses is one
    let types = cloud.get(BOB, "/v2/metadefs/resource_types").await.expect(200).json();
    assert!(names(&types, "resource_types").contains(&"My::Own".to_owned()));
    cloud
        .post(ADMIN, NAMESPACES, json!({"namespace": "Example"}))
        .await
        .refuses(409, "namespace=Example already exists.");
    let renamed = json!({"namespace": "Renamed", "visibility": "public"});
    cloud.put(ADMIN, &path, renamed).await.expect(200);
    cloud.get(BOB, &path).await.expect(404);
    let moved = cloud.get(BOB, &format!("{NAMESPACES}/Renamed")).await.expect(200).json();
    assert_eq!(moved["properties"], shown["properties"]);
    assert_eq!(moved.get("display_name"), None);
    cloud.delete(ADMIN, &format!("{NAMESPACES}/Renamed")).await.expect(204);
}

#[tokio::test]
async fn who_sees_and_who_changes() {
    let cloud = Cloud::start().await;
    let private = namespace(&cloud, "Private", json!({"owner": "p1"})).await;
    let public = namespace(&cloud, "Public", json!({"visibility": "public"})).await;
    cloud.get(ALICE, &private).await.expect(200);
    cloud.get(BOB, &private).await.refuses(404, "Namespace Private not found");
    cloud.get(BOB, &public).await.expect(200);
    cloud.post(ALICE, NAMESPACES, json!({"namespace": "x"})).await.refuses(403, "add_metadef_namespace");
    cloud.delete(ALICE, &private).await.expect(403);
    cloud.delete(BOB, &private).await.expect(404);
    cloud.put(ALICE, &private, json!({"namespace": "Private"})).await.expect(403);
    let tag = format!("{private}/tags/x");
    cloud.call(ALICE, Method::POST, &tag, None).await.expect(403);
    let listed = async |token, query: &str| {
        let list = cloud.get(token, &format!("{NAMESPACES}{query}")).await.expect(200).json();
        let all = list["namespaces"].as_array().unwrap().clone();
        all.iter().map(|n| n["namespace"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(ALICE, "?limit=2").await, ["Public", "Private"]);
    assert_eq!(listed(BOB, "?limit=1").await, ["Public"]);
    assert_eq!(listed(ALICE, "?visibility=private").await, ["Private"]);
    assert_eq!(
        listed(ALICE, "?sort_key=namespace&sort_dir=asc&limit=1&marker=OS::Software::WebServers").await,
        ["Private"]
    );
    for (query, status) in
        [("limit=x", 400), ("limit=-1", 400), ("sort_key=x", 400), ("visibility=x", 400), ("marker=none", 404)]
    {
        cloud.get(ALICE, &format!("{NAMESPACES}?{query}")).await.expect(status);
    }
}

#[tokio::test]
async fn objects_properties_tags_and_associations() {
    let cloud = Cloud::start().await;
    let path = namespace(&cloud, "N", json!({})).await;
    let property = json!({"name": "p", "title": "P", "type": "string", "enum": ["a", "b"]});
    for (kind, body, changed) in [
        ("objects", json!({"name": "o"}), json!({"name": "o2", "description": "d"})),
        ("properties", property.clone(), json!({"name": "p2", "title": "P2", "type": "integer"})),
    ] {
        let all = format!("{path}/{kind}");
        let name = body["name"].as_str().unwrap();
        let new_name = changed["name"].as_str().unwrap();
        cloud.post(ADMIN, &all, body.clone()).await.expect(201);
        cloud.post(ADMIN, &all, body.clone()).await.refuses(409, "already exists in namespace=N.");
        let shown = cloud.get(ADMIN, &format!("{all}/{name}")).await.expect(200).json();
        for (key, value) in body.as_object().unwrap() {
            assert_eq!(&shown[key], value);
        }
        let updated = cloud.put(ADMIN, &format!("{all}/{name}"), changed.clone()).await.expect(200).json();
        assert_eq!(updated["name"], new_name);
        cloud.get(ADMIN, &format!("{all}/{name}")).await.refuses(404, "was not found in namespace=N.");
        cloud.put(ADMIN, &format!("{all}/{name}"), changed.clone()).await.expect(404);
        cloud.delete(ADMIN, &format!("{all}/{new_name}")).await.expect(204);
        cloud.delete(ADMIN, &format!("{all}/{new_name}")).await.expect(404);
        cloud.post(ADMIN, &all, body.clone()).await.expect(201);
        cloud.delete(ADMIN, &all).await.expect(204);
    }
    assert_eq!(cloud.get(ADMIN, &format!("{path}/properties")).await.json(), json!({"properties": {}}));
    assert_eq!(cloud.get(ADMIN, &format!("{path}/objects")).await.json()["objects"], json!([]));

    let tags = format!("{path}/tags");
    let made = cloud.post(ADMIN, &tags, json!({"tags": [{"name": "a"}, {"name": "b"}]})).await.expect(201).json();
    assert_eq!(made, json!({"tags": [{"name": "a"}, {"name": "b"}]}));
    cloud.post(ADMIN, &tags, json!({"tags": [{"name": "c"}]})).await.expect(201);
    assert_eq!(names(&cloud.get(ADMIN, &tags).await.json(), "tags"), ["c"]);
    // refused as a whole: what there is stays
    let twice = json!({"tags": [{"name": "e"}, {"name": "f"}, {"name": "e"}]});
    cloud.post(ADMIN, &tags, twice).await.refuses(409, "name=e already exists");
    assert_eq!(names(&cloud.get(ADMIN, &tags).await.json(), "tags"), ["c"]);
    cloud.call(ADMIN, Method::POST, &format!("{tags}/d"), None).await.expect(201);
    let page =
        async |query: &str| names(&cloud.get(ADMIN, &format!("{tags}?{query}")).await.expect(200).json(), "tags");
    assert_eq!(page("sort_key=name&sort_dir=asc").await, ["c", "d"]);
    assert_eq!(page("sort_key=name").await, ["d", "c"]);
    assert_eq!(page("limit=1").await, ["d"], "the newest first");
    assert_eq!(page("limit=1&marker=d").await, ["c"]);
    assert_eq!(page("marker=c&sort_key=name&sort_dir=asc").await, ["d"]);
    for (query, status) in [("limit=x", 400), ("sort_key=x", 400), ("sort_dir=x", 400), ("marker=nosuch", 404)] {
        cloud.get(ADMIN, &format!("{tags}?{query}")).await.expect(status);
    }
    cloud.call(ADMIN, Method::POST, &format!("{tags}/d"), None).await.refuses(409, "already exists");
    cloud.put(ADMIN, &format!("{tags}/d"), json!({"name": "e"})).await.expect(200);
    assert_eq!(cloud.get(ADMIN, &format!("{tags}/e")).await.expect(200).json()["name"], "e");
    cloud.delete(ADMIN, &tags).await.expect(204);
    assert_eq!(cloud.get(ADMIN, &tags).await.json()["tags"], json!([]));

    let types = format!("{path}/resource_types");
    let association = json!({"name": "OS::Cinder::Volume", "prefix": "hw_", "properties_target": "image"});
    let made = cloud.post(ADMIN, &types, association.clone()).await.expect(201).json();
    assert_eq!((&made["prefix"], &made["properties_target"]), (&json!("hw_"), &json!("image")));
    cloud.post(ADMIN, &types, association).await.expect(409);
    cloud.post(ADMIN, &format!("{path}/properties"), property).await.expect(201);
    let prefixed = format!("{path}/properties/hw_p?resource_type=OS::Cinder::Volume");
    assert_eq!(cloud.get(ADMIN, &prefixed).await.expect(200).json()["name"], "p");
    cloud.get(ADMIN, &prefixed.replace("hw_p", "p")).await.refuses(404, "does not start with the expected");
    let listed = cloud.get(ADMIN, &types).await.expect(200).json();
    assert_eq!(names(&listed, "resource_type_associations"), ["OS::Cinder::Volume"]);
    cloud.delete(ADMIN, &format!("{types}/OS::Cinder::Volume")).await.expect(204);
    cloud.delete(ADMIN, &format!("{types}/OS::Cinder::Volume")).await.refuses(404, "Failed to find resource type");
}

#[tokio::test]
async fn bodies_that_are_refused() {
    let cloud = Cloud::start().await;
    let path = namespace(&cloud, "N", json!({})).await;
    for (path, body, status) in [
        (NAMESPACES.to_owned(), json!({}), 400),
        (NAMESPACES.to_owned(), json!({"namespace": "x".repeat(81)}), 400),
        (NAMESPACES.to_owned(), json!({"namespace": "x", "surprise": 1}), 400),
        (NAMESPACES.to_owned(), json!({"namespace": "x", "visibility": "shared"}), 400),
        (NAMESPACES.to_owned(), json!({"namespace": "x", "self": "y"}), 403),
        (format!("{path}/objects"), json!({"description": "no name"}), 400),
        (format!("{path}/properties"), json!({"name": "p", "type": "string"}), 400),
        (format!("{path}/properties"), json!({"name": "p", "type": "colour", "title": "P"}), 400),
        (format!("{path}/tags"), json!({"tags": [{"nom": "x"}]}), 400),
        (format!("{path}/resource_types"), json!({"prefix": "x"}), 400),
    ] {
        cloud.post(ADMIN, &path, body).await.expect(status);
    }
}
