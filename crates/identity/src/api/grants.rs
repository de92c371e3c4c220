//! Roles given to users and groups: on projects and domains, on the system, and inherited by projects below.

use super::kit::{Answer, collection, no_content, to};
use super::{guarded, roles};
use crate::store::assignments::{self, Actor, On};
use crate::store::groups;
use crate::store::projects;
use crate::store::roles::{self as role_rows, RoleRow};
use crate::store::users;
use crate::{Error, Identity};
use base::policy::Target;
use platform_http::{Call, Method, Route};

/// Lists of what is given directly, or to be inherited.
const LISTS: [&str; 8] = [
    "/v3/projects/{project_id}/users/{user_id}/roles",
    "/v3/projects/{project_id}/groups/{group_id}/roles",
    "/v3/domains/{domain_id}/users/{user_id}/roles",
    "/v3/domains/{domain_id}/groups/{group_id}/roles",
    "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/inherited_to_projects",
    "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/inherited_to_projects",
    "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/inherited_to_projects",
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects",
];

const GRANTS: [&str; 8] = [
    "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}",
    "/v3/projects/{project_id}/groups/{group_id}/roles/{role_id}",
    "/v3/domains/{domain_id}/users/{user_id}/roles/{role_id}",
    "/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}",
    "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
];

pub(super) fn routes() -> Vec<Route<Identity>> {
    let mut routes = Vec::new();
    for path in LISTS {
        routes.push(Route::get(path, to(list)).policy(&["identity:list_grants"]));
    }
    for path in GRANTS {
        routes.push(Route::put(path, to(grant)).policy(&["identity:create_grant"]));
        routes.push(Route::get(path, to(check)).policy(&["identity:check_grant"]));
        routes.push(Route::new(Method::HEAD, path, to(check)).policy(&["identity:check_grant"]));
        routes.push(Route::delete(path, to(revoke)).policy(&["identity:revoke_grant"]));
    }
    routes.extend(system_routes().into_iter().map(guarded));
    routes
}

fn system_routes() -> Vec<Route<Identity>> {
    const USER: &str = "/v3/system/users/{user_id}/roles/{role_id}";
    const GROUP: &str = "/v3/system/groups/{group_id}/roles/{role_id}";
    let head = |path, rule: &'static [&'static str]| Route::new(Method::HEAD, path, to(check)).policy(rule);
    vec![
        Route::get("/v3/system/users/{user_id}/roles", to(list)).policy(&["identity:list_system_grants_for_user"]),
        Route::put(USER, to(grant)).policy(&["identity:create_system_grant_for_user"]),
        Route::get(USER, to(check)).policy(&["identity:check_system_grant_for_user"]),
        head(USER, &["identity:check_system_grant_for_user"]),
        Route::delete(USER, to(revoke)).policy(&["identity:revoke_system_grant_for_user"]),
        Route::get("/v3/system/groups/{group_id}/roles", to(list)).policy(&["identity:list_system_grants_for_group"]),
        Route::put(GROUP, to(grant)).policy(&["identity:create_system_grant_for_group"]),
        Route::get(GROUP, to(check)).policy(&["identity:check_system_grant_for_group"]),
        head(GROUP, &["identity:check_system_grant_for_group"]),
        Route::delete(GROUP, to(revoke)).policy(&["identity:revoke_system_grant_for_group"]),
    ]
}

/// Actor and target as the path names them.
fn ends(call: &Call) -> (Actor<'_>, On<'_>, bool) {
    let param = |name| Some(call.param(name)).filter(|v| !v.is_empty());
    let actor = param("user_id").map_or_else(|| Actor::Group(call.param("group_id")), Actor::User);
    let on = match (param("project_id"), param("domain_id")) {
        (Some(id), _) => On::Project(id),
        (None, Some(id)) => On::Domain(id),
        (None, None) => On::System,
    };
    (actor, on, call.path.ends_with("/inherited_to_projects"))
}

/// Whether a missing actor is an error: not when taking a role away, or it could never be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Actors {
    MustExist,
    MayBeGone,
}

/// Looks everything up and asks the rule; then what is missing is a 404. Gives the role, if the path has one.
async fn permitted(me: &Identity, call: &Call, rule: &str, actors: Actors) -> Result<Option<RoleRow>, Error> {
    let (actor, on, _) = ends(call);
    let mut target = Target::new();
    let mut missing = None;
    match actor {
        Actor::User(id) => match users::get(me.db(), id).await? {
            Some(u) => target = target.with("target.user.domain_id", &u.domain_id).with("target.user.id", &u.id),
            None if actors == Actors::MustExist => missing = Some(("user", id)),
            None => {}
        },
        Actor::Group(id) => match groups::get(me.db(), id).await? {
            Some(g) => target = target.with("target.group.domain_id", &g.domain_id).with("target.group.id", &g.id),
            None if actors == Actors::MustExist => missing = Some(("group", id)),
            None => {}
        },
    }
    let mut project_domain = None;
    match on {
        On::Project(id) => match projects::get(me.db(), id).await? {
            Some(p) => {
                target = target.with("target.project.domain_id", p.domain_id.clone()).with("target.project.id", &p.id);
                project_domain = Some(p.domain_id);
            }
            None => missing = missing.or(Some(("project", id))),
        },
        On::Domain(id) => match projects::domain(me.db(), id).await? {
            Some(d) => target = target.with("target.domain.id", &d.id),
            None => missing = missing.or(Some(("domain", id))),
        },
        On::System => {}
    }
    let role_id = Some(call.param("role_id")).filter(|r| !r.is_empty());
    let mut role = None;
    if let Some(id) = role_id {
        match role_rows::get(me.db(), id).await? {
            Some(r) => {
                target = target.with("target.role.domain_id", r.domain_id.clone()).with("target.role.name", &r.name);
                role = Some(r);
            }
            None => missing = missing.or(Some(("role", id))),
        }
    }
    if on != On::System {
        me.allow(call, rule, &target)?;
    }
    if let Some((what, id)) = missing {
        return Err(Error::not_found(what, id));
    }
    if let (On::System, Some(r)) = (on, &role)
        && r.domain_id.is_some()
        && rule == "identity:create_grant"
    {
        return Err(Error::bad_request(format!(
            "Role {} is a domain-specific role. Unable to use a domain-specific role in a system assignment.",
            r.id
        )));
    }
    if let (Some(Some(domain)), Some(r)) = (project_domain, &role)
        && r.domain_id.as_ref().is_some_and(|d| *d != domain)
        && rule == "identity:create_grant"
    {
        return Err(Error::forbidden(format!(
            "Project {} must be in the same domain as the role {} being assigned.",
            on.id(),
            r.id
        )));
    }
    Ok(role)
}

async fn list(me: Identity, call: Call) -> Answer {
    permitted(&me, &call, "identity:list_grants", Actors::MustExist).await?;
    let (actor, on, inherited) = ends(&call);
    let given = assignments::granted(me.db(), actor, on, inherited).await?;
    let all = role_rows::all(me.db()).await?;
    let items = all.iter().filter(|r| given.contains(&r.id)).map(|r| roles::render(&call, r)).collect();
    collection(&call, "roles", items)
}

async fn grant(me: Identity, call: Call) -> Answer {
    permitted(&me, &call, "identity:create_grant", Actors::MustExist).await?;
    let (actor, on, inherited) = ends(&call);
    let mut tx = me.db().begin().await?;
    assignments::grant(&mut tx, actor, on, call.param("role_id"), inherited).await?;
    me.commit_change(tx).await?;
    no_content()
}

async fn check(me: Identity, call: Call) -> Answer {
    permitted(&me, &call, "identity:check_grant", Actors::MustExist).await?;
    let (actor, on, inherited) = ends(&call);
    let given = assignments::granted(me.db(), actor, on, inherited).await?;
    if given.iter().any(|r| r == call.param("role_id")) { no_content() } else { Err(not_given(&call)) }
}

async fn revoke(me: Identity, call: Call) -> Answer {
    permitted(&me, &call, "identity:revoke_grant", Actors::MayBeGone).await?;
    let (actor, on, inherited) = ends(&call);
    let mut tx = me.db().begin().await?;
    if !assignments::revoke(&mut tx, actor, on, call.param("role_id"), inherited).await? {
        return Err(not_given(&call));
    }
    me.commit_change(tx).await?;
    no_content()
}

fn not_given(call: &Call) -> Error {
    let (actor, on, _) = ends(call);
    Error::gone_missing(format!(
        "Could not find role assignment with role: {}, user or group: {}, project, domain, or system: {}.",
        call.param("role_id"),
        actor.id(),
        on.id()
    ))
}
