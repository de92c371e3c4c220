//! Metadata definitions: namespaces of described properties, objects (groups of properties) and tags.

use crate::list::Direction;
use crate::words::words;
use base::{ProjectId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

words! {
    /// What a namespace holds.
    ItemKind { Association = "association", Object = "object", Property = "property", Tag = "tag" }
    /// Who sees a namespace beside its owner.
    NamespaceVisibility { Public = "public", Private = "private" }
    NamespaceSort {
        CreatedAt = "created_at", UpdatedAt = "updated_at", Namespace = "namespace", DisplayName = "display_name",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub name: String,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub visibility: NamespaceVisibility,
    pub owner: Option<ProjectId>,
    pub protected: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub namespace: String,
    pub kind: ItemKind,
    pub name: String,
    /// Everything but the name and the times, as the client wrote it.
    pub body: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A kind of thing that definitions are for: `OS::Nova::Flavor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceType {
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceQuery {
    pub limit: usize,
    /// The page begins after this namespace.
    pub marker: Option<String>,
    pub sort: (NamespaceSort, Direction),
    pub visibility: Option<NamespaceVisibility>,
    pub owner: Option<ProjectId>,
    /// Associated with one of these. Empty: any.
    pub resource_types: Vec<String>,
}
