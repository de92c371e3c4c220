//! Names of what assignments refer to by id, read once for a whole list.

use crate::store::assignments::AssignmentRow;
use crate::store::groups::{self, GroupFilter};
use crate::store::projects::{self, ProjectFilter};
use crate::store::roles;
use crate::store::users::{self, UserFilter};
use crate::{Error, Identity};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Name, and id of the domain if it is in one.
type Named = (String, Option<String>);

#[derive(Debug, Default)]
pub(super) struct Names {
    users: HashMap<String, Named>,
    groups: HashMap<String, Named>,
    roles: HashMap<String, Named>,
    /// Domains too.
    projects: HashMap<String, Named>,
}

impl Names {
    pub(super) async fn load(me: &Identity) -> Result<Self, Error> {
        let db = me.db();
        let mut new = Self::default();
        for u in users::list(db, &UserFilter::default()).await? {
            new.users.insert(u.id, (u.name, Some(u.domain_id)));
        }
        for g in groups::list(db, &GroupFilter::default()).await? {
            new.groups.insert(g.id, (g.name, Some(g.domain_id)));
        }
        for r in roles::all(db).await? {
            new.roles.insert(r.id, (r.name, r.domain_id));
        }
        for is_domain in [false, true] {
            for p in projects::list(db, &ProjectFilter { is_domain, ..ProjectFilter::default() }).await? {
                new.projects.insert(p.id, (p.name, p.domain_id));
            }
        }
        Ok(new)
    }

    pub(super) fn actor(&self, r: &AssignmentRow, with_names: bool) -> Option<Value> {
        let known = if r.actor_type == "user" { &self.users } else { &self.groups };
        self.show(known, &r.actor_id, with_names)
    }

    pub(super) fn role(&self, id: &str, with_names: bool) -> Option<Value> {
        self.show(&self.roles, id, with_names)
    }

    pub(super) fn target(&self, id: &str, with_names: bool) -> Option<Value> {
        self.show(&self.projects, id, with_names)
    }

    /// Whether it is about something in that domain: all that a domain's own token may see.
    pub(super) fn is_in_domain(&self, r: &AssignmentRow, domain: &str) -> bool {
        let of = self.projects.get(&r.target_id).and_then(|(_, d)| d.as_deref());
        r.target_id == domain || of == Some(domain)
    }

    fn show(&self, known: &HashMap<String, Named>, id: &str, with_names: bool) -> Option<Value> {
        let (name, domain) = known.get(id)?;
        if !with_names {
            return Some(json!({"id": id}));
        }
        let mut value = json!({"id": id, "name": name});
        if let Some(domain) = domain {
            let domain_name = self.projects.get(domain).map(|(name, _)| name);
            value["domain"] = json!({"id": domain, "name": domain_name});
        }
        Some(value)
    }
}
