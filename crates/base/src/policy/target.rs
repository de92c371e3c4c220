//! What a rule is asked about.

use crate::ids::{DomainId, ImageId, InstanceId, ProjectId, UserId};
use std::borrow::Cow;

/// Attributes of the stored row, by the names rules use in `%(name)s`: `project_id`, `visibility`, `target.user.id`.
#[derive(Clone, Debug, Default)]
pub struct Target(Vec<(Cow<'static, str>, Attribute)>);

/// A value as Python prints it. `None` is a value of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute(Option<String>);

impl Target {
    /// For rules that look at the token only.
    pub fn new() -> Self {
        Self::default()
    }

    /// A row that only its project's name matters of.
    pub fn project(id: &ProjectId) -> Self {
        Self::new().with("project_id", id)
    }

    /// A row that belongs to a user in a project.
    pub fn owned(project: &ProjectId, user: &UserId) -> Self {
        Self::project(project).with("user_id", user)
    }

    /// Sets an attribute; the last one set wins.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Attribute>) -> Self {
        let name = name.into();
        self.0.retain(|(n, _)| *n != name);
        self.0.push((name, value.into()));
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}

impl Attribute {
    /// `None` if the row has no value there.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl From<&str> for Attribute {
    fn from(v: &str) -> Self {
        Self(Some(v.to_owned()))
    }
}
impl From<String> for Attribute {
    fn from(v: String) -> Self {
        Self(Some(v))
    }
}
impl From<bool> for Attribute {
    fn from(v: bool) -> Self {
        Self::from(if v { "True" } else { "False" })
    }
}
impl<T: Into<Attribute>> From<Option<T>> for Attribute {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self(None), Into::into)
    }
}

macro_rules! printed {
    ($($id:ty),+ $(,)?) => {$(
        impl From<&$id> for Attribute {
            fn from(id: &$id) -> Self { Self(Some(id.to_string())) }
        }
    )+};
}
printed!(String, i64, ProjectId, UserId, DomainId, InstanceId, ImageId);
