//! Nova's URLs: `/v2.1/servers`, `/v2.1/{project_id}/servers` and the same under `/v2`. Routes name only what follows.
//! `/`, `/v2` and `/v2.1` themselves stay as they are: they are the version documents.

use platform_http::{Call, Fault};

const PREFIXES: [&str; 2] = ["/v2.1", "/v2"];

/// The path to route, and the project id in it. What has no version is answered with a choice of versions; what ends in
/// a slash routes nowhere, so that an empty id is not taken for a list.
pub(crate) fn rewrite(path: &str) -> (String, Option<String>) {
    if matches!(path, "" | "/") {
        return ("/".into(), None);
    }
    for prefix in PREFIXES {
        let Some(rest) = path.strip_prefix(prefix) else { continue };
        if matches!(rest, "" | "/") {
            return (prefix.into(), None);
        }
        let Some(rest) = rest.strip_prefix('/') else { continue };
        if rest.ends_with('/') {
            return (format!("/no-route{path}"), None);
        }
        return match rest.split_once('/') {
            Some((project, rest)) if is_project_id(project) => (format!("/{rest}"), Some(project.to_owned())),
            _ => (format!("/{rest}"), None),
        };
    }
    (format!("/unversioned{path}"), None)
}

/// Other forms never route: Nova's pattern is fixed.
fn is_project_id(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

/// A project id in the URL must be the token's.
pub(crate) fn admit(call: &Call) -> Result<(), Fault> {
    let (Some(in_url), Some(token)) = (&call.path_project, &call.cx.token) else { return Ok(()) };
    let own = token.project_id().map(|p| p.as_str());
    if own == Some(in_url) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "Malformed request URL: URL's project_id '{in_url}' doesn't match Context's project_id '{}'",
        own.unwrap_or("None")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_projects_come_off() {
        let cases = [
            ("/", "/", None),
            ("/v2.1", "/v2.1", None),
            ("/v2.1/", "/v2.1", None),
            ("/v2/", "/v2", None),
            ("/v2.1/servers", "/servers", None),
            ("/v2/servers/detail", "/servers/detail", None),
            ("/v2.1/0aF/servers", "/0aF/servers", None),
            ("/v2.1/0af-9/servers/x", "/servers/x", Some("0af-9")),
            ("/servers", "/unversioned/servers", None),
            ("/v2.1/servers/", "/no-route/v2.1/servers/", None),
            ("/v2.10/servers", "/unversioned/v2.10/servers", None),
        ];
        for (path, routed, project) in cases {
            assert_eq!(rewrite(path), (routed.to_owned(), project.map(str::to_owned)), "{path}");
        }
    }
}
