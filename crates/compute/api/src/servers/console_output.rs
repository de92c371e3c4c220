//! The action `os-getConsoleOutput`: asks the server's host for the tail of the guest's console.

use super::{ask_host, find};
use crate::{ComputeApi, input};
use compute_model::assignment::{ConsoleReply, ConsoleRequest, subject};
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;

const POLICY: &str = "os_compute_api:os-console-output";

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::action("/servers/{id}/action", "os-getConsoleOutput", output)
            .policy(&[POLICY])
            .schema("console_output.os-getConsoleOutput"),
    ]
}

async fn output(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, POLICY).await?;
    // none, null and -1 all mean "everything there is"
    let length = input::integer(&call.json()["os-getConsoleOutput"]["length"]);
    let request = ConsoleRequest { instance: instance.id(), lines: length.and_then(|n| u64::try_from(n).ok()) };
    let reply: ConsoleReply = ask_host::ask(&api, &instance, subject::console, &request).await?;
    match reply.output {
        Some(output) => Ok(Reply::json(200, &json!({"output": output}))),
        None => Err(Fault::not_found("Guest does not have a console available.")),
    }
}
