//! What follows from the stored assignments: groups become their users, inherited roles go down the tree, roles imply
//! others.

use crate::store::assignments::AssignmentRow;
use crate::store::projects::{self, ProjectFilter};
use crate::store::{groups, roles};
use crate::{Error, Identity};
use std::collections::{HashMap, HashSet};

/// An assignment, and why it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) row: AssignmentRow,
    /// The user has it as a member.
    pub(super) by_group: Option<String>,
    /// It came down from there: kind and id.
    pub(super) inherited_from: Option<(String, String)>,
    /// The role that implies this one.
    pub(super) by_role: Option<String>,
}

impl Held {
    pub(super) fn as_stored(row: AssignmentRow) -> Self {
        Self { row, by_group: None, inherited_from: None, by_role: None }
    }
}

/// What following needs to know.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Group → users.
    members: HashMap<String, Vec<String>>,
    /// Parent (a domain, too) → projects.
    children: HashMap<String, Vec<String>>,
    /// Prior role → implied.
    implied: HashMap<String, Vec<String>>,
    /// Roles of single domains: they count only for what they imply.
    domain_roles: HashSet<String>,
}

impl Facts {
    pub(super) async fn load(me: &Identity) -> Result<Self, Error> {
        let mut new = Self::default();
        for (group, user) in groups::memberships(me.db()).await? {
            new.members.entry(group).or_default().push(user);
        }
        for p in projects::list(me.db(), &ProjectFilter::default()).await? {
            if let Some(parent) = p.parent_id {
                new.children.entry(parent).or_default().push(p.id);
            }
        }
        for (prior, implied) in roles::inferences(me.db()).await? {
            new.implied.entry(prior).or_default().push(implied);
        }
        for role in roles::all(me.db()).await? {
            if role.domain_id.is_some() {
                new.domain_roles.insert(role.id);
            }
        }
        Ok(new)
    }

    /// Everything below a project or domain.
    pub(super) fn below(&self, id: &str) -> Vec<String> {
        let mut all: Vec<String> = self.children.get(id).cloned().unwrap_or_default();
        let mut next = 0;
        while let Some(id) = all.get(next).cloned() {
            all.extend(self.children.get(&id).into_iter().flatten().cloned());
            next += 1;
        }
        all
    }
}

/// What somebody has for two reasons is there twice, with its links to each.
pub(super) fn effective(rows: &[AssignmentRow], facts: &Facts) -> Vec<Held> {
    let users = rows.iter().flat_map(|row| of_users(row, facts));
    let held = users.flat_map(|h| downwards(h, facts)).flat_map(|h| with_implied(h, facts));
    held.filter(|h| !facts.domain_roles.contains(&h.row.role_id)).collect()
}

fn of_users(row: &AssignmentRow, facts: &Facts) -> Vec<Held> {
    if row.actor_type == "user" {
        return vec![Held::as_stored(row.clone())];
    }
    let users = facts.members.get(&row.actor_id).into_iter().flatten();
    users
        .map(|user| Held {
            row: AssignmentRow { actor_type: "user".into(), actor_id: user.clone(), ..row.clone() },
            by_group: Some(row.actor_id.clone()),
            ..Held::as_stored(row.clone())
        })
        .collect()
}

fn downwards(held: Held, facts: &Facts) -> Vec<Held> {
    if !held.row.inherited {
        return vec![held];
    }
    let from = (held.row.target_type.clone(), held.row.target_id.clone());
    facts
        .below(&held.row.target_id)
        .into_iter()
        .map(|project| Held {
            row: AssignmentRow {
                target_type: "project".into(),
                target_id: project,
                inherited: false,
                ..held.row.clone()
            },
            inherited_from: Some(from.clone()),
            ..held.clone()
        })
        .collect()
}

fn with_implied(held: Held, facts: &Facts) -> Vec<Held> {
    let mut all = vec![held];
    let mut next = 0;
    while let Some(prior) = all.get(next).cloned() {
        for implied in facts.implied.get(&prior.row.role_id).into_iter().flatten() {
            if all.iter().any(|h| h.row.role_id == *implied) {
                continue;
            }
            all.push(Held {
                row: AssignmentRow { role_id: implied.clone(), ..prior.row.clone() },
                by_role: Some(prior.row.role_id.clone()),
                ..prior.clone()
            });
        }
        next += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(actor: (&str, &str), target: (&str, &str), role: &str, inherited: bool) -> AssignmentRow {
        AssignmentRow {
            actor_type: actor.0.into(),
            actor_id: actor.1.into(),
            target_type: target.0.into(),
            target_id: target.1.into(),
            role_id: role.into(),
            inherited,
        }
    }

    fn map(pairs: &[(&str, &[&str])]) -> HashMap<String, Vec<String>> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.iter().map(|s| (*s).to_owned()).collect())).collect()
    }

    #[test]
    fn groups_trees_and_implications_multiply() {
        let facts = Facts {
            members: map(&[("g", &["u1", "u2"])]),
            children: map(&[("d", &["p"]), ("p", &["q"])]),
            implied: map(&[("admin", &["member"]), ("member", &["reader"]), ("special", &["reader"])]),
            domain_roles: HashSet::from(["special".to_owned()]),
        };
        let rows = [
            row(("group", "g"), ("domain", "d"), "member", true),
            row(("user", "u1"), ("project", "q"), "admin", false),
            row(("user", "u3"), ("system", "system"), "special", false),
        ];
        let held = effective(&rows, &facts);
        let mut short: Vec<String> =
            held.iter().map(|h| format!("{} {} {}", h.row.actor_id, h.row.target_id, h.row.role_id)).collect();
        short.sort();
        assert_eq!(
            short,
            [
                "u1 p member",
                "u1 p reader",
                "u1 q admin",
                // by the group, and by the role
                "u1 q member",
                "u1 q member",
                "u1 q reader",
                "u1 q reader",
                "u2 p member",
                "u2 p reader",
                "u2 q member",
                "u2 q reader",
                "u3 system reader",
            ]
        );
        let inherited = held.iter().find(|h| h.row.target_id == "q" && h.row.actor_id == "u2").unwrap();
        assert_eq!(inherited.inherited_from, Some(("domain".into(), "d".into())));
        assert_eq!(inherited.by_group.as_deref(), Some("g"));
    }
}
