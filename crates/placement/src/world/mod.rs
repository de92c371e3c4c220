//! All providers at one moment, in memory: what candidates are looked for in.
//!
//! A derived copy and never a truth: it may be dropped at any time, and whoever acts on it does so through
//! [`crate::claim`], which judges by the database.

mod load;
mod view;

pub use view::View;

use crate::{Provider, Stock};
use base::ProviderId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Marks a provider that serves all trees it shares an aggregate with (a storage pool for many hosts).
pub const SHARING: &str = "MISC_SHARES_VIA_AGGREGATE";

/// One provider with all that is known of it.
#[derive(Clone, Debug)]
pub struct Member {
    pub provider: Provider,
    pub stocks: Vec<Stock>,
    /// Sorted. Most hosts have the same traits, so equal lists are kept once.
    pub traits: Arc<[String]>,
    /// Uuids, sorted.
    pub aggregates: Arc<[String]>,
}

impl Member {
    pub fn id(&self) -> ProviderId {
        self.provider.id
    }
    pub fn stock(&self, class: &str) -> Option<&Stock> {
        self.stocks.iter().find(|s| s.inventory.resource_class == class)
    }
    pub fn has_trait(&self, name: &str) -> bool {
        self.traits.binary_search_by(|t| t.as_str().cmp(name)).is_ok()
    }
    pub fn is_in(&self, aggregate: &str) -> bool {
        self.aggregates.binary_search_by(|a| a.as_str().cmp(aggregate)).is_ok()
    }
    pub fn shares(&self) -> bool {
        self.has_trait(SHARING)
    }
}

/// All providers, by tree.
#[derive(Clone, Debug, Default)]
pub struct World {
    members: BTreeMap<ProviderId, Arc<Member>>,
    /// Root to all of its tree, the root first.
    trees: BTreeMap<ProviderId, Vec<ProviderId>>,
    sharing: BTreeSet<ProviderId>,
}

impl World {
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        let mut new = Self::default();
        for m in members {
            new.put(m);
        }
        new
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
    pub fn get(&self, id: ProviderId) -> Option<&Arc<Member>> {
        self.members.get(&id)
    }
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values()
    }
    /// Roots with all of their tree, the root first.
    pub fn trees(&self) -> impl Iterator<Item = (ProviderId, Vec<&Arc<Member>>)> {
        self.trees.iter().map(|(root, ids)| (*root, ids.iter().filter_map(|id| self.get(*id)).collect()))
    }
    pub fn tree(&self, root: ProviderId) -> impl Iterator<Item = &Arc<Member>> {
        self.trees.get(&root).into_iter().flatten().filter_map(|id| self.get(*id))
    }
    /// (root, its provider if it is all of the tree), in the order of the ids: those from `from` on, then the others.
    pub(crate) fn roots(&self, from: ProviderId) -> impl Iterator<Item = (ProviderId, Option<&Arc<Member>>)> {
        let round = self.trees.range(from..).chain(self.trees.range(..from));
        round.map(|(root, ids)| (*root, if ids.len() == 1 { self.get(*root) } else { None }))
    }
    pub fn sharing(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.sharing.iter().filter_map(|id| self.get(*id))
    }

    /// Adds the provider, or puts its new state in place of the old.
    pub fn put(&mut self, m: Member) {
        let (id, root) = (m.id(), m.provider.root);
        if self.get(id).is_some_and(|old| old.provider.root != root) {
            self.remove(id);
        }
        if m.shares() {
            self.sharing.insert(id);
        } else {
            self.sharing.remove(&id);
        }
        if self.members.insert(id, Arc::new(m)).is_none() {
            let tree = self.trees.entry(root).or_default();
            let place = if id == root { 0 } else { tree.len() };
            tree.insert(place, id);
        }
    }

    pub fn remove(&mut self, id: ProviderId) {
        self.sharing.remove(&id);
        let Some(old) = self.members.remove(&id) else { return };
        if let Some(tree) = self.trees.get_mut(&old.provider.root) {
            tree.retain(|other| *other != id);
            if tree.is_empty() {
                self.trees.remove(&old.provider.root);
            }
        }
    }
}
