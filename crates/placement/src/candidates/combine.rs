//! The general case: groups, nested providers, providers that share.
//!
//! A tree's *parts* are its own providers and those that share an aggregate with one of them. Each suffixed group is
//! served by one part; each class of the unsuffixed group by any part. All combinations that fit together are candidates.

use super::alone::{aggregates_fit, shortage};
use super::{Candidate, Cause, Found, Group, Request};
use crate::world::{Member, World};
use base::ProviderId;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Combinations looked at in one tree. Beyond it the tree has more ways than anybody wants.
const PATIENCE: usize = 100_000;

/// One thing to be served by one provider: a suffixed group, or one class of the unsuffixed group.
struct Demand<'a> {
    suffix: &'a str,
    resources: &'a [(String, u64)],
    /// Who could, each by itself.
    able: Vec<&'a Arc<Member>>,
}

struct Tree<'a> {
    root: &'a Arc<Member>,
    parts: Vec<&'a Arc<Member>>,
}

pub(super) fn judge(world: &World, root: ProviderId, request: &Request, room: usize, found: &mut Found) {
    let Some(tree) = Tree::of(world, root) else { return };
    if !tree.has_any(request) {
        return;
    }
    let ways = match tree.demands(world, request) {
        Ok(demands) => tree.ways(request, &demands, room),
        Err(cause) => return found.refused.push((tree.root.clone(), cause)),
    };
    if ways.is_empty() {
        found.refused.push((tree.root.clone(), Cause::NoCombination));
    }
    found.candidates.extend(ways);
}

/// Two trees that both reach one sharing provider find the same way twice.
pub(super) fn without_repeats(candidates: &mut Vec<Candidate>) {
    if candidates.iter().all(|c| matches!(&c.allocations[..], [(provider, _)] if *provider == c.root.id())) {
        return;
    }
    let mut seen = HashSet::new();
    candidates.retain(|c| {
        let mut taken: Vec<(ProviderId, String, u64)> =
            c.wanted().into_iter().map(|(p, class, n)| (p, class.to_owned(), n)).collect();
        taken.sort_unstable();
        seen.insert((taken, c.mappings.clone()))
    });
}

impl<'a> Tree<'a> {
    fn of(world: &'a World, id: ProviderId) -> Option<Self> {
        let root = world.get(id)?;
        let own: Vec<&Arc<Member>> = world.tree(id).collect();
        let serves = |m: &Member| m.provider.root != id && m.aggregates.iter().any(|a| own.iter().any(|o| o.is_in(a)));
        let sharing: Vec<&Arc<Member>> = world.sharing().filter(|m| serves(m)).collect();
        Some(Self { root, parts: own.into_iter().chain(sharing).collect() })
    }

    fn has_any(&self, request: &Request) -> bool {
        let groups = std::iter::once(&request.unnamed).chain(request.groups.values());
        groups.flat_map(|g| &g.resources).any(|(class, _)| self.parts.iter().any(|m| m.stock(class).is_some()))
    }

    /// What is to be served, and by whom it could be. The first that nobody could serve is why the tree is refused.
    fn demands(&self, world: &World, request: &'a Request) -> Result<Vec<Demand<'a>>, Cause> {
        if let Some(name) = request.root_forbidden.iter().find(|t| self.root.has_trait(t)) {
            return Err(Cause::ForbiddenTrait(name.clone()));
        }
        if let Some(name) = request.root_required.iter().find(|t| !self.root.has_trait(t)) {
            return Err(Cause::MissingTrait(vec![name.clone()]));
        }
        let unnamed = &request.unnamed;
        let mut demands = Vec::new();
        let near: Vec<&'a Arc<Member>> = self.fitting(world, unnamed, true)?;
        for resource in &unnamed.resources {
            let able = can_give(&near, std::slice::from_ref(resource))?;
            demands.push(Demand { suffix: "", resources: std::slice::from_ref(resource), able });
        }
        for any in &unnamed.required {
            if !near.iter().any(|m| any.iter().any(|t| m.has_trait(t))) {
                return Err(Cause::MissingTrait(any.clone()));
            }
        }
        for (suffix, group) in &request.groups {
            let near = self.fitting(world, group, false)?;
            if let Some(any) = missing_everywhere(&near, group) {
                return Err(Cause::MissingTrait(any));
            }
            let near: Vec<_> = near
                .into_iter()
                .filter(|m| group.required.iter().all(|any| any.iter().any(|t| m.has_trait(t))))
                .collect();
            let able = can_give(&near, &group.resources)?;
            demands.push(Demand { suffix, resources: &group.resources, able });
        }
        Ok(demands)
    }

    /// Parts that the group's aggregates, tree and forbidden traits allow. For the unsuffixed group the aggregates of
    /// a root hold for all of its tree.
    fn fitting(&self, world: &World, group: &Group, spans: bool) -> Result<Vec<&'a Arc<Member>>, Cause> {
        let wanted_tree = group.in_tree.map(|id| world.get(id).map(|m| m.provider.root));
        let in_aggregates = |m: &Member| {
            let of_root = spans && m.provider.root == self.root.id();
            let positive = |any: &[String]| any.iter().any(|a| m.is_in(a) || of_root && self.root.is_in(a));
            group.member_of.iter().all(|any| positive(any))
                && aggregates_fit(m, &[], &group.not_member_of)
                && !(of_root && group.not_member_of.iter().any(|a| self.root.is_in(a)))
        };
        let placed: Vec<&Arc<Member>> = self
            .parts
            .iter()
            .copied()
            .filter(|m| wanted_tree.is_none_or(|root| root == Some(m.provider.root)) && in_aggregates(m))
            .collect();
        if placed.is_empty() {
            return Err(Cause::OutsideAggregates);
        }
        let allowed: Vec<&Arc<Member>> =
            placed.iter().copied().filter(|m| !group.forbidden.iter().any(|t| m.has_trait(t))).collect();
        match group.forbidden.iter().find(|t| placed.iter().any(|m| m.has_trait(t))) {
            Some(name) if allowed.is_empty() => Err(Cause::ForbiddenTrait(name.clone())),
            _ => Ok(allowed),
        }
    }

    fn ways(&self, request: &Request, demands: &[Demand<'a>], room: usize) -> Vec<Candidate> {
        let mut search =
            Search { tree: self, request, demands, chosen: Vec::new(), room, patience: PATIENCE, ways: Vec::new() };
        search.go();
        search.ways
    }
}

fn missing_everywhere(parts: &[&Arc<Member>], group: &Group) -> Option<Vec<String>> {
    group.required.iter().find(|any| !parts.iter().any(|m| any.iter().any(|t| m.has_trait(t)))).cloned()
}

/// Those that can give all of it. Nobody: the least of the shortages.
fn can_give<'a>(parts: &[&'a Arc<Member>], resources: &[(String, u64)]) -> Result<Vec<&'a Arc<Member>>, Cause> {
    let lack = |m: &Member| resources.iter().find_map(|(class, n)| shortage(m, class, *n));
    let able: Vec<_> = parts.iter().copied().filter(|m| lack(m).is_none()).collect();
    if !able.is_empty() {
        return Ok(able);
    }
    let free = |c: &Cause| match c {
        Cause::Lacks { free, total, .. } => (*free, *total),
        _ => (u64::MAX, u64::MAX),
    };
    Err(parts.iter().filter_map(|m| lack(m)).max_by_key(free).unwrap_or(Cause::NoCombination))
}

/// Chooses a provider for each demand in turn, and keeps what holds together.
struct Search<'a, 's> {
    tree: &'s Tree<'a>,
    request: &'s Request,
    demands: &'s [Demand<'a>],
    chosen: Vec<&'a Arc<Member>>,
    room: usize,
    patience: usize,
    ways: Vec<Candidate>,
}

impl Search<'_, '_> {
    fn go(&mut self) {
        if self.ways.len() >= self.room || self.patience == 0 {
            return;
        }
        let Some(demand) = self.demands.get(self.chosen.len()) else {
            self.patience -= 1;
            if self.holds_together() {
                let way = self.way();
                self.ways.push(way);
            }
            return;
        };
        for member in &demand.able {
            if self.may_follow(demand, member) {
                self.chosen.push(member);
                self.go();
                self.chosen.pop();
            }
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (&Demand<'_>, &Arc<Member>)> {
        self.demands.iter().zip(self.chosen.iter().copied())
    }

    /// Group policy, and room for what is taken from this provider already.
    fn may_follow(&self, demand: &Demand<'_>, member: &Arc<Member>) -> bool {
        let alone = self.request.isolate && !demand.suffix.is_empty() && !demand.resources.is_empty();
        let met =
            |d: &Demand<'_>, m: &Arc<Member>| m.id() == member.id() && !d.suffix.is_empty() && !d.resources.is_empty();
        if alone && self.pairs().any(|(d, m)| met(d, m)) {
            return false;
        }
        demand.resources.iter().all(|(class, n)| {
            let taken: u64 = self
                .pairs()
                .filter(|(_, m)| m.id() == member.id())
                .flat_map(|(d, _)| d.resources)
                .filter(|(c, _)| c == class)
                .map(|(_, n)| n)
                .sum();
            taken == 0
                || member.stock(class).is_some_and(|s| taken + n <= s.free() && taken + n <= s.inventory.max_unit)
        })
    }

    fn holds_together(&self) -> bool {
        let giving: Vec<&Arc<Member>> = self.pairs().filter(|(d, _)| d.suffix.is_empty()).map(|(_, m)| m).collect();
        let traits = self
            .request
            .unnamed
            .required
            .iter()
            .all(|any| giving.is_empty() || giving.iter().any(|m| any.iter().any(|t| m.has_trait(t))));
        traits && self.request.same_subtree.iter().all(|suffixes| self.in_one_subtree(suffixes))
    }

    fn in_one_subtree(&self, suffixes: &[String]) -> bool {
        let members: Vec<&Arc<Member>> =
            self.pairs().filter(|(d, _)| suffixes.iter().any(|s| s == d.suffix)).map(|(_, m)| m).collect();
        members.iter().any(|top| members.iter().all(|m| self.is_below(m, top.id())))
    }

    fn is_below(&self, member: &Arc<Member>, top: ProviderId) -> bool {
        let mut at = Some(member.id());
        while let Some(id) = at {
            if id == top {
                return true;
            }
            at = self.tree.parts.iter().find(|m| m.id() == id).and_then(|m| m.provider.parent);
        }
        false
    }

    fn way(&self) -> Candidate {
        let mut taken: BTreeMap<ProviderId, Vec<(String, u64)>> = BTreeMap::new();
        let mut mappings: BTreeMap<&str, BTreeSet<ProviderId>> = BTreeMap::new();
        for (demand, member) in self.pairs() {
            mappings.entry(demand.suffix).or_default().insert(member.id());
            if demand.resources.is_empty() {
                continue;
            }
            let list = taken.entry(member.id()).or_default();
            for (class, n) in demand.resources {
                match list.iter_mut().find(|(c, _)| c == class) {
                    Some((_, sum)) => *sum += n,
                    None => list.push((class.clone(), *n)),
                }
            }
        }
        Candidate {
            root: self.tree.root.clone(),
            allocations: taken.into_iter().map(|(id, list)| (id, list.into())).collect(),
            mappings: mappings.into_iter().map(|(s, ids)| (s.to_owned(), ids.into_iter().collect())).collect(),
        }
    }
}
