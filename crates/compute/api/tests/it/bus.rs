//! Console output, which a host gives over the bus.

use crate::world::{MEMBER, World};
use compute_model::assignment::{ConsoleReply, ConsoleRequest, subject};
use serde_json::json;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn console_output_comes_from_the_host() {
    let w = World::new().await;
    let me = w.as_(MEMBER);
    let id = me.created(json!({})).await;
    let ask = |length| me.act(&id, json!({"os-getConsoleOutput": length}));
    assert_eq!(ask(json!({})).await.fault(409), format!("Instance {id} is not ready"));
    w.all_active().await;
    ask(json!({})).await.fault(503);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let serving = platform_bus::serve(&w.bus, &subject::console("h1"), move |request: ConsoleRequest| {
        seen.lock().unwrap().push(request.lines);
        async move {
            let output = (request.lines != Some(0)).then(|| "login:".to_owned());
            Ok::<_, String>(ConsoleReply { output })
        }
    });
    for length in
        [json!({}), json!({"length": 5}), json!({"length": "7"}), json!({"length": -1}), json!({"length": null})]
    {
        assert_eq!(ask(length).await.expect(200), json!({"output": "login:"}));
    }
    assert_eq!(ask(json!({"length": 0})).await.fault(404), "Guest does not have a console available.");
    assert_eq!(*asked.lock().unwrap(), [None, Some(5), Some(7), None, None, Some(0)]);
    ask(json!({"length": -2})).await.fault(400);
    ask(json!({"length": "x"})).await.fault(400);
    drop(serving);
    ask(json!({})).await.fault(503);
}
