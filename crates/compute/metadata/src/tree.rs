//! What lies at which path. Pure: paths and a guest in, what to answer out.

use base::Timestamp;
use compute_model::metadata::{EC2_VERSIONS, GuestMetadata, LATEST, OPENSTACK_VERSIONS, Place, Seed};
use percent_encoding::percent_decode_str;
use serde_json::Value;

#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    Text(String),
    /// Leaves as it is, as text.
    Bytes(Vec<u8>),
    Json(Value),
    /// What the guest has posted, or will: it is not part of the documents.
    Password,
}

/// A path's names, decoded; `.` and `..` are followed and never lead out of the root.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut names: Vec<String> = Vec::new();
    for name in decoded.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name.to_owned()),
        }
    }
    names
}

/// `None`: there is nothing. `now` decides which versions are listed; all of them answer.
pub(crate) fn find(
    guest: &GuestMetadata<'_>,
    path: &[String],
    now: Timestamp,
    seed: impl FnOnce() -> Seed,
) -> Option<Found> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match &path[..] {
        ["openstack"] => Some(Found::Text(openstack_versions(now))),
        ["openstack", version, rest @ ..] => openstack(guest, version, rest, seed),
        ["ec2"] => Some(Found::Text(ec2_versions())),
        // guests of EC2 know no such prefix
        ["ec2", version, rest @ ..] | [version, rest @ ..] => ec2(guest, version, rest),
        [] => Some(Found::Text(ec2_versions())),
    }
}

pub(crate) fn ec2_versions() -> String {
    lines(EC2_VERSIONS.iter().copied().chain([LATEST]))
}

/// Those of the future are not shown.
fn openstack_versions(now: Timestamp) -> String {
    let now = now.seconds_z();
    lines(
        OPENSTACK_VERSIONS
            .iter()
            .copied()
            .filter(|v| now.get(..v.len()).is_some_and(|today| *v <= today))
            .chain([LATEST]),
    )
}

fn openstack(guest: &GuestMetadata<'_>, version: &str, rest: &[&str], seed: impl FnOnce() -> Seed) -> Option<Found> {
    let listed = guest.listing(version)?;
    let name = match rest {
        [] => return Some(Found::Text(lines(listed))),
        [name] if listed.contains(name) => *name,
        _ => return None,
    };
    match name {
        "meta_data.json" => guest.meta_data(version, Place::Service, &seed()).map(Found::Json),
        "user_data" => guest.user_data().map(Found::Bytes),
        "password" => Some(Found::Password),
        "vendor_data.json" => guest.vendor_data(version).map(Found::Json),
        "vendor_data2.json" => guest.vendor_data2(version).map(Found::Json),
        // Nova forgets to say that it is JSON
        "network_data.json" => guest.network_data(version).map(|document| Found::Text(document.to_string())),
        _ => None,
    }
}

fn ec2(guest: &GuestMetadata<'_>, version: &str, rest: &[&str]) -> Option<Found> {
    let meta_data = guest.ec2(version)?;
    match rest {
        [] => {
            let user_data = guest.user_data().map(|_| "user-data");
            Some(Found::Text(lines(["meta-data/"].into_iter().chain(user_data))))
        }
        ["user-data"] => guest.user_data().map(Found::Bytes),
        ["meta-data", rest @ ..] => rest.iter().try_fold(&meta_data, below).map(|value| Found::Text(shown(value))),
        _ => None,
    }
}

/// What a listing shows of a folder in place of its name.
const SHOWN_AS: &str = "_name";

fn below<'v>(folder: &'v Value, name: &&str) -> Option<&'v Value> {
    folder.as_object()?.get(*name).filter(|_| *name != SHOWN_AS)
}

/// A folder as its sorted names, one a line, those of folders with a slash; anything else as its text, and nothing as
/// no text (Nova writes Python's `None`).
fn shown(value: &Value) -> String {
    match value {
        Value::Object(folder) => {
            let mut names: Vec<&String> = folder.keys().filter(|name| *name != SHOWN_AS).collect();
            names.sort();
            lines(names.into_iter().map(|name| match &folder[name] {
                Value::Object(inner) => match inner.get(SHOWN_AS) {
                    Some(own) => shown(own),
                    None => format!("{name}/"),
                },
                _ => name.clone(),
            }))
        }
        Value::Array(items) => lines(items.iter().map(shown)),
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn lines<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for (n, line) in all.into_iter().enumerate() {
        if n > 0 {
            text.push('\n');
        }
        text.push_str(line.as_ref());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_normal_before_they_are_looked_at() {
        for (path, names) in [
            ("/", vec![]),
            ("", vec![]),
            ("//", vec![]),
            ("/../..", vec![]),
            ("/latest/", vec!["latest"]),
            ("//latest//meta-data/", vec!["latest", "meta-data"]),
            ("/a/../latest/./x", vec!["latest", "x"]),
            ("/latest%2Fmeta%2ddata", vec!["latest", "meta-data"]),
            ("/%2e%2e/latest", vec!["latest"]),
            ("/%ff", vec!["\u{fffd}"]),
        ] {
            assert_eq!(segments(path), names, "{path}");
        }
    }

    #[test]
    fn folders_lists_and_values() {
        let folder = json!({
            "b": "x", "a": {"z": 1}, "0": {"_name": "0=mine", "openssh-key": "k"}, "_name": "hidden", "list": ["g", "h"]
        });
        assert_eq!(shown(&folder), "0=mine\na/\nb\nlist");
        assert_eq!(shown(&folder["list"]), "g\nh");
        assert_eq!(shown(&json!(3)), "3");
        assert_eq!(shown(&json!(null)), "");
        assert_eq!(below(&folder["0"], &"_name"), None);
        assert_eq!(below(&folder["list"], &"0"), None);
    }

    #[test]
    fn versions_of_the_future_are_not_listed() {
        let at = |day: &str| openstack_versions(Timestamp::parse_iso(day).unwrap());
        assert_eq!(at("2013-04-03"), "2012-08-10\nlatest");
        assert_eq!(at("2013-04-04"), "2012-08-10\n2013-04-04\nlatest");
        assert_eq!(at("2030-01-01").lines().count(), OPENSTACK_VERSIONS.len() + 1);
    }
}
