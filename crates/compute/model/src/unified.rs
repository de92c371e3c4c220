//! Compute's resources by the names that identity's unified limits have for them, and the arithmetic of these limits.

use std::collections::BTreeMap;

/// Servers, in whatever state.
pub const SERVERS: &str = "servers";
/// What the name of a resource class's limit begins with.
const CLASS: &str = "class:";

/// Limits that the API has by other names: `os-quota-sets` and `/limits` go on calling them so.
pub const NAMES: &[(&str, &str)] = &[
    ("instances", SERVERS),
    ("cores", "class:VCPU"),
    ("ram", "class:MEMORY_MB"),
    ("key_pairs", "server_key_pairs"),
    ("metadata_items", "server_metadata_items"),
    ("injected_files", "server_injected_files"),
    ("injected_file_content_bytes", "server_injected_file_content_bytes"),
    ("injected_file_path_bytes", "server_injected_file_path_bytes"),
    ("server_groups", "server_groups"),
    ("server_group_members", "server_group_members"),
];

/// The name of a resource class's limit.
pub fn of_class(class: &str) -> String {
    format!("{CLASS}{class}")
}

/// Whether compute ever asks for a limit of that name.
pub fn is_resource(name: &str) -> bool {
    let class = |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    name.strip_prefix(CLASS).is_some_and(class) || NAMES.iter().any(|(_, unified)| *unified == name)
}

/// How much of what, by the limits' names.
pub type Counts = BTreeMap<String, i64>;

/// Adds `times` as much as `one` has.
pub fn add(sums: &mut Counts, one: &Counts, times: i64) {
    for (name, n) in one {
        let sum = sums.entry(name.clone()).or_default();
        *sum = sum.saturating_add(n.saturating_mul(times));
    }
}

/// What would be over its limit, in oslo.limit's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Project {project} is over a limit for [{}]", self.list())]
pub struct OverLimit {
    project: String,
    over: Vec<Over>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Over {
    name: String,
    limit: i64,
    used: i64,
    delta: i64,
}

impl OverLimit {
    fn list(&self) -> String {
        let one = |o: &Over| {
            let Over { name, limit, used, delta } = o;
            format!("Resource {name} is over limit of {limit} due to current usage {used} and delta {delta}")
        };
        self.over.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// Whether `wanted` on top of `used` stays within the limits; negative: any.
pub fn within(project: &str, used: &Counts, wanted: &Counts, limit: impl Fn(&str) -> i64) -> Result<(), OverLimit> {
    let parts = wanted.iter().filter(|(_, delta)| **delta > 0).map(|(name, delta)| Over {
        name: name.clone(),
        limit: limit(name),
        used: used.get(name).copied().unwrap_or(0),
        delta: *delta,
    });
    let over: Vec<Over> = parts.filter(|o| o.limit >= 0 && o.used.saturating_add(o.delta) > o.limit).collect();
    if over.is_empty() { Ok(()) } else { Err(OverLimit { project: project.to_owned(), over }) }
}

/// How many times `one` fits beside `used`.
pub fn fitting(one: &Counts, used: &Counts, limit: impl Fn(&str) -> i64) -> i64 {
    let room = |(name, n): (&String, &i64)| {
        let free = limit(name).saturating_sub(used.get(name).copied().unwrap_or(0)).max(0);
        (limit(name) >= 0 && *n > 0).then(|| free / n)
    };
    one.iter().filter_map(room).min().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, i64)]) -> Counts {
        pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    #[test]
    fn the_last_one_fits_and_the_next_does_not() {
        let one = counts(&[(SERVERS, 1), ("class:DISK_GB", 10), ("class:CUSTOM_X", 0)]);
        let limit = |name: &str| match name {
            SERVERS => 3,
            "class:DISK_GB" => 25,
            _ => 0,
        };
        let mut used = counts(&[(SERVERS, 1), ("class:DISK_GB", 15)]);
        assert_eq!(within("p", &used, &one, limit), Ok(()));
        assert_eq!(fitting(&one, &used, limit), 1);
        add(&mut used, &one, 2);
        assert_eq!(fitting(&one, &used, limit), 0);
        assert_eq!(
            within("p", &used, &one, limit).unwrap_err().to_string(),
            "Project p is over a limit for [Resource class:DISK_GB is over limit of 25 due to current usage 35 and delta 10, \
             Resource servers is over limit of 3 due to current usage 3 and delta 1]"
        );
        assert_eq!(within("p", &used, &one, |_| -1), Ok(()));
        assert_eq!(fitting(&one, &used, |_| -1), i64::MAX);
    }

    #[test]
    fn names() {
        for name in ["servers", "class:DISK_GB", "class:CUSTOM_GPU_2", "server_key_pairs"] {
            assert!(is_resource(name), "{name}");
        }
        for name in ["instances", "class:", "class:vcpu", "VCPU", ""] {
            assert!(!is_resource(name), "{name}");
        }
    }
}
