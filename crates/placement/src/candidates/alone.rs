//! The common case made quick: one group, and trees that are a single provider (a compute node).

use super::{Candidate, Cause, Found, Request};
use crate::world::Member;
use std::sync::Arc;

pub(super) struct Asked<'a> {
    request: &'a Request,
    resources: Arc<[(String, u64)]>,
}

impl<'a> Asked<'a> {
    /// `None`: the request needs more than one group.
    pub(super) fn of(request: &'a Request) -> Option<Self> {
        let simple = request.groups.is_empty() && !request.unnamed.resources.is_empty();
        simple.then(|| Self { request, resources: request.unnamed.resources.clone().into() })
    }

    pub(super) fn judge(&self, member: &Arc<Member>, found: &mut Found) {
        if self.resources.iter().all(|(class, _)| member.stock(class).is_none()) {
            return;
        }
        match self.refuses(member) {
            Some(cause) => found.refused.push((member.clone(), cause)),
            None => found.candidates.push(Candidate {
                root: member.clone(),
                allocations: vec![(member.id(), self.resources.clone())],
                mappings: vec![(String::new(), vec![member.id()])],
            }),
        }
    }

    /// What the host is comes before what it has left: a disabled host is disabled, however full.
    fn refuses(&self, m: &Member) -> Option<Cause> {
        let group = &self.request.unnamed;
        if !aggregates_fit(m, &group.member_of, &group.not_member_of) {
            return Some(Cause::OutsideAggregates);
        }
        let forbidden = self.request.root_forbidden.iter().chain(&group.forbidden).find(|t| m.has_trait(t));
        if let Some(name) = forbidden {
            return Some(Cause::ForbiddenTrait(name.clone()));
        }
        if let Some(name) = self.request.root_required.iter().find(|t| !m.has_trait(t)) {
            return Some(Cause::MissingTrait(vec![name.clone()]));
        }
        if let Some(any) = group.required.iter().find(|any| !any.iter().any(|t| m.has_trait(t))) {
            return Some(Cause::MissingTrait(any.clone()));
        }
        self.resources.iter().find_map(|(class, asked)| shortage(m, class, *asked))
    }
}

pub(super) fn aggregates_fit(m: &Member, member_of: &[Vec<String>], not_member_of: &[String]) -> bool {
    member_of.iter().all(|any| any.iter().any(|a| m.is_in(a))) && !not_member_of.iter().any(|a| m.is_in(a))
}

/// `None`: the provider can give it.
pub(super) fn shortage(m: &Member, class: &str, asked: u64) -> Option<Cause> {
    let class = class.to_owned();
    match m.stock(&class) {
        Some(s) if s.fits(asked) => None,
        Some(s) if s.free() >= asked => Some(Cause::Units { class, asked }),
        Some(s) => Some(Cause::Lacks { class, asked, free: s.free(), total: s.inventory.capacity() }),
        None => Some(Cause::Lacks { class, asked, free: 0, total: 0 }),
    }
}
