//! Access rules of application credentials: which requests a token of theirs is good for.

use crate::store::access_rules::AccessRuleRow;
use platform_http::Asked;
use regex::Regex;

impl AccessRuleRow {
    pub(crate) fn permits(&self, asked: &Asked<'_>) -> bool {
        permits(&self.service, &self.method, &self.path, asked)
    }

    /// Whether every request this rule is good for is one that `wider` is good for. A pattern is within another only if
    /// it is the same.
    pub(crate) fn is_within(&self, wider: &Self) -> bool {
        let is_literal = !self.path.contains(['*', '{']);
        let path_is_within =
            self.path == wider.path || (is_literal && pattern(&wider.path).is_some_and(|p| p.is_match(&self.path)));
        self.service == wider.service && self.method.eq_ignore_ascii_case(&wider.method) && path_is_within
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

    fn rule(service: &str, method: &str, path: &str) -> AccessRuleRow {
        AccessRuleRow {
            id: String::new(),
            user_id: String::new(),
            service: service.into(),
            path: path.into(),
            method: method.into(),
        }
    }

    #[test]
    fn rules_within_rules() {
        let wide = rule("compute", "GET", "/v2.1/servers/*/ips");
        for (narrow, want) in [
            (rule("compute", "get", "/v2.1/servers/1/ips"), true),
            (wide.clone(), true),
            (rule("compute", "GET", "/v2.1/servers/**/ips"), false),
            (rule("compute", "GET", "/v2.1/servers/{id}/ips"), false),
            (rule("compute", "GET", "/v2.1/servers/1/2/ips"), false),
            (rule("compute", "POST", "/v2.1/servers/1/ips"), false),
            (rule("image", "GET", "/v2.1/servers/1/ips"), false),
        ] {
            assert_eq!(narrow.is_within(&wide), want, "{} {}", narrow.method, narrow.path);
        }
    }

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
            let rule = super::tests::rule("compute", "GET", rule);
            let get = Asked { service: "compute-api", method: &Method::GET, path };
            assert_eq!(rule.permits(&get), want, "{} {path}", rule.path);
            assert!(!rule.permits(&Asked { method: &Method::POST, ..get }));
            assert!(!rule.permits(&Asked { service: "image-api", ..get }));
        }
    }
}
