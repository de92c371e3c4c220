//! What image-api asks of the registry, which owns the tables. In one process it is called directly; otherwise the same
//! calls travel over the bus ([`Remote`] on one side, [`RegistryCall::run`] on the other).

use crate::calls::calls;
use crate::{
    Claimed, Image, Imported, Item, ItemKind, Leftover, ListQuery, Location, Member, MemberStatus, Namespace,
    NamespaceQuery, NewTask, ResourceType, Staged, Status, StoredData, Task, TaskId, TaskQuery, Tidied, Usage, Viewer,
};
use base::{ImageId, ProjectId, RequestId, Timestamp};
use serde::{Deserialize, Serialize};

/// Served by any registry.
pub const BUS_SUBJECT: &str = "image-registry.call";

/// An upload whose process is gone: its image is `queued` again, what it may have stored is a [`Leftover`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostUpload {
    pub id: ImageId,
    pub upload: String,
}

calls! {
    /// Image metadata. Each call is one transaction.
    trait Registry, RegistryCall, RegistryReply, RegistryError;

    /// [`RegistryError::Duplicate`] if there is, or ever was, one with that id.
    ImageCreate image_create(image: Image, request: RequestId) -> Image;
    /// `None`: it does not exist, or `viewer` may not know of it.
    ImageShow image_show(id: ImageId, viewer: Viewer) -> Option<Image>;
    /// [`RegistryError::NoMarker`] if the marker is not there.
    ImageList image_list(query: ListQuery, viewer: Viewer) -> Vec<Image>;
    /// Stores the attributes, tags and properties of an image that was read at `image.revision`.
    /// [`RegistryError::Stale`] if it has changed since: read it again and decide again.
    ImageSave image_save(image: Image, request: RequestId) -> Image;
    /// Moves the image if it is in the state `from`; else [`RegistryError::WrongStatus`] with the state it is in.
    ImageMove image_move(id: ImageId, from: Status, to: Status, request: RequestId) -> Image;
    /// From any state. The id stays taken. [`RegistryError::Protected`] if it is. What is returned is to be deleted;
    /// until [`Registry::location_forget`] it is among the leftovers.
    ImageDelete image_delete(id: ImageId, request: RequestId) -> Vec<Location>;

    /// Data of this image is about to be written there. From `until` on it is a leftover, unless it has become a
    /// location by then. [`RegistryError::Duplicate`] if something is, or was meant to be, there already.
    LocationPlan location_plan(id: ImageId, location: Location, until: Timestamp) -> ();
    /// `false`: it is too late, somebody is deleting it. The writer must stop.
    LocationRenew location_renew(id: ImageId, url: String, until: Timestamp) -> bool;
    /// What was planned is written, and becomes a copy of the data of an image that is `active` or `deactivated`. `None`:
    /// there is no such image any more, or it is too late; the writer must delete what it stored, then
    /// [`Registry::location_forget`].
    LocationAdd location_add(id: ImageId, url: String, request: RequestId) -> Option<Image>;
    /// The image has that copy no more: it is a leftover. [`RegistryError::LastLocation`] if it has no other,
    /// [`RegistryError::NoLocation`] if it does not have it.
    LocationRemove location_remove(id: ImageId, url: String, request: RequestId) -> Image;
    /// The data is deleted.
    LocationForget location_forget(id: ImageId, url: String) -> ();
    /// Data to be deleted, at most 100; none of it can become a location any more. What is not forgotten comes again
    /// after a while, and others first.
    Leftovers leftovers() -> Vec<Leftover>;
    /// Bytes that a project's images take.
    StorageUsed storage_used(project: ProjectId) -> u64;
    /// What counts against a project's unified limits.
    UsageShow usage_show(project: ProjectId) -> Usage;

    /// `queued` → `saving`, held under the name `upload` until `until` if not renewed. The data will be at `location`;
    /// should it not become the image's, it is a leftover.
    UploadBegin upload_begin(id: ImageId, upload: String, location: Location, until: Timestamp, request: RequestId) -> Image;
    /// `false`: the upload has lost the image, which is deleted or was given up for lost. It must stop.
    UploadRenew upload_renew(id: ImageId, upload: String, until: Timestamp) -> bool;
    /// `saving` → `active`. `None`: the upload has lost the image and must delete what it stored.
    UploadFinish upload_finish(id: ImageId, upload: String, data: StoredData, request: RequestId) -> Option<Image>;
    /// `saving` → `queued`, if the upload still holds the image.
    UploadAbort upload_abort(id: ImageId, upload: String, why: String) -> ();
    /// Gives up uploads that have not been renewed in time.
    UploadsExpire uploads_expire(now: Timestamp) -> Vec<LostUpload>;

    /// `queued` → `uploading`, held until `until` if not renewed: data is being staged there.
    StageBegin stage_begin(id: ImageId, staged: Staged, until: Timestamp, request: RequestId) -> Image;
    /// `false`: the image is lost to whoever stages; he must stop.
    StageRenew stage_renew(id: ImageId, upload: String, until: Timestamp) -> bool;
    /// All is staged and waits for its import until `until`. `None`: the image is lost; what was staged is rubbish.
    StageFinish stage_finish(id: ImageId, upload: String, size: u64, until: Timestamp) -> Option<Image>;
    /// `uploading` → `queued`, if the one who stages still holds the image.
    StageAbort stage_abort(id: ImageId, upload: String, why: String) -> ();
    /// `uploading` → `queued`, where that was to be renewed or imported before `by`.
    StagesExpire stages_expire(by: Timestamp) -> Vec<ImageId>;
    /// Where all of the image's data is staged.
    StagedAt staged_at(id: ImageId) -> Option<Staged>;
    /// The keys of what the folder of `node` should have. All else in it is rubbish.
    StagedKeys staged_keys(node: String) -> Vec<String>;

    /// All that `node` has in its cache now. What others said before `silent_since`, and never again, is forgotten.
    CachedSet cached_set(node: String, images: Vec<ImageId>, silent_since: Timestamp) -> ();
    /// The nodes that have the image cached and said so since then, in order.
    CachedNodes cached_nodes(id: ImageId, since: Timestamp) -> Vec<String>;

    /// The image, which is made first if it is given, goes to `importing` (where it is copied it stays `active`), and its
    /// task is there for somebody to do. [`RegistryError::Duplicate`] if it has one already,
    /// [`RegistryError::WrongStatus`] if its method cannot begin in the state it is in.
    ImportBegin import_begin(new: Box<NewTask>, image: Option<Image>) -> Task;
    /// A task that `node` can do and nobody does: its holder should have renewed before `by`. From now on `holder` holds
    /// it until `until`; what earlier holders stored is leftovers.
    TaskClaim task_claim(node: String, holder: String, by: Timestamp, until: Timestamp) -> Option<Claimed>;
    /// `message` says how far it is. `false`: the task is lost; its holder must stop.
    TaskRenew task_renew(id: TaskId, holder: String, until: Timestamp, message: String) -> bool;
    /// What was planned is written there. `importing` → `active` with `data`; without, the image has these copies more.
    /// `None`: the task or the image is lost, and what was written is leftovers.
    ImportFinish import_finish(
        id: TaskId, holder: String, data: Option<StoredData>, at: Vec<Location>, imported: Imported
    ) -> Option<Image>;
    /// The image is `queued` again (or gone, if the task had made it), nothing is staged, all that was written is
    /// leftovers. `false`: the task was lost already.
    ImportFail import_fail(id: TaskId, holder: String, why: String, failed_stores: Vec<String>) -> bool;
    /// Gives up tasks that nobody will do: too late, too often begun, or for a node that has not been heard of since
    /// `gone_before`. Forgets those that ended long ago. `node` is alive.
    TasksTidy tasks_tidy(node: String, gone_before: Timestamp) -> Tidied;
    TaskShow task_show(id: TaskId) -> Option<Task>;
    /// [`RegistryError::NoTask`] if the marker is not there.
    TaskList task_list(query: TaskQuery) -> Vec<Task>;

    /// [`RegistryError::Duplicate`] if it is one already; [`RegistryError::TooMany`] beyond `quota`.
    MemberAdd member_add(id: ImageId, member: ProjectId, quota: Option<usize>) -> Member;
    MemberShow member_show(id: ImageId, member: ProjectId) -> Option<Member>;
    MemberList member_list(id: ImageId) -> Vec<Member>;
    /// `None`: not a member.
    MemberUpdate member_update(id: ImageId, member: ProjectId, status: MemberStatus) -> Option<Member>;
    /// `false`: not a member.
    MemberRemove member_remove(id: ImageId, member: ProjectId) -> bool;

    NamespaceList namespace_list(query: NamespaceQuery, viewer: Viewer) -> Vec<Namespace>;
    /// `None`: it does not exist, or `viewer` may not know of it.
    NamespaceShow namespace_show(name: String, viewer: Viewer) -> Option<Namespace>;
    /// With all that is in it; the times are set here. [`RegistryError::Duplicate`] if there is one of that name.
    NamespaceCreate namespace_create(namespace: Namespace, items: Vec<Item>) -> (Namespace, Vec<Item>);
    /// `None`: there is none of the name `old`. [`RegistryError::Duplicate`] if the new name is taken.
    NamespaceSave namespace_save(old: String, namespace: Namespace) -> Option<Namespace>;
    /// `false`: there is none, or it is protected.
    NamespaceDelete namespace_delete(name: String) -> bool;
    /// What these namespaces hold of these kinds, by name.
    MetadefItems metadef_items(namespaces: Vec<String>, kinds: Vec<ItemKind>) -> Vec<Item>;
    /// [`RegistryError::Duplicate`] if there is one of that name.
    MetadefItemsAdd metadef_items_add(items: Vec<Item>) -> ();
    /// `None`: there is none of the name `old`. [`RegistryError::Duplicate`] if the new name is taken.
    MetadefItemSave metadef_item_save(old: String, item: Item) -> Option<Item>;
    /// `name` or, if `None`, all of that kind. Returns how many there were.
    MetadefItemsRemove metadef_items_remove(namespace: String, kind: ItemKind, name: Option<String>) -> u64;
    ResourceTypes resource_types() -> Vec<ResourceType>;
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum RegistryError {
    #[error("No image found with ID {0}")]
    NotFound(ImageId),
    #[error("No image found with ID {0}")]
    NoMarker(ImageId),
    #[error("Metadata definition namespace={0} was not found.")]
    NoNamespace(String),
    #[error("Task with the given id {0} was not found")]
    NoTask(TaskId),
    #[error("already exists")]
    Duplicate,
    #[error("the image has changed in the meantime")]
    Stale,
    #[error("the image is {0}")]
    WrongStatus(Status),
    #[error("Image {0} is protected and cannot be deleted.")]
    Protected(ImageId),
    #[error("image {0} has no data there")]
    NoLocation(ImageId),
    #[error("image {0} has its data nowhere else")]
    LastLocation(ImageId),
    #[error("{attempted} are too many")]
    TooMany { attempted: usize },
    #[error("the database's disk is full")]
    Full,
    /// Worth trying again later.
    #[error("the image registry is not available: {0}")]
    Unavailable(String),
    #[error("the image registry failed: {0}")]
    Internal(String),
}

impl RegistryError {
    fn wrong_reply(call: &str) -> Self {
        Self::Internal(format!("{call} was answered with another call's reply"))
    }
}
