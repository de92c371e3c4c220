//! The host name a guest is given.

/// Longest DNS label.
const LABEL: usize = 63;

/// A host name out of a server's name, as Nova derives it: cut to a label, blanks, dots and underscores to dashes, the
/// rest of what DNS does not know left out. `default` (`Server-<uuid>`) if nothing is left.
pub fn derive(name: &str, default: &str) -> String {
    let latin = name.chars().filter(|c| u32::from(*c) < 256);
    let cut = latin.take(LABEL).map(|c| if matches!(c, ' ' | '_' | '.') { '-' } else { c });
    let clean: String = cut.filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let clean = clean.to_ascii_lowercase();
    let clean = clean.trim_matches('-');
    if clean.is_empty() { default.chars().take(LABEL).collect() } else { clean.to_owned() }
}

/// The names of `count` servers asked for at once: `web` alone, or `web-1`, `web-2`, …
pub fn numbered(name: &str, index: u64, count: u64) -> String {
    if count == 1 { name.to_owned() } else { format!("{name}-{}", index + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels() {
        let cases = [
            ("web", "web"),
            ("My Server_1.example", "my-server-1-example"),
            ("-_.edge.-", "edge"),
            ("größe", "gre"),
            ("サーバ", "Server-x"),
            ("", "Server-x"),
            ("a%b/c", "abc"),
        ];
        for (name, host) in cases {
            assert_eq!(derive(name, "Server-x"), host, "{name}");
        }
        assert_eq!(derive(&"a".repeat(100), "").len(), 63);
    }

    #[test]
    fn several_are_numbered_from_one() {
        assert_eq!(numbered("web", 0, 1), "web");
        assert_eq!(numbered("web", 0, 2), "web-1");
        assert_eq!(numbered("web", 1, 2), "web-2");
    }
}
