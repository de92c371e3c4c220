//! The action `os-getConsoleOutput`: asks the server's host for the tail of the guest's console.

use super::find;
use crate::{ComputeApi, input};
use compute_model::actions::Forbidden;
use compute_model::assignment::{ConsoleReply, ConsoleRequest, subject};
use platform_bus::BusError;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::json;
use std::time::Duration;

const POLICY: &str = "os_compute_api:os-console-output";
/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::action("/servers/{id}/action", "os-getConsoleOutput", output)
            .policy(&[POLICY])
            .schema("console_output.os-getConsoleOutput"),
    ]
}

async fn output(api: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let instance = find::live(&api, &call, POLICY).await?;
    let Some(host) = &instance.host else { return Err(find::refused(Forbidden::NotReady(instance.id()))) };
    // none, null and -1 all mean "everything there is"
    let length = input::integer(&call.json()["os-getConsoleOutput"]["length"]);
    let request = ConsoleRequest { instance: instance.id(), lines: length.and_then(|n| u64::try_from(n).ok()) };
    let reply: Result<ConsoleReply, _> =
        platform_bus::call(api.bus.as_ref(), &subject::console(host), &request, PATIENCE).await;
    match reply {
        Ok(ConsoleReply { output: Some(output) }) => Ok(Reply::json(200, &json!({"output": output}))),
        Ok(ConsoleReply { output: None }) => Err(Fault::not_found("Guest does not have a console available.")),
        Err(error @ (BusError::NobodyThere { .. } | BusError::Away { .. } | BusError::Silent { .. })) => {
            tracing::warn!(host, %error, "host {host} does not answer for the console of {}", instance.uuid);
            Err(Fault::unavailable("The server's host does not answer."))
        }
        Err(error) => Err(Fault::internal(&error)),
    }
}
