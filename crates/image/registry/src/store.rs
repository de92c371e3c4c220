//! The store, and how its parts make up the registry's trait.

use crate::{
    cached, deletion, images, imports, leftovers, list, locations, members, metadef_items, namespaces, staging, tasks,
    uploads, usage,
};
use async_trait::async_trait;
use base::{Clock, ImageId, ProjectId, RequestId, SystemClock, Timestamp};
use image_model::{
    Claimed, Image, Imported, Item, ItemKind, Leftover, ListQuery, Location, LostUpload, Member, MemberStatus,
    Namespace, NamespaceQuery, NewTask, Registry, RegistryError, ResourceType, Staged, Status, StoredData, Task,
    TaskId, TaskQuery, Tidied, Usage, Viewer,
};
use platform_db::{Db, DbError};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) db: Db,
    clock: Arc<dyn Clock>,
    /// Set once the stock definitions are known to be there.
    pub(crate) stocked: Arc<OnceCell<()>>,
}

impl Store {
    /// The database must have been migrated.
    pub fn new(db: Db) -> Self {
        Self::with_clock(db, Arc::new(SystemClock))
    }
    pub fn with_clock(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock, stocked: Arc::default() }
    }
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What a database error means to the caller. What is a surprise is logged here, where its cause is still known.
pub(crate) fn lost(error: DbError) -> RegistryError {
    match error {
        DbError::Full => RegistryError::Full,
        error if error.worth_retrying() => RegistryError::Unavailable(error.to_string()),
        DbError::Commit(ref why) if why.contains("full") => RegistryError::Full,
        other => {
            tracing::error!(error = &other as &dyn std::error::Error, "image registry: {other}");
            RegistryError::Internal(other.to_string())
        }
    }
}

#[async_trait]
impl Registry for Store {
    async fn image_create(&self, image: Image, request: RequestId) -> Result<Image, RegistryError> {
        images::image_create(self, image, &request).await
    }
    async fn image_show(&self, id: ImageId, viewer: Viewer) -> Result<Option<Image>, RegistryError> {
        images::image_show(self, id, &viewer).await
    }
    async fn image_list(&self, query: ListQuery, viewer: Viewer) -> Result<Vec<Image>, RegistryError> {
        list::image_list(self, &query, &viewer).await
    }
    async fn image_save(&self, image: Image, request: RequestId) -> Result<Image, RegistryError> {
        images::image_save(self, image, &request).await
    }
    async fn image_move(
        &self,
        id: ImageId,
        from: Status,
        to: Status,
        request: RequestId,
    ) -> Result<Image, RegistryError> {
        images::image_move(self, id, from, to, &request).await
    }
    async fn image_delete(&self, id: ImageId, request: RequestId) -> Result<Vec<Location>, RegistryError> {
        deletion::image_delete(self, id, &request).await
    }
    async fn location_plan(&self, id: ImageId, location: Location, until: Timestamp) -> Result<(), RegistryError> {
        leftovers::location_plan(self, id, &location, until).await
    }
    async fn location_renew(&self, id: ImageId, url: String, until: Timestamp) -> Result<bool, RegistryError> {
        leftovers::location_renew(self, id, &url, until).await
    }
    async fn location_add(&self, id: ImageId, url: String, request: RequestId) -> Result<Option<Image>, RegistryError> {
        locations::location_add(self, id, &url, &request).await
    }
    async fn location_remove(&self, id: ImageId, url: String, request: RequestId) -> Result<Image, RegistryError> {
        locations::location_remove(self, id, &url, &request).await
    }
    async fn location_forget(&self, id: ImageId, url: String) -> Result<(), RegistryError> {
        leftovers::location_forget(self, id, &url).await
    }
    async fn leftovers(&self) -> Result<Vec<Leftover>, RegistryError> {
        leftovers::leftovers(self).await
    }
    async fn storage_used(&self, project: ProjectId) -> Result<u64, RegistryError> {
        images::storage_used(self, &project).await
    }
    async fn usage_show(&self, project: ProjectId) -> Result<Usage, RegistryError> {
        usage::usage_show(self, &project).await
    }
    async fn upload_begin(
        &self,
        id: ImageId,
        upload: String,
        location: Location,
        until: Timestamp,
        request: RequestId,
    ) -> Result<Image, RegistryError> {
        uploads::upload_begin(self, id, &upload, &location, until, &request).await
    }
    async fn upload_renew(&self, id: ImageId, upload: String, until: Timestamp) -> Result<bool, RegistryError> {
        uploads::upload_renew(self, id, &upload, until).await
    }
    async fn upload_finish(
        &self,
        id: ImageId,
        upload: String,
        data: StoredData,
        request: RequestId,
    ) -> Result<Option<Image>, RegistryError> {
        uploads::upload_finish(self, id, &upload, &data, &request).await
    }
    async fn upload_abort(&self, id: ImageId, upload: String, why: String) -> Result<(), RegistryError> {
        uploads::upload_abort(self, id, &upload, &why).await
    }
    async fn uploads_expire(&self, now: Timestamp) -> Result<Vec<LostUpload>, RegistryError> {
        uploads::uploads_expire(self, now).await
    }
    async fn stage_begin(
        &self,
        id: ImageId,
        staged: Staged,
        until: Timestamp,
        request: RequestId,
    ) -> Result<Image, RegistryError> {
        staging::stage_begin(self, id, &staged, until, &request).await
    }
    async fn stage_renew(&self, id: ImageId, upload: String, until: Timestamp) -> Result<bool, RegistryError> {
        staging::stage_renew(self, id, &upload, until).await
    }
    async fn stage_finish(
        &self,
        id: ImageId,
        upload: String,
        size: u64,
        until: Timestamp,
    ) -> Result<Option<Image>, RegistryError> {
        staging::stage_finish(self, id, &upload, size, until).await
    }
    async fn stage_abort(&self, id: ImageId, upload: String, why: String) -> Result<(), RegistryError> {
        staging::stage_abort(self, id, &upload, &why).await
    }
    async fn stages_expire(&self, by: Timestamp) -> Result<Vec<ImageId>, RegistryError> {
        staging::stages_expire(self, by).await
    }
    async fn cached_set(
        &self,
        node: String,
        images: Vec<ImageId>,
        silent_since: Timestamp,
    ) -> Result<(), RegistryError> {
        cached::cached_set(self, &node, &images, silent_since).await
    }
    async fn cached_nodes(&self, id: ImageId, since: Timestamp) -> Result<Vec<String>, RegistryError> {
        cached::cached_nodes(self, id, since).await
    }
    async fn staged_at(&self, id: ImageId) -> Result<Option<Staged>, RegistryError> {
        staging::staged_at(self, id).await
    }
    async fn staged_keys(&self, node: String) -> Result<Vec<String>, RegistryError> {
        staging::staged_keys(self, &node).await
    }
    async fn import_begin(&self, new: Box<NewTask>, image: Option<Image>) -> Result<Task, RegistryError> {
        imports::import_begin(self, *new, image).await
    }
    async fn task_claim(
        &self,
        node: String,
        holder: String,
        by: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Claimed>, RegistryError> {
        imports::task_claim(self, &node, &holder, by, until).await
    }
    async fn task_renew(
        &self,
        id: TaskId,
        holder: String,
        until: Timestamp,
        message: String,
    ) -> Result<bool, RegistryError> {
        imports::task_renew(self, &id, &holder, until, &message).await
    }
    async fn import_finish(
        &self,
        id: TaskId,
        holder: String,
        data: Option<StoredData>,
        at: Vec<Location>,
        imported: Imported,
    ) -> Result<Option<Image>, RegistryError> {
        imports::import_finish(self, &id, &holder, data, &at, &imported).await
    }
    async fn import_fail(
        &self,
        id: TaskId,
        holder: String,
        why: String,
        failed_stores: Vec<String>,
    ) -> Result<bool, RegistryError> {
        imports::import_fail(self, &id, &holder, &why, &failed_stores).await
    }
    async fn tasks_tidy(&self, node: String, gone_before: Timestamp) -> Result<Tidied, RegistryError> {
        imports::tasks_tidy(self, &node, gone_before).await
    }
    async fn task_show(&self, id: TaskId) -> Result<Option<Task>, RegistryError> {
        tasks::task_show(self, &id).await
    }
    async fn task_list(&self, query: TaskQuery) -> Result<Vec<Task>, RegistryError> {
        tasks::task_list(self, &query).await
    }

    async fn member_add(&self, id: ImageId, member: ProjectId, quota: Option<usize>) -> Result<Member, RegistryError> {
        members::member_add(self, id, &member, quota).await
    }
    async fn member_show(&self, id: ImageId, member: ProjectId) -> Result<Option<Member>, RegistryError> {
        members::member_show(self, id, &member).await
    }
    async fn member_list(&self, id: ImageId) -> Result<Vec<Member>, RegistryError> {
        members::member_list(self, id).await
    }
    async fn member_update(
        &self,
        id: ImageId,
        member: ProjectId,
        status: MemberStatus,
    ) -> Result<Option<Member>, RegistryError> {
        members::member_update(self, id, &member, status).await
    }
    async fn member_remove(&self, id: ImageId, member: ProjectId) -> Result<bool, RegistryError> {
        members::member_remove(self, id, &member).await
    }
    async fn namespace_list(&self, query: NamespaceQuery, viewer: Viewer) -> Result<Vec<Namespace>, RegistryError> {
        namespaces::namespace_list(self, &query, &viewer).await
    }
    async fn namespace_show(&self, name: String, viewer: Viewer) -> Result<Option<Namespace>, RegistryError> {
        namespaces::namespace_show(self, &name, &viewer).await
    }
    async fn namespace_create(
        &self,
        namespace: Namespace,
        items: Vec<Item>,
    ) -> Result<(Namespace, Vec<Item>), RegistryError> {
        namespaces::namespace_create(self, namespace, items).await
    }
    async fn namespace_save(&self, old: String, namespace: Namespace) -> Result<Option<Namespace>, RegistryError> {
        namespaces::namespace_save(self, &old, namespace).await
    }
    async fn namespace_delete(&self, name: String) -> Result<bool, RegistryError> {
        namespaces::namespace_delete(self, &name).await
    }
    async fn metadef_items(&self, namespaces: Vec<String>, kinds: Vec<ItemKind>) -> Result<Vec<Item>, RegistryError> {
        metadef_items::items(self, &namespaces, &kinds).await
    }
    async fn metadef_items_add(&self, items: Vec<Item>) -> Result<(), RegistryError> {
        metadef_items::add(self, &items).await
    }
    async fn metadef_item_save(&self, old: String, item: Item) -> Result<Option<Item>, RegistryError> {
        metadef_items::save(self, &old, item).await
    }
    async fn metadef_items_remove(
        &self,
        namespace: String,
        kind: ItemKind,
        name: Option<String>,
    ) -> Result<u64, RegistryError> {
        metadef_items::remove(self, &namespace, kind, name.as_deref()).await
    }
    async fn resource_types(&self) -> Result<Vec<ResourceType>, RegistryError> {
        metadef_items::resource_types(self).await
    }
}
