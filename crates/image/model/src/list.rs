//! `GET /images`, read: which images, in which order, which page.

use crate::words::words;
use crate::{MemberStatus, Visibility};
use base::{ImageId, ProjectId, Timestamp};
use serde::{Deserialize, Serialize};

/// What the registry is asked for. Who may see what is decided by the viewer that goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    pub limit: usize,
    /// The page begins after this image.
    pub marker: Option<ImageId>,
    /// Never empty; `created_at` and `id` come last, so the order is total.
    pub sort: Vec<(SortKey, Direction)>,
    /// All must hold.
    pub filters: Vec<Filter>,
    /// `None`: what the viewer has in his default list, which is all but others' community images.
    pub visibility: Option<Wanted>,
    /// Which answers to an offer put a shared image into the list. `None`: any.
    pub member_status: Option<MemberStatus>,
}

/// A `visibility` filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    All,
    Only(Visibility),
}

words! {
    SortKey {
        Name = "name", Status = "status", ContainerFormat = "container_format", DiskFormat = "disk_format",
        Size = "size", Id = "id", CreatedAt = "created_at", UpdatedAt = "updated_at",
    }
    Direction { Asc = "asc", Desc = "desc" }
    /// Columns that hold a text.
    TextColumn {
        Id = "id", Name = "name", Status = "status", DiskFormat = "disk_format", ContainerFormat = "container_format",
        Checksum = "checksum", OsHashAlgo = "os_hash_algo", OsHashValue = "os_hash_value", Owner = "owner",
    }
    /// Columns that hold a number.
    NumberColumn { Size = "size", VirtualSize = "virtual_size", MinDisk = "min_disk", MinRam = "min_ram" }
    TimeColumn { CreatedAt = "created_at", UpdatedAt = "updated_at" }
    TimeOp { Gt = "gt", Gte = "gte", Lt = "lt", Lte = "lte", Eq = "eq", Neq = "neq" }
}

/// A column of any kind.
pub trait Column {
    fn column(self) -> &'static str;
}
macro_rules! columns {
    ($($t:ty),+) => {$( impl Column for $t { fn column(self) -> &'static str { self.as_str() } } )+};
}
columns!(SortKey, TextColumn, NumberColumn, TimeColumn);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// The column has one of these values.
    Text(TextColumn, Vec<String>),
    Number(NumberColumn, i64),
    AtLeast(NumberColumn, i64),
    AtMost(NumberColumn, i64),
    Time(TimeColumn, TimeOp, Timestamp),
    Protected(bool),
    Hidden(bool),
    Tag(String),
    Property(String, String),
}

impl ListQuery {
    /// The default list: newest first.
    pub fn newest(limit: usize) -> Self {
        Self {
            limit,
            marker: None,
            sort: vec![(SortKey::CreatedAt, Direction::Desc), (SortKey::Id, Direction::Desc)],
            filters: vec![Filter::Hidden(false)],
            visibility: None,
            member_status: Some(MemberStatus::Accepted),
        }
    }
    /// All images of a project.
    pub fn owned_by(project: &ProjectId, limit: usize) -> Self {
        let mut query = Self::newest(limit);
        query.filters.push(Filter::Text(TextColumn::Owner, vec![project.0.clone()]));
        query
    }
}
