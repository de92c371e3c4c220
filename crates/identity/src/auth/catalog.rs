//! The catalog of a token: enabled services and endpoints, with the project's id filled into URLs.

use crate::store::catalog;
use crate::store::endpoint_filter::{self as filter, Join};
use crate::{Error, Identity};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

/// Everything that may be shown, not yet filled in.
#[derive(Debug)]
pub(crate) struct Catalog {
    services: Vec<CatalogService>,
    /// Projects that see only some endpoints: those they are associated with.
    only: HashMap<String, HashSet<String>>,
}

#[derive(Debug)]
struct CatalogService {
    service: catalog::ServiceRow,
    endpoints: Vec<catalog::EndpointRow>,
}

/// The last catalog read, and the revision it was read at.
#[derive(Debug, Default)]
pub(crate) struct CatalogCache(RwLock<Option<(u64, Arc<Catalog>)>>);

impl Identity {
    pub(crate) async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        let revision = self.0.revision.get();
        if let Some((at, known)) = &*self.0.catalog.0.read().unwrap_or_else(PoisonError::into_inner)
            && *at == revision
        {
            return Ok(known.clone());
        }
        let fresh = Arc::new(read(self).await?);
        *self.0.catalog.0.write().unwrap_or_else(PoisonError::into_inner) = Some((revision, fresh.clone()));
        Ok(fresh)
    }
}

async fn read(identity: &Identity) -> Result<Catalog, Error> {
    let mut endpoints = catalog::endpoints(identity.db()).await?;
    let only = associated(identity, &endpoints).await?;
    endpoints.retain(|e| e.enabled);
    let services = catalog::services(identity.db()).await?;
    let with_endpoints = |service: catalog::ServiceRow| {
        let own = endpoints.iter().filter(|e| e.service_id == service.id).cloned().collect();
        CatalogService { service, endpoints: own }
    };
    let services = services.into_iter().filter(|s| s.enabled).map(with_endpoints).collect();
    Ok(Catalog { services, only })
}

/// By project: endpoints joined directly, and those that a group of the project takes. Without any a project sees all,
/// as with Keystone's `return_all_endpoints_if_no_filter`.
async fn associated(
    identity: &Identity,
    endpoints: &[catalog::EndpointRow],
) -> Result<HashMap<String, HashSet<String>>, Error> {
    let mut only: HashMap<String, HashSet<String>> = HashMap::new();
    for (project, endpoint) in filter::joins(identity.db(), Join::Endpoint).await? {
        only.entry(project).or_default().insert(endpoint);
    }
    let groups = filter::groups(identity.db()).await?;
    for (project, group) in filter::joins(identity.db(), Join::Group).await? {
        let Some(group) = groups.iter().find(|g| g.id == group) else { continue };
        for endpoint in endpoints.iter().filter(|e| group.takes(e)) {
            only.entry(project.clone()).or_default().insert(endpoint.id.clone());
        }
    }
    Ok(only)
}

/// The catalog as a token shows it.
pub(crate) fn render(catalog: &Catalog, user_id: &str, project_id: Option<&str>) -> Value {
    let only = project_id.and_then(|p| catalog.only.get(p));
    let services = catalog.services.iter().filter_map(|s| {
        let endpoints: Vec<Value> = s
            .endpoints
            .iter()
            .filter(|e| only.is_none_or(|ids| ids.contains(&e.id)))
            .filter_map(|e| {
                let url = fill_in(&e.url, user_id, project_id)?;
                Some(json!({"id": e.id, "interface": e.interface, "region_id": e.region_id, "url": url,
                            "region": e.region_id}))
            })
            .collect();
        let name = s.service.name.as_deref().unwrap_or_default();
        // only then, as Keystone
        let is_hidden = only.is_some() && endpoints.is_empty();
        (!is_hidden).then(|| json!({"endpoints": endpoints, "id": s.service.id, "type": s.service.kind, "name": name}))
    });
    services.collect()
}

/// Replaces `%(project_id)s` and its like, also written `$(project_id)s`. `None`: the URL needs what this token has
/// not, or is malformed.
fn fill_in(url: &str, user_id: &str, project_id: Option<&str>) -> Option<String> {
    let mut out = String::with_capacity(url.len() + 32);
    let mut rest = url;
    while let Some(at) = rest.find(['%', '$']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let Some(named) = from[1..].strip_prefix('(') else {
            // a lone percent sign is an escape: %%
            let escaped = from.strip_prefix("%%");
            out.push_str(&from[..1]);
            rest = escaped.unwrap_or(&from[1..]);
            continue;
        };
        let (name, after) = named.split_once(")s")?;
        out.push_str(match name {
            "project_id" | "tenant_id" => project_id?,
            "user_id" => user_id,
            _ => return None,
        });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Whether a URL's placeholders are ones we can fill in.
pub(crate) fn url_is_well_formed(url: &str) -> bool {
    fill_in(url, "user", Some("project")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_in_both_spellings() {
        let p = Some("p1");
        for (url, project, want) in [
            ("http://h/v2.1", None, Some("http://h/v2.1")),
            ("http://h/v3/%(project_id)s", p, Some("http://h/v3/p1")),
            ("http://h/AUTH_$(tenant_id)s/x", p, Some("http://h/AUTH_p1/x")),
            ("http://h/%(user_id)s", None, Some("http://h/u1")),
            ("http://h/%(project_id)s", None, None),
            ("http://h/%(password)s", p, None),
            ("http://h/%(project_id)", p, None),
            ("http://h/100%%", None, Some("http://h/100%")),
        ] {
            assert_eq!(fill_in(url, "u1", project).as_deref(), want, "{url}");
        }
    }
}
