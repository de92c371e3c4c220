//! The REST API: one table of routes, made of each resource's own.

mod domains;
mod grants;
mod groups;
mod inferences;
mod kit;
mod projects;
mod roles;
mod scopes;
mod tokens;
mod users;
mod versions;

use crate::Identity;
use crate::schema;
use base::policy::Target;
use platform_http::{Fault, Reply, Route};
use std::sync::Arc;

pub(crate) fn routes() -> Vec<Route<Identity>> {
    let all = [
        versions::routes(),
        tokens::routes(),
        scopes::routes(),
        domains::routes(),
        projects::routes(),
        users::routes(),
        groups::routes(),
        roles::routes(),
        inferences::routes(),
        grants::routes(),
    ];
    all.into_iter().flatten().map(checked).collect()
}

/// Puts the check of the route's schema before its handler.
fn checked(route: Route<Identity>) -> Route<Identity> {
    let Some(name) = route.schema else { return route };
    assert!(schema::exists(name), "no schema {name}");
    let handler = route.handler.clone();
    let checked = Arc::new(move |me: Identity, call: platform_http::Call| {
        let handler = handler.clone();
        let work: futures_util::future::BoxFuture<'static, Result<Reply, Fault>> = Box::pin(async move {
            schema::check(name, call.json())?;
            handler(me, call).await
        });
        work
    });
    Route { handler: checked, ..route }
}

/// For rules that look at the token only: asked before the handler runs.
fn guarded(route: Route<Identity>) -> Route<Identity> {
    let [rule] = route.policies[..] else { return route };
    let handler = route.handler.clone();
    let guarded = Arc::new(move |me: Identity, call: platform_http::Call| {
        let handler = handler.clone();
        let work: futures_util::future::BoxFuture<'static, Result<Reply, Fault>> = Box::pin(async move {
            me.allow(&call, rule, &Target::new())?;
            handler(me, call).await
        });
        work
    });
    Route { handler: guarded, ..route }
}
