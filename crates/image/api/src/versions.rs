//! What versions there are. Clients read the highest number; there is no header for it.

use crate::Glance;
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

/// Newest first.
const VERSIONS: &[&str] = &[
    "v2.18", "v2.17", "v2.16", "v2.15", "v2.14", "v2.13", "v2.12", "v2.11", "v2.10", "v2.9", "v2.8", "v2.7", "v2.6",
    "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0",
];

/// What the image cache has brought: shown where there is one.
const OF_THE_CACHE: &[&str] = &["v2.18", "v2.16", "v2.14"];

fn document(glance: &Glance, root_url: &str) -> Value {
    let caches = glance.cache.is_some();
    let version = |(n, id): (usize, &&str)| {
        json!({
            "id": id,
            "status": if n == 0 { "CURRENT" } else { "SUPPORTED" },
            "links": [{"rel": "self", "href": format!("{root_url}/v2/")}],
        })
    };
    json!({"versions": VERSIONS.iter().filter(|v| caches || !OF_THE_CACHE.contains(v)).enumerate().map(version).collect::<Vec<_>>()})
}

/// `GET /`, and whatever else names no version.
pub(crate) async fn choices(glance: Glance, call: Call) -> Result<Reply, Fault> {
    Ok(Reply::json(300, &document(&glance, &call.root_url)))
}

/// `GET /versions`
pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    Ok(Reply::json(200, &document(&glance, &call.root_url)))
}

/// Every version's URLs are those of `v2`; a path without a version leads to the choices.
pub(crate) fn rewrite(path: &str) -> (String, Option<String>) {
    let trimmed = path.trim_start_matches('/');
    let (first, rest) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    let routed = if first == "versions" {
        "/versions".to_owned()
    } else if first != "v2" && !VERSIONS.contains(&first) {
        "/".to_owned()
    } else if rest.is_empty() || rest.ends_with('/') {
        // an empty id is no id, not the list of all
        NOWHERE.to_owned()
    } else {
        format!("/v2/{rest}")
    };
    (routed, None)
}

/// A path that no route has.
const NOWHERE: &str = "/v2/.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_paths_lead() {
        for (path, routed) in [
            ("/", "/"),
            ("", "/"),
            ("/nonsense", "/"),
            ("/v1/images", "/"),
            ("/versions", "/versions"),
            ("/versions/", "/versions"),
            ("/v2/images", "/v2/images"),
            ("/v2.9/images/x/file", "/v2/images/x/file"),
            ("/v2/images/", NOWHERE),
            ("/v2", NOWHERE),
            ("/v2/", NOWHERE),
        ] {
            assert_eq!(rewrite(path).0, routed, "{path}");
        }
    }
}
