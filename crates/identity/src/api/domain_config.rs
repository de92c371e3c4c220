//! `/v3/domains/{domain_id}/config`: options of single domains, kept for drivers that would read them. The users of
//! every domain live in our own tables, as with Keystone's default `domain_specific_drivers_enabled = false`.

mod options;

use super::guarded;
use super::kit::{Answer, no_content, to};
use crate::store::domain_configs::{self, OptionRow};
use crate::store::projects;
use crate::{Error, Identity};
use options::{DEFAULTS, is_known, is_sensitive};
use platform_http::{Call, Method, Reply, Route};
use serde_json::{Map, Value, json};

const ALL: &str = "/v3/domains/{domain_id}/config";
const GROUP: &str = "/v3/domains/{domain_id}/config/{group}";
const OPTION: &str = "/v3/domains/{domain_id}/config/{group}/{option}";

pub(super) fn routes() -> Vec<Route<Identity>> {
    let mut routes = vec![
        Route::get("/v3/domains/config/default", to(defaults)).policy(&["identity:get_domain_config_default"]),
        Route::get("/v3/domains/config/{group}/default", to(defaults)).policy(&["identity:get_domain_config_default"]),
        Route::get("/v3/domains/config/{group}/{option}/default", to(defaults))
            .policy(&["identity:get_domain_config_default"]),
        Route::put(ALL, to(create)).policy(&["identity:create_domain_config"]),
    ];
    for path in [ALL, GROUP, OPTION] {
        routes.push(Route::get(path, to(show)).policy(&["identity:get_domain_config"]));
        routes.push(Route::new(Method::HEAD, path, to(show)).policy(&["identity:get_domain_config"]));
        routes.push(Route::patch(path, to(update)).policy(&["identity:update_domain_config"]));
        routes.push(Route::delete(path, to(delete)).policy(&["identity:delete_domain_config"]));
    }
    routes.into_iter().map(guarded).collect()
}

/// Group and option of the path.
fn place(call: &Call) -> Result<(Option<&str>, Option<&str>), Error> {
    let param = |name| Some(call.param(name)).filter(|v| !v.is_empty());
    let (group, option) = (param("group"), param("option"));
    if let Some(group) = group {
        require_known(group, option)?;
    }
    Ok((group, option))
}

fn require_known(group: &str, option: Option<&str>) -> Result<(), Error> {
    if is_known(group, option) {
        return Ok(());
    }
    let what = option.map_or(format!("Group {group}"), |o| format!("Option {o} in group {group}"));
    Err(invalid(&format!("{what} is not supported for domain specific configurations")))
}

fn invalid(why: &str) -> Error {
    Error::forbidden(format!("Invalid domain specific configuration: {why}."))
}

async fn require_domain(me: &Identity, call: &Call) -> Result<String, Error> {
    let id = call.param("domain_id");
    Ok(projects::domain(me.db(), id).await?.ok_or_else(|| Error::not_found("domain", id))?.id)
}

/// A whole configuration, a group of it, or one option, each in its own frame.
fn shown(all: &[(String, String, Value)], group: Option<&str>, option: Option<&str>) -> Option<Value> {
    let mut config = Map::new();
    for (g, o, v) in all {
        if group.is_some_and(|want| g != want) || option.is_some_and(|want| o != want) {
            continue;
        }
        if option.is_some() {
            return Some(json!({"config": {o: v}}));
        }
        config.entry(g.clone()).or_insert_with(|| json!({}))[o] = v.clone();
    }
    (!config.is_empty()).then(|| json!({"config": config}))
}

async fn defaults(_: Identity, call: Call) -> Answer {
    let (group, option) = place(&call)?;
    if let (Some(g), Some(o)) = (group, option)
        && is_sensitive(g, o)
    {
        return Err(Error::forbidden(format!(
            "Invalid domain specific configuration: Reading the default for option {o} in group {g} is not supported."
        )));
    }
    let all: Vec<(String, String, Value)> = DEFAULTS
        .iter()
        .map(|(g, o, v)| ((*g).to_owned(), (*o).to_owned(), serde_json::from_str(v).unwrap_or_default()))
        .collect();
    Ok(Reply::json(200, &shown(&all, group, option).unwrap_or_else(|| json!({"config": {}}))))
}

async fn stored(me: &Identity, domain: &str) -> Result<Vec<(String, String, Value)>, Error> {
    let rows = domain_configs::of_domain(me.db(), domain).await?;
    let open = rows.into_iter().filter(|r| !is_sensitive(&r.group_name, &r.option_name));
    Ok(open.map(|r| (r.group_name, r.option_name, serde_json::from_str(&r.value).unwrap_or_default())).collect())
}

async fn show(me: Identity, call: Call) -> Answer {
    let domain = require_domain(&me, &call).await?;
    let (group, option) = place(&call)?;
    let all = stored(&me, &domain).await?;
    let found = shown(&all, group, option).ok_or_else(|| missing(&domain, group, option))?;
    Ok(Reply::json(200, &found))
}

fn missing(domain: &str, group: Option<&str>, option: Option<&str>) -> Error {
    let what = match (group, option) {
        (Some(g), Some(o)) => format!("option {o} in group {g}"),
        (Some(g), None) => format!("group {g}"),
        _ => "any options".to_owned(),
    };
    Error::gone_missing(format!("Could not find {what} in domain configuration for domain {domain}."))
}

/// The body as options; each must be one we know.
fn parse(config: &Value) -> Result<Vec<OptionRow>, Error> {
    let groups = config.as_object().filter(|g| !g.is_empty()).ok_or_else(|| invalid("No options specified"))?;
    let mut rows = Vec::new();
    for (group, options) in groups {
        let options = options.as_object().filter(|o| !o.is_empty()).ok_or_else(|| {
            invalid(&format!("The value of group {group} specified in the config should be a dictionary of options"))
        })?;
        for (option, value) in options {
            require_known(group, Some(option))?;
            rows.push(OptionRow { group_name: group.clone(), option_name: option.clone(), value: value.to_string() });
        }
    }
    Ok(rows)
}

/// Replaces what there was.
async fn create(me: Identity, call: Call) -> Answer {
    let domain = require_domain(&me, &call).await?;
    let rows = parse(&call.json()["config"])?;
    let had = !domain_configs::of_domain(me.db(), &domain).await?.is_empty();
    let mut tx = me.db().begin().await?;
    domain_configs::clear(&mut tx, &domain, None, None).await?;
    for row in &rows {
        domain_configs::set(&mut tx, &domain, row).await?;
    }
    tx.commit().await?;
    let all = stored(&me, &domain).await?;
    let status = if had { 200 } else { 201 };
    Ok(Reply::json(status, &shown(&all, None, None).unwrap_or_else(|| json!({"config": {}}))))
}

/// Changes the group or the option of the path, which must be there, or any options of any groups. Answers with the whole.
async fn update(me: Identity, call: Call) -> Answer {
    let domain = require_domain(&me, &call).await?;
    let (group, option) = place(&call)?;
    let rows = match (group, option) {
        (Some(g), Some(o)) => {
            let value = &call.json()["config"][o];
            if value.is_null() {
                return Err(invalid(&format!(
                    "Trying to update option {o} in group {g}, so that, and only that, option must be specified in the config"
                )));
            }
            vec![OptionRow { group_name: g.into(), option_name: o.into(), value: value.to_string() }]
        }
        _ => parse(&call.json()["config"])?,
    };
    if let Some(g) = group
        && rows.iter().any(|r| r.group_name != g)
    {
        return Err(invalid(&format!(
            "Trying to update group {g}, so that, and only that, group must be specified in the config"
        )));
    }
    let known = domain_configs::of_domain(me.db(), &domain).await?;
    let is_there = |k: &OptionRow| group.is_none_or(|g| k.group_name == g) && option.is_none_or(|o| k.option_name == o);
    if group.is_some() && !known.iter().any(is_there) {
        return Err(missing(&domain, group, option));
    }
    let mut tx = me.db().begin().await?;
    for row in &rows {
        domain_configs::set(&mut tx, &domain, row).await?;
    }
    tx.commit().await?;
    let all = stored(&me, &domain).await?;
    Ok(Reply::json(200, &shown(&all, None, None).unwrap_or_else(|| json!({"config": {}}))))
}

async fn delete(me: Identity, call: Call) -> Answer {
    let domain = require_domain(&me, &call).await?;
    let (group, option) = place(&call)?;
    let known = domain_configs::of_domain(me.db(), &domain).await?;
    let is_there = |k: &OptionRow| group.is_none_or(|g| k.group_name == g) && option.is_none_or(|o| k.option_name == o);
    if group.is_some() && !known.iter().any(is_there) {
        return Err(missing(&domain, group, option));
    }
    let mut tx = me.db().begin().await?;
    domain_configs::clear(&mut tx, &domain, group, option).await?;
    tx.commit().await?;
    no_content()
}
