//! Roles: given, inherited, implied, listed.

use crate::world::{World, names, on_each, password, project};
use serde_json::{Value, json};

struct Tree {
    admin: String,
    domain: String,
    parent: String,
    child: String,
    user: String,
    group: String,
}

async fn tree(w: &World) -> Tree {
    let admin = w.admin().await;
    let id = |v: &Value, key: &str| v[key]["id"].as_str().unwrap().to_owned();
    let domain = id(&w.post("/v3/domains", &admin, json!({"domain": {"name": "d"}})).await, "domain");
    let body = json!({"project": {"name": "parent", "domain_id": domain}});
    let parent = id(&w.post("/v3/projects", &admin, body).await, "project");
    let body = json!({"project": {"name": "child", "parent_id": parent, "domain_id": domain}});
    let child = id(&w.post("/v3/projects", &admin, body).await, "project");
    let user = w.user(&admin, "ann", None).await;
    let group = id(&w.post("/v3/groups", &admin, json!({"group": {"name": "g"}})).await, "group");
    w.expect(204, "PUT", &format!("/v3/groups/{group}/users/{user}"), &admin, Value::Null).await;
    Tree { admin, domain, parent, child, user, group }
}

async fn roles_on(w: &World, scope: Value) -> Option<Vec<String>> {
    let reply = w.log_in(password("ann", "ann"), scope).await;
    (reply.status == 201).then(|| names(&reply.body["token"]["roles"]))
}

#[tokio::test]
async fn what_is_given_to_groups_and_inherited_reaches_tokens() {
    on_each(|w| async move {
        let t = tree(&w).await;
        let role = w.role(&t.admin, "member").await;
        let put = async |path: String| w.expect(204, "PUT", &path, &t.admin, Value::Null).await;
        assert_eq!(roles_on(&w, project(&t.child)).await, None);
        let inherit =
            format!("/v3/OS-INHERIT/domains/{}/groups/{}/roles/{role}/inherited_to_projects", t.domain, t.group);
        put(inherit.clone()).await;
        w.expect(204, "HEAD", &inherit, &t.admin, Value::Null).await;
        let both = Some(vec!["member".to_owned(), "reader".to_owned()]);
        assert_eq!(roles_on(&w, project(&t.parent)).await, both);
        assert_eq!(roles_on(&w, project(&t.child)).await, both);
        assert_eq!(roles_on(&w, json!({"domain": {"id": t.domain}})).await, None, "not for the domain itself");
        let token = w.token(password("ann", "ann"), project(&t.child)).await;
        assert_eq!(names(&w.get("/v3/auth/projects", &token).await["projects"]), ["child", "parent"]);
        assert_eq!(
            names(&w.get(&format!("/v3/users/{}/projects", t.user), &token).await["projects"]),
            ["child", "parent"]
        );
        assert_eq!(w.get("/v3/auth/domains", &token).await["domains"], json!([]));
        assert_eq!(w.get("/v3/auth/system", &token).await["system"], json!([]));
        w.expect(204, "DELETE", &inherit, &t.admin, Value::Null).await;
        assert!(!w.is_good(&token).await, "a token without roles is none");
        w.expect(404, "DELETE", &inherit, &t.admin, Value::Null).await;

        let inherit =
            format!("/v3/OS-INHERIT/projects/{}/users/{}/roles/{role}/inherited_to_projects", t.parent, t.user);
        put(inherit).await;
        assert_eq!(roles_on(&w, project(&t.parent)).await, None);
        assert_eq!(roles_on(&w, project(&t.child)).await, both);
        let system = format!("/v3/system/groups/{}/roles/{role}", t.group);
        put(system.clone()).await;
        assert_eq!(roles_on(&w, json!({"system": {"all": true}})).await, both);
        assert_eq!(names(&w.get(&format!("/v3/system/groups/{}/roles", t.group), &t.admin).await["roles"]), ["member"]);
        w.expect(204, "DELETE", &system, &t.admin, Value::Null).await;
        assert_eq!(roles_on(&w, json!({"system": {"all": true}})).await, None);
    })
    .await;
}

#[tokio::test]
async fn grants_answer_as_keystone_does() {
    on_each(|w| async move {
        let t = tree(&w).await;
        let role = w.role(&t.admin, "reader").await;
        let base = format!("/v3/projects/{}/users/{}/roles", t.parent, t.user);
        let one = format!("{base}/{role}");
        w.expect(404, "HEAD", &one, &t.admin, Value::Null).await;
        w.expect(204, "PUT", &one, &t.admin, Value::Null).await;
        w.expect(204, "PUT", &one, &t.admin, Value::Null).await;
        assert_eq!(names(&w.get(&base, &t.admin).await["roles"]), ["reader"]);
        for bad in [
            format!("/v3/projects/nope/users/{}/roles/{role}", t.user),
            format!("/v3/projects/{}/users/nope/roles/{role}", t.parent),
            format!("{base}/nope"),
        ] {
            w.expect(404, "PUT", &bad, &t.admin, Value::Null).await;
        }
        w.expect(204, "DELETE", &one, &t.admin, Value::Null).await;
        w.expect(404, "DELETE", &one, &t.admin, Value::Null).await;
        // a role of one domain is for that domain's projects
        let body = json!({"role": {"name": "special", "domain_id": "default"}});
        let special = w.post("/v3/roles", &t.admin, body).await["role"]["id"].as_str().unwrap().to_owned();
        w.expect(403, "PUT", &format!("{base}/{special}"), &t.admin, Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn implied_roles_come_and_go() {
    on_each(|w| async move {
        let t = tree(&w).await;
        let make = async |name: &str| {
            let body = json!({"role": {"name": name}});
            w.post("/v3/roles", &t.admin, body).await["role"]["id"].as_str().unwrap().to_owned()
        };
        let (prior, implied) = (make("prior").await, make("implied").await);
        let rule = format!("/v3/roles/{prior}/implies/{implied}");
        let made = w.expect(201, "PUT", &rule, &t.admin, Value::Null).await;
        assert_eq!(made["role_inference"]["implies"]["name"], "implied");
        w.expect(204, "HEAD", &rule, &t.admin, Value::Null).await;
        w.expect(
            204,
            "PUT",
            &format!("/v3/projects/{}/users/{}/roles/{prior}", t.child, t.user),
            &t.admin,
            Value::Null,
        )
        .await;
        assert_eq!(roles_on(&w, project(&t.child)).await, Some(vec!["implied".into(), "prior".into()]));
        let all = w.get("/v3/role_inferences", &t.admin).await;
        assert_eq!(all["role_inferences"].as_array().unwrap().len(), 4, "the three of the start, and ours");
        w.expect(204, "DELETE", &rule, &t.admin, Value::Null).await;
        w.expect(404, "GET", &rule, &t.admin, Value::Null).await;
        assert_eq!(roles_on(&w, project(&t.child)).await, Some(vec!["prior".into()]));
        let root = w.role(&t.admin, "admin").await;
        w.expect(403, "PUT", &format!("/v3/roles/{prior}/implies/{root}"), &t.admin, Value::Null).await;
        w.expect(403, "DELETE", &format!("/v3/roles/{root}"), &t.admin, Value::Null).await;
        w.expect(204, "DELETE", &format!("/v3/roles/{prior}"), &t.admin, Value::Null).await;
        assert_eq!(roles_on(&w, project(&t.child)).await, None);
    })
    .await;
}

#[tokio::test]
async fn assignments_are_listed_stored_and_effective() {
    on_each(|w| async move {
        let t = tree(&w).await;
        let role = w.role(&t.admin, "member").await;
        let inherit =
            format!("/v3/OS-INHERIT/domains/{}/groups/{}/roles/{role}/inherited_to_projects", t.domain, t.group);
        w.expect(204, "PUT", &inherit, &t.admin, Value::Null).await;
        let list = async |query: &str| {
            w.get(&format!("/v3/role_assignments?{query}"), &t.admin).await["role_assignments"]
                .as_array()
                .unwrap()
                .clone()
        };
        let stored = list(&format!("group.id={}", t.group)).await;
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0]["scope"], json!({"domain": {"id": t.domain}, "OS-INHERIT:inherited_to": "projects"}));
        assert_eq!(stored[0]["links"]["assignment"], format!("http://cloud{inherit}"));
        assert_eq!(list(&format!("user.id={}", t.user)).await.len(), 0);
        assert_eq!(list("scope.OS-INHERIT:inherited_to=projects").await.len(), 1);
        assert_eq!(list("scope.system=all").await.len(), 1);
        assert_eq!(list(&format!("role.id={role}")).await.len(), 1);
        let effective = list(&format!("user.id={}&effective", t.user)).await;
        assert_eq!(effective.len(), 4, "member and reader on two projects: {effective:?}");
        let one = list(&format!("user.id={}&effective&include_names&scope.project.id={}", t.user, t.child)).await;
        assert_eq!(one.len(), 2);
        let member = one.iter().find(|a| a["role"]["name"] == "member").unwrap();
        assert_eq!(
            member["user"],
            json!({"id": t.user, "name": "ann", "domain": {"id": "default", "name": "Default"}})
        );
        assert_eq!(member["scope"]["project"]["domain"]["name"], "d");
        assert_eq!(member["links"]["membership"], format!("http://cloud/v3/groups/{}/users/{}", t.group, t.user));
        for bad in
            ["user.id=a&group.id=b", "scope.project.id=a&scope.domain.id=b", "effective&group.id=g", "include_subtree"]
        {
            w.expect(400, "GET", &format!("/v3/role_assignments?{bad}"), &t.admin, Value::Null).await;
        }
        let direct = format!("/v3/projects/{}/users/{}/roles/{role}", t.child, t.user);
        w.expect(204, "PUT", &direct, &t.admin, Value::Null).await;
        assert_eq!(list(&format!("scope.project.id={}&include_subtree=true", t.parent)).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_domain_s_manager_manages_that_domain_and_no_more() {
    on_each(|w| async move {
        let t = tree(&w).await;
        let manager = w.role(&t.admin, "manager").await;
        let body = json!({"user": {"name": "boss", "domain_id": t.domain, "password": "boss"}});
        let boss = w.post("/v3/users", &t.admin, body).await["user"]["id"].as_str().unwrap().to_owned();
        let grant = format!("/v3/domains/{}/users/{boss}/roles/{manager}", t.domain);
        w.expect(204, "PUT", &grant, &t.admin, Value::Null).await;
        let who = json!({"methods": ["password"], "password": {"user": {"id": boss, "password": "boss"}}});
        let token = w.token(who, json!({"domain": {"id": t.domain}})).await;
        w.expect(403, "POST", "/v3/users", &token, json!({"user": {"name": "new"}})).await;
        let body = json!({"user": {"name": "new", "domain_id": t.domain}});
        let made = w.post("/v3/users", &token, body).await["user"].clone();
        assert_eq!(made["domain_id"], t.domain.as_str());
        assert_eq!(names(&w.get("/v3/users", &token).await["users"]), ["boss", "new"]);
        assert_eq!(names(&w.get("/v3/projects", &token).await["projects"]), ["child", "parent"]);
        w.expect(403, "POST", "/v3/users", &token, json!({"user": {"name": "x", "domain_id": "default"}})).await;
        w.expect(403, "GET", &format!("/v3/users/{}", t.user), &token, Value::Null).await;
        w.expect(403, "GET", "/v3/users?domain_id=default", &token, Value::Null).await;
        let member = w.role(&t.admin, "member").await;
        let own = format!("/v3/projects/{}/users/{}/roles", t.parent, made["id"].as_str().unwrap());
        w.expect(204, "PUT", &format!("{own}/{member}"), &token, Value::Null).await;
        let root = w.role(&t.admin, "admin").await;
        w.expect(403, "PUT", &format!("{own}/{root}"), &token, Value::Null).await;
        w.expect(403, "POST", "/v3/domains", &token, json!({"domain": {"name": "mine"}})).await;
    })
    .await;
}
