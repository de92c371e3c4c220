//! Allocation candidates: the ways in which a request could be met.

mod alone;
mod combine;
mod request;

pub use request::{Group, Request};

use crate::world::{Member, World};
use base::ProviderId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Classes and amounts, shared by all candidates that take the same.
pub type Amounts = Arc<[(String, u64)]>;

/// One way: from which providers to take how much.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The root of the tree: for servers, the compute node.
    pub root: Arc<Member>,
    /// What to take from each provider.
    pub allocations: Vec<(ProviderId, Amounts)>,
    /// Which providers serve which group; the unsuffixed one is "".
    pub mappings: Vec<(String, Vec<ProviderId>)>,
}

impl Candidate {
    /// As [`crate::claim`] wants it.
    pub fn wanted(&self) -> Vec<(ProviderId, &str, u64)> {
        self.allocations.iter().flat_map(|(p, list)| list.iter().map(|(class, n)| (*p, class.as_str(), *n))).collect()
    }
}

/// Why a tree is no candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `free` of `total` (what there is for consumers) is left: of the provider that has most.
    Lacks {
        class: String,
        asked: u64,
        free: u64,
        total: u64,
    },
    /// There is enough, but not in one piece, or not in such amounts.
    Units {
        class: String,
        asked: u64,
    },
    /// None of these traits (any one would do).
    MissingTrait(Vec<String>),
    ForbiddenTrait(String),
    OutsideAggregates,
    /// Each part could be met, not all together.
    NoCombination,
}

/// What came of a request. Trees that have nothing of any class asked, and those outside a tree asked for, are in
/// neither list.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub candidates: Vec<Candidate>,
    pub refused: Vec<(Arc<Member>, Cause)>,
}

impl Found {
    /// Roots of the candidates, each once.
    pub fn roots(&self) -> BTreeMap<ProviderId, &Arc<Member>> {
        self.candidates.iter().map(|c| (c.root.id(), &c.root)).collect()
    }
}

/// Looks through all trees in the order of their ids, from [`Request::from`] on and round.
pub fn search(world: &World, request: &Request) -> Found {
    let alone = alone::Asked::of(request).filter(|_| world.sharing().next().is_none());
    let wanted_tree = request.unnamed.in_tree.map(|id| world.get(id).map(|m| m.provider.root));
    let mut found = Found::default();
    for (root, only) in world.roots(request.from) {
        if wanted_tree.is_some_and(|wanted| wanted != Some(root)) {
            continue;
        }
        let room = request.limit.map_or(usize::MAX, |limit| limit.saturating_sub(found.candidates.len()));
        if room == 0 {
            break;
        }
        match (&alone, only) {
            (Some(asked), Some(member)) => asked.judge(member, &mut found),
            _ => combine::judge(world, root, request, room, &mut found),
        }
    }
    combine::without_repeats(&mut found.candidates);
    found
}

#[cfg(test)]
mod tests;
