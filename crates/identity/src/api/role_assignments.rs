//! `/v3/role_assignments`: who has which role where, as stored or (with `effective`) with all that follows from it.

mod expand;
mod names;

use super::kit::{Answer, collection, query_flag, scope_domain, to, url};
use crate::store::assignments::{self, Actor, AssignmentFilter, AssignmentRow, On};
use crate::store::projects;
use crate::{Error, Identity};
use base::policy::Target;
use expand::{Facts, Held};
use names::Names;
use platform_http::{Call, Route};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route<Identity>> {
    vec![
        Route::get("/v3/role_assignments", to(list))
            .policy(&["identity:list_role_assignments", "identity:list_role_assignments_for_tree"]),
    ]
}

/// What the query asks for.
#[derive(Debug)]
struct Wanted<'a> {
    user: Option<&'a str>,
    group: Option<&'a str>,
    role: Option<&'a str>,
    project: Option<&'a str>,
    domain: Option<&'a str>,
    system: bool,
    inherited: bool,
    effective: bool,
    subtree: bool,
}

impl<'a> Wanted<'a> {
    fn parse(call: &'a Call) -> Result<Self, Error> {
        let text = |key| call.query.last(key).filter(|v| !v.is_empty());
        let flag = |key| query_flag(&call.query, key).unwrap_or(false);
        let new = Self {
            user: text("user.id"),
            group: text("group.id"),
            role: text("role.id"),
            project: text("scope.project.id"),
            domain: text("scope.domain.id"),
            system: text("scope.system").is_some(),
            inherited: text("scope.OS-INHERIT:inherited_to").is_some_and(|v| v == "projects"),
            effective: flag("effective"),
            subtree: flag("include_subtree"),
        };
        let refuse = |why: &str| Err(Error::bad_request(why.to_owned()));
        if new.user.is_some() && new.group.is_some() {
            return refuse("Specify a user or group, not both");
        }
        if new.project.is_some() && new.domain.is_some()
            || new.system && (new.project.is_some() || new.domain.is_some())
        {
            return refuse("Specify system, domain or project, not more than one of them");
        }
        if new.effective && new.group.is_some() {
            return refuse("Combining effective and group filter will always result in an empty list.");
        }
        if new.effective && new.inherited && new.domain.is_some() {
            return refuse("Combining effective, domain and inherited filters will always result in an empty list.");
        }
        if new.subtree && new.project.is_none() {
            return refuse("scope.project.id must be specified if include_subtree is also specified");
        }
        Ok(new)
    }
}

async fn list(me: Identity, call: Call) -> Answer {
    let wanted = Wanted::parse(&call)?;
    let rule =
        if wanted.subtree { "identity:list_role_assignments_for_tree" } else { "identity:list_role_assignments" };
    me.allow(&call, rule, &Target::new().with("target.domain_id", target_domain(&me, &call, &wanted).await?))?;
    let names = Names::load(&me).await?;
    let found = if wanted.effective { effective(&me, &wanted).await? } else { stored(&me, &wanted).await? };
    let own_domain = scope_domain(&call);
    let with_names = query_flag(&call.query, "include_names").unwrap_or(false);
    let items = found
        .iter()
        .filter(|held| own_domain.is_none_or(|d| names.is_in_domain(&held.row, d)))
        .filter_map(|held| render(&call, held, &names, with_names))
        .collect();
    collection(&call, "role_assignments", items)
}

/// The domain a domain's reader asks about: the scope's, or else their own.
async fn target_domain(me: &Identity, call: &Call, wanted: &Wanted<'_>) -> Result<Option<String>, Error> {
    match (wanted.project, wanted.domain) {
        (Some(id), _) => Ok(projects::get(me.db(), id).await?.and_then(|p| p.domain_id)),
        (None, Some(id)) => Ok(Some(id.to_owned())),
        (None, None) => Ok(scope_domain(call).map(str::to_owned)),
    }
}

async fn stored(me: &Identity, wanted: &Wanted<'_>) -> Result<Vec<Held>, Error> {
    let mut project_ids: Vec<String> = wanted.project.iter().map(|p| (*p).to_owned()).collect();
    if let (true, Some(project)) = (wanted.subtree, wanted.project) {
        project_ids.extend(projects::below(me.db(), project).await?.into_iter().map(|p| p.id));
    }
    let mut targets: Vec<On<'_>> = project_ids.iter().map(|id| On::Project(id)).collect();
    targets.extend(wanted.domain.map(On::Domain));
    if wanted.system {
        targets.push(On::System);
    }
    let filter = AssignmentFilter {
        actors: wanted.user.map(Actor::User).into_iter().chain(wanted.group.map(Actor::Group)).collect(),
        targets,
        role_id: wanted.role,
        inherited: wanted.inherited.then_some(true),
    };
    let rows = assignments::list(me.db(), &filter).await?;
    Ok(rows.into_iter().map(Held::as_stored).collect())
}

async fn effective(me: &Identity, wanted: &Wanted<'_>) -> Result<Vec<Held>, Error> {
    let facts = Facts::load(me).await?;
    let rows = assignments::list(me.db(), &AssignmentFilter::default()).await?;
    let mut held = expand::effective(&rows, &facts);
    let below: Vec<String> = match (wanted.subtree, wanted.project) {
        (true, Some(project)) => facts.below(project),
        _ => Vec::new(),
    };
    held.retain(|h| {
        let r = &h.row;
        let on = |kind: &str, id: &str| r.target_type == kind && r.target_id == id;
        wanted.user.is_none_or(|id| r.actor_id == id)
            && wanted.role.is_none_or(|id| r.role_id == id)
            && wanted.project.is_none_or(|id| on("project", id) || below.iter().any(|b| on("project", b)))
            && wanted.domain.is_none_or(|id| on("domain", id))
            && (!wanted.system || r.target_type == "system")
            && (!wanted.inherited || h.inherited_from.is_some())
    });
    Ok(held)
}

/// One assignment. `None`: it names something that is gone by now.
fn render(call: &Call, held: &Held, names: &Names, with_names: bool) -> Option<Value> {
    let r = &held.row;
    let mut value = json!({"links": {"assignment": url(call, &path(held))}});
    let actor = names.actor(r, with_names)?;
    value[&r.actor_type] = actor;
    value["role"] = names.role(&r.role_id, with_names)?;
    value["scope"] = match r.target_type.as_str() {
        "system" => json!({"system": {"all": true}}),
        kind => json!({kind: names.target(&r.target_id, with_names)?}),
    };
    if r.inherited || held.inherited_from.is_some() {
        value["scope"]["OS-INHERIT:inherited_to"] = json!("projects");
    }
    if let Some(group) = &held.by_group {
        value["links"]["membership"] = json!(url(call, &format!("groups/{group}/users/{}", r.actor_id)));
    }
    if let Some(prior) = &held.by_role {
        // as Keystone writes it, the wrong way round
        value["links"]["prior_role"] = json!(url(call, &format!("prior_role/{}/implies/{prior}", r.role_id)));
    }
    Some(value)
}

/// Where the stored assignment is that this one follows from.
fn path(held: &Held) -> String {
    let AssignmentRow { actor_type, actor_id, target_type, target_id, role_id, inherited } = &held.row;
    let (actor_type, actor_id) = match &held.by_group {
        Some(group) => ("group", group),
        None => (actor_type.as_str(), actor_id),
    };
    let role_id = held.by_role.as_ref().unwrap_or(role_id);
    let (target_type, target_id) = match &held.inherited_from {
        Some((kind, id)) => (kind.as_str(), id),
        None => (target_type.as_str(), target_id),
    };
    if target_type == "system" {
        return format!("system/{actor_type}s/{actor_id}/roles/{role_id}");
    }
    let direct = format!("{target_type}s/{target_id}/{actor_type}s/{actor_id}/roles/{role_id}");
    if *inherited || held.inherited_from.is_some() {
        format!("OS-INHERIT/{direct}/inherited_to_projects")
    } else {
        direct
    }
}
