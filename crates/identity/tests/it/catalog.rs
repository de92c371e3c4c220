//! Regions, services, endpoints, filters, limits.

use crate::world::{names, on_each, password, project};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn what_is_in_the_catalog_is_in_tokens() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let service = json!({"service": {"type": "volumev3", "name": "cinder", "description": "d"}});
        let service = w.post("/v3/services", &admin, service).await["service"]["id"].as_str().unwrap().to_owned();
        let endpoint = json!({"endpoint": {"service_id": service, "interface": "public", "region": "RegionTwo",
                                           "url": "http://vol/$(tenant_id)s"}});
        let made = w.post("/v3/endpoints", &admin, endpoint).await["endpoint"].clone();
        assert_eq!((&made["region_id"], &made["region"]), (&json!("RegionTwo"), &json!("RegionTwo")));
        assert_eq!(w.get("/v3/regions/RegionTwo", &admin).await["region"]["description"], "");
        let find = async || {
            let catalog = w.get("/v3/auth/catalog", &admin).await["catalog"].clone();
            catalog.as_array().unwrap().iter().find(|s| s["type"] == "volumev3").cloned()
        };
        let shown = find().await.unwrap();
        assert!(shown["endpoints"][0]["url"].as_str().unwrap().starts_with("http://vol/"));
        assert_ne!(shown["endpoints"][0]["url"], "http://vol/$(tenant_id)s");
        let path = format!("/v3/endpoints/{}", made["id"].as_str().unwrap());
        w.expect(200, "PATCH", &path, &admin, json!({"endpoint": {"enabled": false}})).await;
        assert_eq!(find().await.unwrap()["endpoints"], json!([]));
        w.expect(403, "DELETE", "/v3/regions/RegionTwo", &admin, Value::Null).await;
        for bad in [
            json!({"service_id": service, "interface": "public", "url": "nonsense"}),
            json!({"service_id": service, "interface": "public", "url": "http://x/%(nonsense)s"}),
            json!({"service_id": service, "interface": "private", "url": "http://x"}),
            json!({"service_id": "nope", "interface": "public", "url": "http://x"}),
            json!({"service_id": service, "interface": "public", "url": "http://x", "region_id": "nope"}),
            json!({"service_id": service, "interface": "public", "url": "http://x", "enabled": "True"}),
        ] {
            w.expect(400, "POST", "/v3/endpoints", &admin, json!({"endpoint": bad})).await;
        }
        let own = w.get(&format!("/v3/endpoints?service_id={service}&interface=public"), &admin).await;
        assert_eq!(own["endpoints"].as_array().unwrap().len(), 1);
        w.expect(204, "DELETE", &format!("/v3/services/{service}"), &admin, Value::Null).await;
        w.expect(404, "GET", &path, &admin, Value::Null).await;
        assert_eq!(find().await, None);
    })
    .await;
}

#[tokio::test]
async fn regions() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let made = w.expect(201, "PUT", "/v3/regions/own", &admin, json!({"region": {"description": "d"}})).await;
        assert_eq!(made["region"]["id"], "own");
        w.expect(409, "POST", "/v3/regions", &admin, json!({"region": {"id": "own"}})).await;
        w.expect(400, "PUT", "/v3/regions/a", &admin, json!({"region": {"id": "b"}})).await;
        let child = w.post("/v3/regions", &admin, json!({"region": {"parent_region_id": "own"}})).await;
        let id = child["region"]["id"].as_str().unwrap().to_owned();
        w.expect(404, "POST", "/v3/regions", &admin, json!({"region": {"parent_region_id": "nope"}})).await;
        w.expect(400, "PATCH", "/v3/regions/own", &admin, json!({"region": {"parent_region_id": id}})).await;
        let below = w.get("/v3/regions?parent_region_id=own", &admin).await;
        assert_eq!(below["regions"].as_array().unwrap().len(), 1);
        w.expect(403, "DELETE", "/v3/regions/own", &admin, Value::Null).await;
        w.expect(204, "DELETE", &format!("/v3/regions/{id}"), &admin, Value::Null).await;
        w.expect(204, "DELETE", "/v3/regions/own", &admin, Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn endpoint_groups() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        let services = w.get("/v3/services?type=compute", &admin).await;
        let service = services["services"][0]["id"].clone();
        let body = json!({"endpoint_group": {"name": "g", "filters": {"service_id": service, "interface": "public"}}});
        let made = w.post("/v3/OS-EP-FILTER/endpoint_groups", &admin, body).await["endpoint_group"].clone();
        let path = format!("/v3/OS-EP-FILTER/endpoint_groups/{}", made["id"].as_str().unwrap());
        let found = w.get(&format!("{path}/endpoints"), &admin).await["endpoints"].clone();
        assert_eq!(found.as_array().unwrap().len(), 1);
        w.expect(204, "PUT", &format!("{path}/projects/{p}"), &admin, Value::Null).await;
        w.expect(200, "GET", &format!("{path}/projects/{p}"), &admin, Value::Null).await;
        assert_eq!(names(&w.get(&format!("{path}/projects"), &admin).await["projects"]), ["p"]);
        let own = format!("/v3/OS-EP-FILTER/projects/{p}");
        assert_eq!(names(&w.get(&format!("{own}/endpoint_groups"), &admin).await["endpoint_groups"]), ["g"]);
        assert_eq!(w.get(&format!("{own}/endpoints"), &admin).await["endpoints"], found);
        let all = w.get("/v3/endpoints?interface=admin", &admin).await["endpoints"].clone();
        let one = format!("{own}/endpoints/{}", all[0]["id"].as_str().unwrap());
        w.expect(404, "HEAD", &one, &admin, Value::Null).await;
        w.expect(204, "PUT", &one, &admin, Value::Null).await;
        w.expect(204, "HEAD", &one, &admin, Value::Null).await;
        w.expect(409, "PUT", &one, &admin, Value::Null).await;
        assert_eq!(w.get(&format!("{own}/endpoints"), &admin).await["endpoints"].as_array().unwrap().len(), 2);
        // what is associated is all that the project's tokens show
        w.user(&admin, "ann", Some(("member", &p))).await;
        let ann = w.token(password("ann", "ann"), project(&p)).await;
        let shown = async |token: &str| {
            let catalog = w.get("/v3/auth/catalog", token).await["catalog"].clone();
            let endpoints = catalog.as_array().unwrap().iter().flat_map(|s| s["endpoints"].as_array().unwrap().clone());
            endpoints.map(|e| e["id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let (by_group, by_itself) = (found[0]["id"].as_str().unwrap(), all[0]["id"].as_str().unwrap());
        assert_eq!(shown(&ann).await, BTreeSet::from([by_group.to_owned(), by_itself.to_owned()]));
        assert!(shown(&admin).await.len() > 2, "others see everything");
        w.expect(204, "DELETE", &one, &admin, Value::Null).await;
        assert_eq!(shown(&ann).await, BTreeSet::from([by_group.to_owned()]));
        w.expect(204, "DELETE", &format!("{path}/projects/{p}"), &admin, Value::Null).await;
        assert_eq!(shown(&ann).await, shown(&admin).await, "without any association, too");
        for bad in [json!({}), json!({"enabled": true})] {
            let body = json!({"endpoint_group": {"name": "x", "filters": bad}});
            w.expect(400, "POST", "/v3/OS-EP-FILTER/endpoint_groups", &admin, body.clone()).await;
            w.expect(400, "PATCH", &path, &admin, body).await;
        }
        let changed = json!({"endpoint_group": {"name": "h", "filters": {"interface": "admin"}}});
        assert_eq!(w.expect(200, "PATCH", &path, &admin, changed).await["endpoint_group"]["name"], "h");
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        w.expect(404, "GET", &path, &admin, Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn limits_rest_on_registered_limits() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "p").await;
        let service = w.get("/v3/services?type=compute", &admin).await["services"][0]["id"].clone();
        let limit = json!({"limits": [{"service_id": service, "resource_name": "cores", "resource_limit": 5, "project_id": p}]});
        w.expect(403, "POST", "/v3/limits", &admin, limit.clone()).await;
        let registered = json!({"registered_limits": [{"service_id": service, "resource_name": "cores", "default_limit": 10}]});
        let made = w.post("/v3/registered_limits", &admin, registered.clone()).await["registered_limits"][0].clone();
        w.expect(409, "POST", "/v3/registered_limits", &admin, registered).await;
        let base = format!("/v3/registered_limits/{}", made["id"].as_str().unwrap());
        let own = w.post("/v3/limits", &admin, limit.clone()).await["limits"][0].clone();
        w.expect(409, "POST", "/v3/limits", &admin, limit).await;
        assert_eq!((&own["project_id"], &own["domain_id"]), (&json!(p), &Value::Null));
        let path = format!("/v3/limits/{}", own["id"].as_str().unwrap());
        assert_eq!(w.get(&path, &admin).await["limit"], own);
        w.expect(403, "DELETE", &base, &admin, Value::Null).await;
        w.expect(403, "PATCH", &base, &admin, json!({"registered_limit": {"resource_name": "ram"}})).await;
        w.expect(200, "PATCH", &base, &admin, json!({"registered_limit": {"default_limit": 11}})).await;
        let changed = w.expect(200, "PATCH", &path, &admin, json!({"limit": {"resource_limit": 6}})).await;
        assert_eq!(changed["limit"]["resource_limit"], 6);
        w.user(&admin, "ann", Some(("reader", &p))).await;
        let ann = w.token(crate::world::password("ann", "ann"), crate::world::project(&p)).await;
        assert_eq!(w.get("/v3/limits", &ann).await["limits"].as_array().unwrap().len(), 1);
        w.get(&path, &ann).await;
        let q = w.project(&admin, "q").await;
        w.user(&admin, "bob", Some(("reader", &q))).await;
        let bob = w.token(crate::world::password("bob", "bob"), crate::world::project(&q)).await;
        assert_eq!(w.get("/v3/limits", &bob).await["limits"], json!([]));
        w.expect(403, "GET", &path, &bob, Value::Null).await;
        assert_eq!(w.get("/v3/limits/model", &bob).await["model"]["name"], "flat");
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        w.expect(204, "DELETE", &base, &admin, Value::Null).await;
    })
    .await;
}
