//! Every request that changes something tells the audit, whatever its handler does.

use crate::Identity;
use crate::audit::{Change, Event, Initiator, change};
use http_body_util::BodyExt;
use platform_http::{Access, Body, Call, Fault, Reply, Route};
use serde_json::Value;
use std::sync::Arc;

/// Puts the event behind the route's handler. Done, or refused to somebody: what is merely wrong is no event.
pub(super) fn audited(route: Route<Identity>) -> Route<Identity> {
    // the open ones tell of themselves: who asks is what they find out
    let Some(change) = change(&route.method, route.path).filter(|_| route.access != Access::Open) else { return route };
    let names: Arc<[String]> = parameters(route.path).into();
    let handler = route.handler.clone();
    let audited = Arc::new(move |me: Identity, call: Call| {
        let (handler, names) = (handler.clone(), names.clone());
        let work: futures_util::future::BoxFuture<'static, Result<Reply, Fault>> = Box::pin(async move {
            let initiator = me.initiator(&call);
            let params: Vec<(String, String)> =
                names.iter().map(|name| (name.clone(), call.param(name).to_owned())).collect();
            match handler(me.clone(), call).await {
                Ok(reply) if change.id.is_none() => {
                    let (reply, id) = with_id(reply).await?;
                    tell(&me, &change, &initiator, params, id, None);
                    Ok(reply)
                }
                Ok(reply) => {
                    tell(&me, &change, &initiator, params, None, None);
                    Ok(reply)
                }
                Err(fault) => {
                    if matches!(fault.status.as_u16(), 401 | 403) {
                        let why = fault.status.canonical_reason().unwrap_or_default();
                        tell(&me, &change, &initiator, params, None, Some((fault.status.as_u16(), why)));
                    }
                    Err(fault)
                }
            }
        });
        work
    });
    Route { handler: audited, ..route }
}

impl Identity {
    pub(super) fn initiator(&self, call: &Call) -> Initiator {
        Initiator::of(&call.cx, call.client(&self.0.config.trusted_proxies), call.header("user-agent"))
    }
}

fn tell(
    me: &Identity,
    change: &Change,
    initiator: &Initiator,
    mut params: Vec<(String, String)>,
    made: Option<String>,
    refused: Option<(u16, &str)>,
) {
    let own = params.iter().position(|(name, _)| Some(name.as_str()) == change.id).map(|at| params.remove(at).1);
    let event = Event {
        action: format!("{}.{}", change.operation, change.resource),
        initiator,
        target: (change.kind, made.or(own)),
        about: &params,
        refused,
    };
    me.0.audit.tell(&event, me.now());
}

/// `{user_id}` and its like.
fn parameters(path: &str) -> Vec<String> {
    let braced = |s: &str| s.strip_prefix('{').and_then(|s| s.strip_suffix('}')).map(str::to_owned);
    path.split('/').filter_map(braced).collect()
}

/// What was made has its id in the answer: `{"user": {"id": …}}`, or a list of several.
async fn with_id(reply: Reply) -> Result<(Reply, Option<String>), Fault> {
    let Reply { status, headers, body } = reply;
    let bytes = body.collect().await.map_err(|e| Fault::internal(&*e.into_inner()))?.to_bytes();
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let id_of = |v: &Value| v["id"].as_str().or(v["access"].as_str()).map(str::to_owned);
    let made = value.as_object().and_then(|o| o.values().find(|v| id_of(v).is_some() || v.is_array()));
    let id = match made {
        Some(Value::Array(several)) => Some(several.iter().filter_map(id_of).collect::<Vec<_>>().join(",")),
        Some(one) => id_of(one),
        None => None,
    };
    Ok((Reply { status, headers, body: Body::from(bytes) }, id))
}
