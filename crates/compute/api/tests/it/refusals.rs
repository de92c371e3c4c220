//! What every call refuses, and what this cloud does not have.

use crate::world::{ADMIN, MEMBER, OTHER, PROJECT, World};
use serde_json::json;

#[tokio::test]
async fn the_url_s_project_must_be_the_token_s() {
    let w = World::new().await;
    w.as_(MEMBER).below(PROJECT).get("/servers").await.expect(200);
    let why = w.as_(MEMBER).below(OTHER).get("/servers").await.fault(400);
    assert_eq!(
        why,
        format!("Malformed request URL: URL's project_id '{OTHER}' doesn't match Context's project_id '{PROJECT}'")
    );
    w.as_(MEMBER).below("Not-Hex").get("/servers").await.fault(404);
}

#[tokio::test]
async fn known_actions_are_refused_honestly() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    w.all_active().await;
    let image = w.image.id.to_string();
    for action in [
        json!({"createImage": {"name": "snap"}}),
        json!({"rebuild": {"imageRef": image}}),
        json!({"resize": {"flavorRef": "1"}}),
        json!({"shelve": null}),
        json!({"rescue": null}),
        json!({"changePassword": {"adminPass": "x"}}),
        json!({"addSecurityGroup": {"name": "x"}}),
    ] {
        let why = me.act(&id, action.clone()).await.fault(501);
        assert!(why.starts_with("The requested functionality is not supported"), "{action}: {why}");
    }
    // what could never be done to a server in this state is refused for that
    for (action, name) in [
        (json!({"confirmResize": null}), "confirmResize"),
        (json!({"revertResize": null}), "revertResize"),
        (json!({"unrescue": null}), "unrescue"),
        (json!({"restore": null}), "restore"),
        (json!({"unshelve": null}), "unshelve"),
    ] {
        let why = me.act(&id, action).await.fault(409);
        assert_eq!(why, format!("Cannot '{name}' instance {id} while it is in vm_state active"));
    }
    me.act(&id, json!({"rebuild": {}})).await.fault(400);
    me.act(&id, json!({"migrate": null})).await.fault(403);
    w.as_(ADMIN).act(&id, json!({"migrate": null})).await.fault(501);
    me.act(&id, json!({"resetNetwork": null})).await.fault(410);
    me.act(&id, json!({"addFixedIp": {"networkId": "x"}})).await.fault(404);
    me.act(&id, json!({"os-getVNCConsole": {"type": "novnc"}})).await.fault(404);
    let vnc = me.at(5).act(&id, json!({"os-getVNCConsole": {"type": "novnc"}})).await.fault(400);
    assert_eq!(vnc, "Unavailable console type novnc.");
    let console = json!({"remote_console": {"protocol": "serial", "type": "serial"}});
    let why = me.post(&format!("/servers/{id}/remote-consoles"), console).await.fault(400);
    assert_eq!(why, "Unavailable console type serial.");
    assert_eq!(me.act(&id, json!({"dance": null})).await.fault(400), "There is no such action: dance");
    assert_eq!(me.act(&id, json!({"pause": null, "lock": null})).await.fault(400), "Malformed request body");
    me.get(&format!("/servers/{id}/consoles")).await.fault(410);
    me.at(16).act(&id, json!({"trigger_crash_dump": null})).await.fault(400);
}

#[tokio::test]
async fn bad_bodies() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let long = "n".repeat(256);
    for more in [
        json!({"name": ""}),
        json!({"name": "  "}),
        json!({"name": "tab\u{9}"}),
        json!({"name": long}),
        json!({"flavorRef": null}),
        json!({"min_count": -1}),
        json!({"max_count": 0}),
        json!({"min_count": "99999999999999999999999999"}),
        json!({"user_data": "not base64!"}),
        json!({"metadata": {"k": {}}}),
        json!({"config_drive": "perhaps"}),
        json!({"tags": ["a/b"]}),
        json!({"hostname": "under score!"}),
        json!({"accessIPv4": "300.1.1.1"}),
        json!({"imageRef": "not-a-uuid"}),
        json!({"unknown": 1}),
        json!({"trusted_image_certificates": []}),
    ] {
        let status = me.create(more.clone()).await.status;
        assert!(matches!(status, 400), "{more}: {status}");
    }
    for body in [json!(null), json!([]), json!({}), json!({"server": null}), json!({"server": "x"})] {
        me.post("/servers", body).await.fault(400);
    }
    assert_eq!(w.usage().await, (0, 0, 0));
    me.send("PATCH", "/servers", Some(json!({}))).await.fault(405);
    me.post("/servers", json!({"server": {"name": "x".repeat(200_000)}})).await.fault(413);
}

#[tokio::test]
async fn the_old_alias_ends_with_2_102() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    let old = me.at(102).get(&format!("/os-volumes_boot/{id}")).await.expect(200);
    assert_eq!(old["server"]["id"], id);
    me.get(&format!("/os-volumes_boot/{id}")).await.fault(404);
}
