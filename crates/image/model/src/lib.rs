//! The image service's vocabulary: images, their states, who sees them, how they are changed and listed, and the traits
//! through which its parts meet ([`Registry`], [`Backend`], by name in [`Stores`]) and compute reads images ([`ImageSource`]).
//!
//! Pure: no tokio, no HTTP, no SQL. What a request may do to an image is decided here, on values; `image-api` asks,
//! `image-registry` stores.

mod access;
mod attributes;
mod backend;
mod calls;
mod create;
mod import;
mod list;
mod location;
mod metadef;
mod params;
mod patch;
mod quota;
mod record;
mod refusal;
mod registry;
mod source;
mod states;
mod stores;
mod task;
mod task_params;
mod usage;
mod words;

pub use access::{Viewer, sees};
pub use attributes::{READ_ONLY_ON_CREATE, is_reserved};
pub use backend::{Backend, BackendError, ByteStream, Stored, Writer, data_key};
pub use create::new_image;
pub use import::{ImportRequest, Method, MethodName, Plan};
pub use list::{Column, Direction, Filter, ListQuery, NumberColumn, SortKey, TextColumn, TimeColumn, TimeOp, Wanted};
pub use location::{Leftover, Location};
pub use metadef::{Item, ItemKind, Namespace, NamespaceQuery, NamespaceSort, NamespaceVisibility, ResourceType};
pub use params::{DEFAULT_LIMIT, MAX_LIMIT, list_query, page_limit};
pub use patch::{Change, Draft, Op, apply, parse as parse_patch};
pub use quota::Limits;
pub use record::{Image, Member, StoredData};
pub use refusal::Refusal;
pub use registry::{BUS_SUBJECT, Carrier, LostUpload, Registry, RegistryCall, RegistryError, RegistryReply, Remote};
pub use source::{ImageProxy, ImageSource, ProxyError, SourceError};
pub use states::{IllegalMove, MOVES, Status, next};
pub use stores::{NoStore, ONLY_STORE, Store, Stores};
pub use task::{Claimed, Imported, NewTask, Staged, Task, TaskId, TaskKind, TaskQuery, TaskSort, TaskStatus, Tidied};
pub use task_params::task_query;
pub use usage::{Resource, Usage, mebibytes};
pub use words::{ContainerFormat, DiskFormat, MemberStatus, UnknownWord, Visibility};
