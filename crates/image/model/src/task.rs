//! Tasks: work on an image that goes on after its request was answered, and what became of it.

use crate::import::Plan;
use crate::words::words;
use base::{ImageId, ProjectId, RequestId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Names a task, and is the word in `os_glance_import_task`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub String);

impl TaskId {
    pub fn random() -> Self {
        Self(base::entropy::uuid().to_string())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    TaskKind {
        /// `POST /v2/tasks`: makes the image too.
        Import = "import",
        /// `POST /v2/images/{id}/import`
        ApiImageImport = "api_image_import",
    }
    TaskStatus { Pending = "pending", Processing = "processing", Success = "success", Failure = "failure" }
    TaskSort {
        Id = "id", Type = "type", Status = "status", CreatedAt = "created_at", UpdatedAt = "updated_at",
        ExpiresAt = "expires_at",
    }
}

impl TaskStatus {
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    pub kind: TaskKind,
    pub status: TaskStatus,
    pub owner: Option<ProjectId>,
    pub user: Option<UserId>,
    pub request: RequestId,
    pub image: Option<ImageId>,
    /// As Glance shows it: what was asked for.
    pub input: Value,
    pub result: Option<Value>,
    /// How far it is, or why it failed.
    pub message: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Once it has ended: when it will be forgotten.
    pub expires_at: Option<Timestamp>,
}

/// A task that is to be done, and what only the service itself needs to know about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTask {
    pub task: Task,
    pub plan: Plan,
    /// Whose staging folder it needs. `None`: anybody may do it.
    pub node: Option<String>,
    /// When it has failed if it is not done.
    pub deadline: Timestamp,
}

/// A task in the hands of whoever does it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    pub task: Task,
    pub plan: Plan,
    pub deadline: Timestamp,
    /// How often it was begun, this time included.
    pub tries: u32,
    /// What was staged for it.
    pub staged: Option<Staged>,
}

/// Where an image's data waits for its import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Whose staging folder has it.
    pub node: String,
    /// The attempt that staged it: with the image's id, its key.
    pub upload: String,
}

/// What the registry is asked to list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskQuery {
    pub limit: usize,
    /// The page begins after this task.
    pub marker: Option<TaskId>,
    pub sort: TaskSort,
    pub descending: bool,
    pub status: Option<TaskStatus>,
    pub kind: Option<TaskKind>,
    pub image: Option<ImageId>,
    /// Tasks of this project only.
    pub owner: Option<ProjectId>,
}

/// What an import changes of its image beside the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Properties that are set.
    pub properties: BTreeMap<String, String>,
    pub disk_format: Option<crate::DiskFormat>,
    pub container_format: Option<crate::ContainerFormat>,
    /// Stores that did not take it, where that was allowed.
    pub failed_stores: Vec<String>,
}

/// How many tasks were given up, and how many forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tidied {
    pub failed: u64,
    pub purged: u64,
}
