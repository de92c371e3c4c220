//! Requests as a client makes them, to the very handlers of the real API.

use crate::cloud::Cloud;
use crate::database::FLAVORS;
use crate::dice::Dice;
use crate::stand_ins::IMAGE;
use crate::trace::Trace;
use compute_api::ComputeApi;
use http_body_util::BodyExt;
use platform_db::{DbError, args};
use platform_http::{Body, Service};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) const PROJECTS: &[&str] = &["p0", "p1"];

/// What a client may do; how often is in `chaos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    Create,
    CreateSome,
    /// Of one project: two at once, of which the second asks while the first is on its way.
    Delete,
    DeleteTwice,
    ForceDelete,
    Start,
    Stop,
    RebootSoft,
    RebootHard,
    Pause,
    Unpause,
    Suspend,
    Resume,
    DisableHost,
    EnableHost,
    List,
}

/// A request to be sent.
struct Request {
    method: &'static str,
    path: String,
    project: &'static str,
    body: Option<Value>,
}

impl Cloud {
    /// Sends what `what` means for a server or host chosen by the dice. Does not wait for the answer.
    pub(crate) async fn ask(&self, what: Do, dice: &mut Dice) -> Result<(), DbError> {
        let requests = match what {
            Do::Create => vec![create(dice, 1)],
            Do::CreateSome => {
                let count = 2 + dice.below(6);
                vec![create(dice, count)]
            }
            Do::DisableHost | Do::EnableHost => {
                self.switch_host(what == Do::DisableHost, dice).await?.into_iter().collect()
            }
            Do::List => {
                vec![Request { method: "GET", path: "/servers/detail".into(), project: PROJECTS[0], body: None }]
            }
            _ => self.about_server(what, dice).await?,
        };
        for request in requests {
            self.send(request);
        }
        Ok(())
    }

    async fn about_server(&self, what: Do, dice: &mut Dice) -> Result<Vec<Request>, DbError> {
        let sql = "SELECT uuid, project_id FROM instances WHERE deleted_at IS NULL ORDER BY updated_at DESC, uuid";
        let servers: Vec<(String, String)> = self.db.fetch_all(sql, args![]).await?;
        // sooner one that something has just been done to: that is where things meet
        let most = 1 + dice.below(servers.len());
        let Some((id, owner)) = servers.get(dice.below(most)) else { return Ok(Vec::new()) };
        let project = PROJECTS.iter().find(|p| *p == owner).copied().unwrap_or_default();
        let action =
            |body: Value| Request { method: "POST", path: format!("/servers/{id}/action"), project, body: Some(body) };
        let delete = || Request { method: "DELETE", path: format!("/servers/{id}"), project, body: None };
        Ok(match what {
            Do::Delete => vec![delete()],
            Do::DeleteTwice => vec![delete(), delete()],
            Do::ForceDelete => vec![action(json!({"forceDelete": null}))],
            Do::Start => vec![action(json!({"os-start": null}))],
            Do::Stop => vec![action(json!({"os-stop": null}))],
            Do::RebootSoft => vec![action(json!({"reboot": {"type": "SOFT"}}))],
            Do::RebootHard => vec![action(json!({"reboot": {"type": "HARD"}}))],
            Do::Pause => vec![action(json!({"pause": null}))],
            Do::Unpause => vec![action(json!({"unpause": null}))],
            Do::Suspend => vec![action(json!({"suspend": null}))],
            Do::Resume => vec![action(json!({"resume": null}))],
            Do::Create | Do::CreateSome | Do::DisableHost | Do::EnableHost | Do::List => Vec::new(),
        })
    }

    async fn switch_host(&self, disable: bool, dice: &mut Dice) -> Result<Option<Request>, DbError> {
        let sql = "SELECT uuid FROM compute_services WHERE \"binary\" = 'nova-compute' ORDER BY host";
        let services: Vec<(String,)> = self.db.fetch_all(sql, args![]).await?;
        let status = if disable { "disabled" } else { "enabled" };
        Ok(dice.pick(&services).map(|(id,)| Request {
            method: "PUT",
            path: format!("/os-services/{id}"),
            project: PROJECTS[0],
            body: Some(json!({"status": status})),
        }))
    }

    /// Enables every host again.
    pub(crate) async fn enable_hosts(&self) -> Result<(), DbError> {
        let sql = "SELECT uuid FROM compute_services WHERE \"binary\" = 'nova-compute' ORDER BY host";
        let services: Vec<(String,)> = self.db.fetch_all(sql, args![]).await?;
        for (id,) in services {
            let body = Some(json!({"status": "enabled"}));
            self.send(Request { method: "PUT", path: format!("/os-services/{id}"), project: PROJECTS[0], body });
        }
        Ok(())
    }

    fn send(&self, r: Request) {
        let (api, trace, asked) = (self.api.clone(), self.trace.clone(), self.asked.clone());
        asked.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            answer(&api, &trace, r).await;
            asked.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Asks as the first project's administrator, and waits for the answer's body.
    pub(crate) async fn call(&self, method: &'static str, path: String, body: Option<Value>) -> Value {
        answer(&self.api, &self.trace, Request { method, path, project: PROJECTS[0], body }).await
    }
}

async fn answer(api: &Arc<Service<ComputeApi>>, trace: &Trace, r: Request) -> Value {
    let what = format!("{} {} {}", r.method, r.path, r.body.as_ref().map(Value::to_string).unwrap_or_default());
    trace.event(format_args!("REQUEST {what}"));
    let request = http::Request::builder()
        .method(r.method)
        .uri(format!("/compute/v2.1{}", r.path))
        .header("host", "cloud")
        .header("x-auth-token", r.project)
        .header("openstack-api-version", "compute 2.74")
        .header("content-type", "application/json")
        .body(r.body.map_or_else(Body::empty, |b| Body::from(b.to_string())));
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            trace.broken(format!("{what}: not a request: {error}"));
            return Value::Null;
        }
    };
    let response = api.clone().handle("/compute", request).await;
    let status = response.status();
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            trace.broken(format!("{what}: {error}"));
            return Value::Null;
        }
    };
    trace.event(format_args!("ANSWER {} to {what}", status.as_u16()));
    if status.is_server_error() {
        trace.broken(format!("I0: {what} is answered {status}: {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).unwrap_or_default()
}

fn create(dice: &mut Dice, count: usize) -> Request {
    let flavor = dice.pick(FLAVORS).map_or("s", |f| f.0);
    let project = dice.pick(PROJECTS).copied().unwrap_or_default();
    let body = json!({"server": {
        "name": "vm", "imageRef": IMAGE, "flavorRef": flavor, "networks": "none", "adminPass": "secret",
        "min_count": count, "max_count": count,
    }});
    Request { method: "POST", path: "/servers".into(), project, body: Some(body) }
}
