//! Which URLs may be fetched, by what is written in them: Glance's `import_filtering_opts`.

use super::FetchError;
use std::net::Ipv4Addr;
use url::Url;

/// Of each pair, a list of what is allowed that is not empty wins over the list of what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlFilter {
    pub allowed_schemes: Vec<String>,
    pub disallowed_schemes: Vec<String>,
    /// Names or addresses, as they stand in the URL.
    pub allowed_hosts: Vec<String>,
    pub disallowed_hosts: Vec<String>,
    /// A URL without a port has that of its scheme.
    pub allowed_ports: Vec<u16>,
    pub disallowed_ports: Vec<u16>,
}

impl Default for UrlFilter {
    fn default() -> Self {
        Self {
            allowed_schemes: vec!["http".into(), "https".into()],
            disallowed_schemes: Vec::new(),
            allowed_hosts: Vec::new(),
            disallowed_hosts: Vec::new(),
            allowed_ports: vec![80, 443],
            disallowed_ports: Vec::new(),
        }
    }
}

impl UrlFilter {
    pub(crate) fn check(&self, text: &str) -> Result<Url, FetchError> {
        self.passes(text).ok_or_else(|| FetchError::Filtered(text.to_owned()))
    }

    pub(super) fn passes(&self, text: &str) -> Option<Url> {
        // what parsers read in different ways
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return None;
        }
        let url = Url::parse(text).ok()?;
        // nothing else can be fetched, whatever the lists say
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let host = url.host_str()?;
        let port = url.port_or_known_default()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // an address may be written as one only: not as 2130706433, 0x7f000001, 0177.1 or 127.0.0.1 with a dot after it
        let written = written_host(text);
        if written.is_empty() || host.parse::<Ipv4Addr>().is_ok() && written != host {
            return None;
        }
        let plain = host.trim_end_matches('.');
        let listed = |list: &[String]| list.iter().any(|h| h.trim_end_matches('.').eq_ignore_ascii_case(plain));
        let scheme = |list: &[String]| list.iter().any(|s| s.eq_ignore_ascii_case(url.scheme()));
        let fine = passes(&self.allowed_schemes, &self.disallowed_schemes, |l| scheme(l))
            && passes(&self.allowed_hosts, &self.disallowed_hosts, |l| listed(l))
            && passes(&self.allowed_ports, &self.disallowed_ports, |l| l.contains(&port));
        fine.then_some(url)
    }
}

fn passes<T>(allowed: &[T], disallowed: &[T], has: impl Fn(&[T]) -> bool) -> bool {
    if allowed.is_empty() { !has(disallowed) } else { has(allowed) }
}

/// The host as it stands in the text; of an IPv6 address only how it begins.
fn written_host(text: &str) -> &str {
    let authority = text.split_once("//").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
    let written = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    written.split_once(':').map_or(written, |(h, _)| h)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: &UrlFilter, text: &str) -> bool {
        filter.check(text).is_ok()
    }

    #[test]
    fn by_default_http_on_its_own_ports() {
        let filter = UrlFilter::default();
        for text in [
            "http://example.org/a.qcow2",
            "https://example.org",
            "HTTP://Example.org/",
            "http://example.org:80/x",
            "https://example.org:443/x",
            "http://1.2.3.4/x",
            "http://[2606:4700::1111]/x",
            "http://user:pw@example.org/x",
            "http://example.org:443/x",
            "https://xn--bcher-kva.example/x",
            "http://bücher.example/x",
        ] {
            assert!(passes(&filter, text), "{text}");
        }
        for text in [
            "",
            "example.org",
            "/etc/passwd",
            "file:///etc/passwd",
            "ftp://example.org/x",
            "gopher://example.org/",
            "http://",
            "http:///x",
            "http://example.org:22/",
            "http://example.org:8080/x",
            "http://example.org:0/",
            "http://example.org:99999/",
            "data:text/plain,x",
            "javascript:alert(1)",
            "http://exa mple.org/",
            "http://example.org\\@127.0.0.1/",
            "http://a\nb/",
            "swift+https://u:p@x/y",
            "cinder://x",
        ] {
            assert!(!passes(&filter, text), "{text:?}");
        }
    }

    /// Every way to write an address that some resolver understands and a list of hosts would not.
    #[test]
    fn s11_odd_ways_to_write_an_address() {
        let filter = UrlFilter::default();
        for host in [
            "2130706433",
            "0x7f000001",
            "0x7F.0.0.1",
            "017700000001",
            "0177.0.0.1",
            "127.1",
            "127.0.1",
            "127.0.0.1.",
            "0x7f.1",
            "127.0x0.0.1",
            "0",
            "0x0",
            "3232235521",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "1%32%37.0.0.1",
            "%31%32%37%2e%30%2e%30%2e%31",
            "１２７.０.０.１",
            "127。0。0。1",
            "①②⑦.0.0.1",
            "00000177.0.0.1",
            "127.000.000.001",
            "256.1.1.1",
            "127.0.0.1.0",
            "0x",
            "1.2.3.4.5",
        ] {
            assert!(!passes(&filter, &format!("http://{host}/x")), "{host}");
            assert!(!passes(&filter, &format!("http://user@{host}:80/x")), "{host}");
        }
    }

    #[test]
    fn lists_of_what_is_allowed_win() {
        let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let filter = UrlFilter {
            allowed_hosts: texts(&["images.example"]),
            disallowed_hosts: texts(&["images.example"]),
            ..UrlFilter::default()
        };
        assert!(passes(&filter, "http://IMAGES.example./x"));
        assert!(!passes(&filter, "http://other.example/x"));
        assert!(!passes(&filter, "http://images.example.evil.example/x"));
        assert!(!passes(&filter, "http://images.example@other.example/x"));
        let filter = UrlFilter {
            allowed_schemes: Vec::new(),
            disallowed_schemes: texts(&["http"]),
            disallowed_hosts: texts(&["Bad.example", "1.2.3.4", "2606:4700::1111"]),
            allowed_ports: Vec::new(),
            disallowed_ports: vec![22, 443],
            ..UrlFilter::default()
        };
        assert!(passes(&filter, "https://good.example:444/x"));
        for text in [
            "http://good.example/",
            "https://good.example/",
            "https://good.example:22/",
            "https://bad.example:444/",
            "https://bad.example.:444/",
            "https://1.2.3.4:444/",
            "https://[2606:4700::1111]:444/",
        ] {
            assert!(!passes(&filter, text), "{text}");
        }
    }
}
