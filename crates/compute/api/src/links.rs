//! Links in answers: `self` leads to the versioned URL, `bookmark` to the one without a version; both carry the project
//! id if the request's URL did.

use platform_http::Call;
use serde_json::{Value, json};

pub(crate) struct Links {
    versioned: String,
    plain: String,
}

impl Links {
    pub(crate) fn of(call: &Call) -> Self {
        let project = call.path_project.as_ref().map(|p| format!("/{p}")).unwrap_or_default();
        Self { versioned: format!("{}/v2.1{project}", call.root_url), plain: format!("{}{project}", call.root_url) }
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

    /// `[bookmark]` alone, as flavors and images inside servers have it.
    pub(crate) fn bookmark(&self, collection: &str, id: &str) -> Value {
        json!([{"rel": "bookmark", "href": self.bookmark_url(collection, id)}])
    }

    /// `[next]`, for a page that came out full: the same query from `marker` on. `collection` as in the request's path:
    /// `servers/detail`.
    pub(crate) fn next(&self, call: &Call, collection: &str, marker: &str) -> Value {
        json!([{"rel": "next", "href": format!("{}/{collection}?{}", self.versioned, call.query.with("marker", marker))}])
    }
}
