//! What is asked for.

use base::ProviderId;
use std::collections::BTreeMap;

/// Resources and what their providers must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Class and amount; amounts are above 0.
    pub resources: Vec<(String, u64)>,
    /// Of each list at least one.
    pub required: Vec<Vec<String>>,
    pub forbidden: Vec<String>,
    /// In one aggregate of each list.
    pub member_of: Vec<Vec<String>>,
    pub not_member_of: Vec<String>,
    /// In the tree of this provider.
    pub in_tree: Option<ProviderId>,
}

impl Group {
    pub fn of(resources: impl IntoIterator<Item = (&'static str, u64)>) -> Self {
        let resources = resources.into_iter().map(|(class, n)| (class.to_owned(), n)).collect();
        Self { resources, ..Self::default() }
    }
    pub fn requires(mut self, name: &str) -> Self {
        self.required.push(vec![name.to_owned()]);
        self
    }
    pub fn forbids(mut self, name: &str) -> Self {
        self.forbidden.push(name.to_owned());
        self
    }
}

/// `GET /allocation_candidates` as a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Each class may come from another provider of the tree, or from one that shares.
    pub unnamed: Group,
    /// By suffix: all of a group from one provider.
    pub groups: BTreeMap<String, Group>,
    /// `group_policy=isolate`: no two suffixed groups from one provider.
    pub isolate: bool,
    /// In each list, one provider must stand above all others (or be them).
    pub same_subtree: Vec<Vec<String>>,
    pub root_required: Vec<String>,
    pub root_forbidden: Vec<String>,
    /// Most candidates wanted.
    pub limit: Option<usize>,
    /// Where the search begins. Who wants fewer candidates than there are gets others from each place.
    pub from: ProviderId,
}

impl Request {
    pub fn of(unnamed: Group) -> Self {
        Self { unnamed, ..Self::default() }
    }
}
