//! The formats Nova's schemas name. A format no one checks lets everything pass, as in python-jsonschema.

use base::Timestamp;
use regex::Regex;
use serde_json::Value;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Name,
    NameWithSpaces,
    AzName,
    AzNameWithSpaces,
    Base64,
    Cidr,
    DateTime,
    Ipv4,
    Ipv6,
    Regex,
    Uri,
    Uuid,
}

/// Name in the schema, which messages repeat.
const FORMATS: &[(&str, Format)] = &[
    ("name", Format::Name),
    ("name_with_leading_trailing_spaces", Format::NameWithSpaces),
    ("az_name", Format::AzName),
    ("az_name_with_leading_trailing_spaces", Format::AzNameWithSpaces),
    ("base64", Format::Base64),
    ("cidr", Format::Cidr),
    ("date-time", Format::DateTime),
    ("ipv4", Format::Ipv4),
    ("ipv6", Format::Ipv6),
    ("regex", Format::Regex),
    ("uri", Format::Uri),
    ("uuid", Format::Uuid),
];

impl Format {
    pub(super) fn named(name: &str) -> Option<Self> {
        FORMATS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
    }

    pub(super) fn name(self) -> &'static str {
        FORMATS.iter().find(|(_, f)| *f == self).map_or("", |(n, _)| n)
    }

    /// For the name formats: how Nova finishes "The name must be: ".
    pub(super) fn name_reason(self) -> Option<&'static str> {
        match self {
            Self::Name => Some("printable characters. Can not start or end with whitespace."),
            Self::NameWithSpaces => Some("printable characters with at least one non space character"),
            // the missing blank is Nova's
            Self::AzName => Some("printable characters except :.Can not start or end with whitespace."),
            Self::AzNameWithSpaces => Some("printable characters except :, with at least one non space character"),
            _ => None,
        }
    }

    /// Values other than text pass, but not as a name.
    pub(super) fn accepts(self, value: &Value) -> bool {
        let Some(text) = value.as_str() else { return self.name_reason().is_none() };
        match self {
            Self::Name => is_trimmed_name(text),
            Self::NameWithSpaces => is_name_with_spaces(text),
            Self::AzName => is_trimmed_name(text) && !text.contains(':'),
            Self::AzNameWithSpaces => is_name_with_spaces(text) && !text.contains(':'),
            Self::Base64 => is_base64(text),
            Self::Cidr => is_cidr(text),
            Self::DateTime => Timestamp::parse_iso(text).is_some(),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Regex => is_regex(text),
            Self::Uri => URI.as_ref().is_some_and(|uri| uri.is_match(text)),
            Self::Uuid => uuid::Uuid::parse_str(text).is_ok(),
        }
    }
}

/// Nova looks at the basic multilingual plane only, so an emoji is not printable to it.
static PRINTABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[\x{0}-\x{FFFE}&&[^\p{C}\p{Zl}\p{Zp}]]*$").ok());
static SPACE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Zs}$").ok());

/// Scheme and host are required, and every part must be made of what RFC 3986 allows there.
static URI: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const CHAR: &str = r"[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2}";
    Regex::new(&format!(
        r"(?x)^ [A-Za-z][A-Za-z0-9+.\-]* ://
          (?: (?:{CHAR}|:)* @ )?
          (?: \[ [0-9A-Fa-f:.]+ \] | (?:{CHAR})+ )
          (?: : [0-9]* )?
          (?: / (?:{CHAR}|[:@/])* )?
          (?: \? (?:{CHAR}|[:@/?])* )?
          (?: \# (?:{CHAR}|[:@/?])* )? $"
    ))
    .ok()
});

fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~')) || PRINTABLE.as_ref().is_some_and(|p| p.is_match(text))
}

fn is_space(c: char) -> bool {
    c == ' ' || (!c.is_ascii() && SPACE.as_ref().is_some_and(|s| s.is_match(c.encode_utf8(&mut [0; 4]))))
}

/// The empty text passes: `minLength` is there to refuse it.
fn is_trimmed_name(text: &str) -> bool {
    is_printable(text) && !text.starts_with(is_space) && !text.ends_with(is_space)
}

fn is_name_with_spaces(text: &str) -> bool {
    is_printable(text) && text.chars().any(|c| !is_space(c))
}

/// Repetitions of repetitions can make a short text a huge machine: one of more than a megabyte is refused.
fn is_regex(text: &str) -> bool {
    !text.is_empty() && fancy_regex::RegexBuilder::new(text).delegate_size_limit(1 << 20).build().is_ok()
}

/// Python's lenient decoder: foreign characters are skipped, only the padding can be wrong.
fn is_base64(text: &str) -> bool {
    let digits = text.bytes().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
    let padding = text.bytes().filter(|b| *b == b'=').count();
    match digits % 4 {
        0 => true,
        1 => false,
        left => padding >= 4 - left,
    }
}

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::/32`; bits beyond the prefix may be set.
fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let bits = || prefix.parse::<u8>().ok().filter(|_| prefix.bytes().all(|b| b.is_ascii_digit()));
    if address.parse::<Ipv4Addr>().is_ok() {
        let mask = || prefix.parse::<Ipv4Addr>().is_ok_and(|m| (!m.to_bits()).wrapping_add(1).is_power_of_two());
        bits().is_some_and(|b| b <= 32) || prefix == "0.0.0.0" || mask()
    } else {
        address.parse::<Ipv6Addr>().is_ok() && bits().is_some_and(|b| b <= 128)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_by_example() {
        for (format, good, bad) in [
            (
                Format::Name,
                &["", "a", "my server", "ü", "a:b", "中\u{a0}文"][..],
                &[" a", "a ", "a\nb", "\u{a0}x", "😀", "\u{200b}", "a\u{2028}b"][..],
            ),
            (Format::NameWithSpaces, &[" a ", "a"], &["", "   ", "a\t", "\u{a0}"]),
            (Format::AzName, &["nova", "a b"], &["a:b", " a"]),
            (Format::AzNameWithSpaces, &[" a "], &[" a: ", "  "]),
            (Format::Base64, &["", "Zm9v", "Zg==", "Z g=\n=", "!!!!"], &["Z", "Zg", "Zg=", "Zm9vY"]),
            (
                Format::Cidr,
                &["10.0.0.0/8", "10.1.2.3/255.255.0.0", "::/0", "0.0.0.0/0.0.0.0"],
                &["10.0.0.0", "10.0.0.0/33", "x/8", "::/129", "10.0.0.0/ 8", "1.2.3.4/255.0.255.0", "::/ffff::"],
            ),
            (
                Format::DateTime,
                &["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1+02:00", "2026-01-02", "2026-01-02 03:04:05"],
                &["", "yesterday", "2026-13-01"],
            ),
            (Format::Ipv4, &["1.2.3.4"], &["1.2.3", "01.2.3.4", "::1"]),
            (Format::Ipv6, &["::1", "2001:db8::1"], &["1.2.3.4", "fe80::1%eth0"]),
            (Format::Regex, &["a.*", "(?!x)y", r"(a)\1"], &["", "(", "*", "((a{100}){100}){100}"]),
            (
                Format::Uri,
                &["http://h", "https://u:p@h:5000/v3?a=b#c", "ssh://[::1]:22/"],
                &["h/p", "http://", "mailto:a@b", "http://h/a b", "http://h/%zz"],
            ),
            (
                Format::Uuid,
                &["6f4a3c1e-0000-4000-8000-000000000000", "6F4A3C1E000040008000000000000000"],
                &["", "6f4a3c1e", "zf4a3c1e-0000-4000-8000-000000000000"],
            ),
        ] {
            for text in good {
                assert!(format.accepts(&Value::from(*text)), "{format:?} {text:?}");
            }
            for text in bad {
                assert!(!format.accepts(&Value::from(*text)), "{format:?} {text:?}");
            }
            assert_eq!(format.accepts(&Value::Null), format.name_reason().is_none(), "{format:?}");
            assert_eq!(Format::named(format.name()), Some(format));
        }
    }
}
