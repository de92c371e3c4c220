//! Projects, domains, tags, domain options.

use crate::world::{World, admin_project, names, on_each, password, project};
use serde_json::{Value, json};

async fn make(w: &World, admin: &str, body: Value) -> Value {
    w.post("/v3/projects", admin, json!({"project": body})).await["project"].clone()
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_project_from_making_to_removing() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let made = make(&w, &admin, json!({"name": "web", "description": "d", "tags": ["b", "a"], "made_up": 7})).await;
        let id = id(&made);
        assert_eq!(made["domain_id"], "default");
        assert_eq!(made["parent_id"], "default");
        assert_eq!((&made["is_domain"], &made["enabled"]), (&json!(false), &json!(true)));
        assert_eq!((&made["made_up"], &made["tags"]), (&json!(7), &json!(["a", "b"])));
        assert_eq!(made["links"]["self"], format!("http://cloud/v3/projects/{id}"));
        let path = format!("/v3/projects/{id}");
        assert_eq!(w.get(&path, &admin).await["project"], made);
        let taken = w.expect(409, "POST", "/v3/projects", &admin, json!({"project": {"name": "web"}})).await;
        assert!(taken["error"]["message"].as_str().unwrap().contains("two projects with the same name"));

        let change = json!({"project": {"name": "web2", "enabled": false, "extra": "x"}});
        let changed = w.expect(200, "PATCH", &path, &admin, change).await;
        assert_eq!((&changed["project"]["name"], &changed["project"]["made_up"]), (&json!("web2"), &json!(7)));
        for (bad, status) in [
            (json!({"project": {"domain_id": "other"}}), 400),
            (json!({"project": {"parent_id": "other"}}), 403),
            (json!({"project": {"is_domain": true}}), 400),
            (json!({"project": {"name": ""}}), 400),
            (json!({"project": {"name": "a".repeat(65)}}), 400),
        ] {
            w.expect(status, "PATCH", &path, &admin, bad).await;
        }
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        w.expect(404, "GET", &path, &admin, Value::Null).await;
        w.expect(404, "DELETE", &path, &admin, Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn lists_are_filtered() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let a = make(&w, &admin, json!({"name": "alpha", "tags": ["x", "y"]})).await;
        make(&w, &admin, json!({"name": "beta", "enabled": false, "tags": ["y"]})).await;
        make(&w, &admin, json!({"name": "alpine", "parent_id": a["id"]})).await;
        let list = async |query: &str| names(&w.get(&format!("/v3/projects{query}"), &admin).await["projects"]);
        assert_eq!(list("").await, ["admin", "alpha", "alpine", "beta"]);
        assert_eq!(list("?name=beta").await, ["beta"]);
        assert_eq!(list("?enabled=false").await, ["beta"]);
        assert_eq!(list("?enabled").await, ["admin", "alpha", "alpine"]);
        assert_eq!(list(&format!("?parent_id={}", id(&a))).await, ["alpine"]);
        assert_eq!(list("?name__startswith=alp").await, ["alpha", "alpine"]);
        assert_eq!(list("?tags=x,y").await, ["alpha"]);
        assert_eq!(list("?tags-any=x,y").await, ["alpha", "beta"]);
        assert_eq!(list("?not-tags-any=x,y").await, ["admin", "alpine"]);
        assert_eq!(list("?is_domain=true").await, ["Default"]);
        assert_eq!(list("?domain_id=nope").await, Vec::<String>::new());
        assert_eq!(list("?unknown=ignored").await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn trees_have_a_depth_and_a_shape() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let mut ids = Vec::new();
        let mut parent = json!("default");
        for depth in 0..5 {
            let made = make(&w, &admin, json!({"name": format!("p{depth}"), "parent_id": parent})).await;
            ids.push(id(&made));
            parent = made["id"].clone();
        }
        w.expect(403, "POST", "/v3/projects", &admin, json!({"project": {"name": "deep", "parent_id": parent}})).await;
        let shown = w.get(&format!("/v3/projects/{}?subtree_as_ids&parents_as_ids", ids[1]), &admin).await;
        assert_eq!(shown["project"]["subtree"], json!({&*ids[2]: {&*ids[3]: {&*ids[4]: null}}}));
        assert_eq!(shown["project"]["parents"], json!({&*ids[0]: {"default": null}}));
        w.expect(403, "DELETE", &format!("/v3/projects/{}", ids[1]), &admin, Value::Null).await;
        let off = json!({"project": {"enabled": false}});
        w.expect(403, "PATCH", &format!("/v3/projects/{}", ids[2]), &admin, off.clone()).await;
        w.expect(200, "PATCH", &format!("/v3/projects/{}", ids[4]), &admin, off.clone()).await;
        w.expect(200, "PATCH", &format!("/v3/projects/{}", ids[3]), &admin, off.clone()).await;
        w.expect(200, "PATCH", &format!("/v3/projects/{}", ids[2]), &admin, off).await;
        let on = json!({"project": {"enabled": true}});
        w.expect(403, "PATCH", &format!("/v3/projects/{}", ids[3]), &admin, on).await;
        let under = json!({"project": {"name": "x", "parent_id": ids[2]}});
        w.expect(400, "POST", "/v3/projects", &admin, under).await;
        // as lists they show only what the caller may use
        w.user(&admin, "sub", Some(("reader", &ids[3]))).await;
        let me = w.log_in(password("sub", "sub"), project(&ids[3])).await;
        assert_eq!(me.status, 401, "disabled");
    })
    .await;
}

#[tokio::test]
async fn domains_are_emptied_with_all_they_hold() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let made = w.post("/v3/domains", &admin, json!({"domain": {"name": "acme"}})).await["domain"].clone();
        let domain = id(&made);
        w.expect(409, "POST", "/v3/domains", &admin, json!({"domain": {"name": "acme"}})).await;
        let as_project = w.get(&format!("/v3/projects/{domain}"), &admin).await;
        assert_eq!(
            (&as_project["project"]["is_domain"], &as_project["project"]["domain_id"]),
            (&json!(true), &Value::Null)
        );
        let p = make(&w, &admin, json!({"name": "p", "domain_id": domain})).await;
        for parent in [&p["id"], &json!(domain)] {
            // the domain is that of the token, unless one is named
            let q = json!({"project": {"name": "q", "parent_id": parent}});
            w.expect(400, "POST", "/v3/projects", &admin, q).await;
        }
        make(&w, &admin, json!({"name": "q", "parent_id": p["id"], "domain_id": domain})).await;
        let user = json!({"user": {"name": "u", "domain_id": domain, "password": "u"}});
        let user = w.post("/v3/users", &admin, user).await["user"]["id"].as_str().unwrap().to_owned();
        let group = json!({"group": {"name": "g", "domain_id": domain}});
        let group = w.post("/v3/groups", &admin, group).await["group"]["id"].as_str().unwrap().to_owned();
        w.post("/v3/roles", &admin, json!({"role": {"name": "r", "domain_id": domain}})).await;
        let reader = w.role(&admin, "reader").await;
        for path in [format!("users/{user}"), format!("groups/{group}")] {
            let grant = format!("/v3/projects/{}/{path}/roles/{reader}", id(&p));
            w.expect(204, "PUT", &grant, &admin, Value::Null).await;
        }
        let path = format!("/v3/domains/{domain}");
        let config = json!({"config": {"identity": {"driver": "sql"}, "ldap": {"password": "secret", "url": "u"}}});
        let shown = w.expect(201, "PUT", &format!("{path}/config"), &admin, config).await;
        assert_eq!(shown, json!({"config": {"identity": {"driver": "sql"}, "ldap": {"url": "u"}}}), "no password");
        w.expect(404, "GET", &format!("{path}/config/ldap/password"), &admin, Value::Null).await;
        w.expect(403, "GET", &format!("{path}/config/ldap/nonsense"), &admin, Value::Null).await;

        let scope = json!({"project": {"id": p["id"]}});
        let who = json!({"methods": ["password"], "password": {"user": {"id": user, "password": "u"}}});
        let token = w.token(who.clone(), scope.clone()).await;
        w.expect(403, "DELETE", &path, &admin, Value::Null).await;
        w.expect(200, "PATCH", &path, &admin, json!({"domain": {"enabled": false}})).await;
        assert!(!w.is_good(&token).await);
        assert_eq!(w.log_in(who, scope).await.status, 401);
        w.expect(204, "DELETE", &path, &admin, Value::Null).await;
        for gone in [format!("users/{user}"), format!("groups/{group}"), format!("projects/{}", id(&p))] {
            w.expect(404, "GET", &format!("/v3/{gone}"), &admin, Value::Null).await;
        }
        let left = w.get("/v3/role_assignments", &admin).await;
        assert_eq!(left["role_assignments"].as_array().unwrap().len(), 2, "the admin's own");
        assert!(w.is_good(&w.token(password("admin", crate::world::PASSWORD), admin_project()).await).await);
    })
    .await;
}

#[tokio::test]
async fn tags() {
    on_each(|w| async move {
        let admin = w.admin().await;
        let p = w.project(&admin, "tagged").await;
        let all = format!("/v3/projects/{p}/tags");
        assert_eq!(w.expect(200, "PUT", &all, &admin, json!({"tags": ["b", "a"]})).await["tags"], json!(["a", "b"]));
        w.expect(201, "PUT", &format!("{all}/c%20d"), &admin, Value::Null).await;
        assert_eq!(w.get(&all, &admin).await["tags"], json!(["a", "b", "c d"]));
        w.expect(204, "GET", &format!("{all}/a"), &admin, Value::Null).await;
        w.expect(204, "HEAD", &format!("{all}/a"), &admin, Value::Null).await;
        w.expect(404, "GET", &format!("{all}/z"), &admin, Value::Null).await;
        w.expect(204, "DELETE", &format!("{all}/a"), &admin, Value::Null).await;
        w.expect(404, "DELETE", &format!("{all}/a"), &admin, Value::Null).await;
        w.expect(400, "PUT", &all, &admin, json!({"tags": ["x,y"]})).await;
        w.expect(400, "PUT", &all, &admin, json!({"tags": ["x", "x"]})).await;
        w.expect(400, "PUT", &format!("{all}/x,y"), &admin, Value::Null).await;
        w.expect(204, "DELETE", &all, &admin, Value::Null).await;
        assert_eq!(w.get(&all, &admin).await["tags"], json!([]));
    })
    .await;
}
