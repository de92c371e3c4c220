//! Links in answers: `self` leads to the versioned URL, `bookmark` to the one without a version; both carry the project
//! id if the request's URL did.

use platform_http::Call;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt::Display;

pub(crate) struct Links {
    versioned: String,
    plain: String,
}

impl Links {
    pub(crate) fn of(call: &Call) -> Self {
        let project = call.path_project.as_ref().map(|p| format!("/{p}")).unwrap_or_default();
        let version = if call.legacy { "v2" } else { "v2.1" };
        Self {
            versioned: format!("{}/{version}{project}", call.root_url),
            plain: format!("{}{project}", call.root_url),
        }
    }

    /// `http://…/v2.1/servers/{id}`, for Location headers and `self`.
    pub(crate) fn url(&self, collection: &str, id: &str) -> String {
        format!("{}/{collection}/{id}", self.versioned)
    }

    /// `http://…/servers/{id}`, without a version.
    pub(crate) fn bookmark_url(&self, collection: &str, id: &str) -> String {
        format!("{}/{collection}/{id}", self.plain)
    }

    /// The list `[self, bookmark]`.
    pub(crate) fn of_item(&self, collection: &str, id: &str) -> Value {
        json!([
            {"rel": "self", "href": self.url(collection, id)},
            {"rel": "bookmark", "href": self.bookmark_url(collection, id)},
        ])
    }

    /// `[self, bookmark]`, written without being built first: for long lists.
    pub(crate) fn item<'a>(&'a self, collection: &'static str, id: &'a str) -> ItemLinks<'a> {
        ItemLinks { versioned: Some(&self.versioned), plain: &self.plain, collection, id }
    }

    /// `[bookmark]` alone, as flavors and images inside servers have it.
    pub(crate) fn item_bookmark<'a>(&'a self, collection: &'static str, id: &'a str) -> ItemLinks<'a> {
        ItemLinks { versioned: None, ..self.item(collection, id) }
    }

    /// `[next]`, for a page that came out full: the same query from `marker` on. `collection` as in the request's path:
    /// `servers/detail`.
    pub(crate) fn next(&self, call: &Call, collection: &str, marker: &str) -> Value {
        json!([{"rel": "next", "href": format!("{}/{collection}?{}", self.versioned, call.query.with("marker", marker))}])
    }
}

/// The links of one item.
pub(crate) struct ItemLinks<'a> {
    versioned: Option<&'a str>,
    plain: &'a str,
    collection: &'static str,
    id: &'a str,
}

#[derive(Serialize)]
struct Link<T: Display> {
    rel: &'static str,
    href: Shown<T>,
}

impl Serialize for ItemLinks<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let Self { plain, collection, id, .. } = self;
        let mut seq = s.serialize_seq(None)?;
        if let Some(versioned) = self.versioned {
            let href = Shown(format_args!("{versioned}/{collection}/{id}"));
            seq.serialize_element(&Link { rel: "self", href })?;
        }
        let href = Shown(format_args!("{plain}/{collection}/{id}"));
        seq.serialize_element(&Link { rel: "bookmark", href })?;
        seq.end()
    }
}

/// What can be printed, as a JSON string.
pub(crate) struct Shown<T: Display>(pub(crate) T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}
