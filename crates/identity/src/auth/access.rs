//! Access rules of application credentials: which requests a token of theirs is good for.

use crate::store::access_rules::AccessRuleRow;
use platform_http::Asked;
use regex::Regex;

impl AccessRuleRow {
    pub(crate) fn permits(&self, asked: &Asked<'_>) -> bool {
        permits(&self.service, &self.method, &self.path, asked)
    }
}

/// `service` is a type of the catalog, `path` a pattern: `*` and `{name}` stand for one segment, `**` for any number of
/// them.
pub(crate) fn permits(service: &str, method: &str, path: &str, asked: &Asked<'_>) -> bool {
    service == asked.service.strip_suffix("-api").unwrap_or(asked.service)
        && method.eq_ignore_ascii_case(asked.method.as_str())
        && pattern(path).is_some_and(|p| p.is_match(asked.path))
}

fn pattern(path: &str) -> Option<Regex> {
    let mut regex = String::from("^");
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**") {
            regex.push_str(".*");
            rest = after;
        } else if let Some(after) = rest.strip_prefix('*') {
            regex.push_str("[^/]+");
            rest = after;
        } else if let Some((_, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            regex.push_str("[^/]+");
            rest = after;
        } else {
            let (literal, after) = rest.split_at(first.len_utf8());
            regex.push_str(&regex::escape(literal));
            rest = after;
        }
    }
    regex.push('$');
    Regex::new(&regex).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform_http::Method;

    #[test]
    fn patterns() {
        for (rule, path, want) in [
            ("/v2.1/servers", "/v2.1/servers", true),
            ("/v2.1/servers", "/v2.1/servers/detail", false),
            ("/v2.1/servers", "/v2x1/servers", false),
            ("/v2.1/servers/*/ips", "/v2.1/servers/1/ips", true),
            ("/v2.1/servers/*/ips", "/v2.1/servers/1/2/ips", false),
            ("/v2.1/servers/{id}", "/v2.1/servers/1", true),
            ("/v2.1/servers/{id}", "/v2.1/servers/", false),
            ("/v2.1/**", "/v2.1/a/b/c", true),
            ("/v2.1/(", "/v2.1/(", true),
        ] {
            let rule = AccessRuleRow {
                id: String::new(),
                user_id: String::new(),
                service: "compute".into(),
                path: rule.into(),
                method: "GET".into(),
            };
            let get = Asked { service: "compute-api", method: &Method::GET, path };
            assert_eq!(rule.permits(&get), want, "{} {path}", rule.path);
            assert!(!rule.permits(&Asked { method: &Method::POST, ..get }));
            assert!(!rule.permits(&Asked { service: "image-api", ..get }));
        }
    }
}
