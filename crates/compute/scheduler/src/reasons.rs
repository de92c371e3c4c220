//! Why hosts were refused, kept until somebody has to be told.

use crate::filters;
use base::HostName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why one host was refused. The first that applies; hosts are not searched for a second one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Cause {
    /// `free` of `total` is left, in the resource's own unit.
    Lacks {
        resource: String,
        free: u64,
        total: u64,
    },
    /// There is enough, but not in such amounts (`min_unit`, `max_unit`, `step_size`).
    Units {
        resource: String,
    },
    Disabled {
        reason: Option<String>,
    },
    Down,
    MissingTrait {
        name: String,
    },
    ForbiddenTrait {
        name: String,
    },
    OutsideZone {
        zone: String,
    },
    OutsideAggregates,
    /// Each part of the request could be met there, not all together.
    NoCombination,
    /// A scheduler filter's name.
    Filter {
        name: String,
    },
    /// The server failed to build there already, or the host was to be left out.
    Ignored,
    /// Other servers took the place between the choice and the claim.
    Taken,
}

impl Cause {
    pub(crate) fn filter(name: &str) -> Self {
        Self::Filter { name: name.to_owned() }
    }

    /// Causes that are told together; the text sorts the groups of equal size.
    fn kind(&self) -> String {
        match self {
            Self::Lacks { resource, .. } => format!("lacks {resource}"),
            Self::Disabled { .. } => "disabled".to_owned(),
            other => other.phrase(false),
        }
    }

    /// After a number: "2 `lack …`", "1 `is …`".
    fn phrase(&self, many: bool) -> String {
        let pick = |one: &str, more: &str| if many { more.to_owned() } else { one.to_owned() };
        match self {
            Self::Lacks { resource, .. } => pick(&format!("lacks {resource}"), &format!("lack {resource}")),
            Self::Units { resource } => {
                let end = format!("not give {resource} in this amount");
                pick(&format!("does {end}"), &format!("do {end}"))
            }
            Self::Disabled { .. } => pick("is disabled", "are disabled"),
            Self::Down => pick("is down", "are down"),
            Self::MissingTrait { name } => pick(&format!("lacks trait {name}"), &format!("lack trait {name}")),
            Self::ForbiddenTrait { name } => {
                pick(&format!("has the forbidden trait {name}"), &format!("have the forbidden trait {name}"))
            }
            Self::OutsideZone { zone } => {
                let end = format!("not in availability zone {zone}");
                pick(&format!("is {end}"), &format!("are {end}"))
            }
            Self::OutsideAggregates => {
                pick("is outside the aggregates asked for", "are outside the aggregates asked for")
            }
            Self::NoCombination => pick(
                "has everything, but not in a combination that fits",
                "have everything, but not in a combination that fits",
            ),
            Self::Filter { name } => match filters::find(name).map(|f| f.refusal) {
                Some((one, more)) => pick(one, more),
                None => pick(&format!("was refused by {name}"), &format!("were refused by {name}")),
            },
            Self::Ignored => pick("was tried before or is left out", "were tried before or are left out"),
            Self::Taken => pick("was taken by others meanwhile", "were taken by others meanwhile"),
        }
    }
}

/// Names an operator is shown for one cause.
const NAMES: usize = 20;

/// Every host looked at and refused, with its cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasons {
    refused: Vec<(HostName, Cause)>,
}

impl Reasons {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn add(&mut self, host: HostName, cause: Cause) {
        self.refused.push((host, cause));
    }
    pub fn len(&self) -> usize {
        self.refused.len()
    }
    pub fn is_empty(&self) -> bool {
        self.refused.is_empty()
    }
    pub fn iter(&self) -> impl Iterator<Item = &(HostName, Cause)> {
        self.refused.iter()
    }

    /// For a server's fault: counts, no names.
    /// "No valid host was found. 3 hosts: 2 lack MEMORY_MB (best 512 of 2048 free), 1 is disabled"
    pub fn for_tenants(&self) -> String {
        self.tell(|_| String::new())
    }

    /// For operators: the same with the names of hosts, and disabled hosts' reasons.
    pub fn for_operators(&self) -> String {
        self.tell(|group| {
            let mut names: Vec<String> = group.iter().take(NAMES).map(|(host, cause)| named(host, cause)).collect();
            if group.len() > NAMES {
                names.push(format!("and {} more", group.len() - NAMES));
            }
            format!(": {}", names.join(", "))
        })
    }

    fn tell(&self, names: impl Fn(&[&(HostName, Cause)]) -> String) -> String {
        if self.refused.is_empty() {
            return "No valid host was found. There are not enough hosts available.".to_owned();
        }
        let mut groups: BTreeMap<String, Vec<&(HostName, Cause)>> = BTreeMap::new();
        for r in &self.refused {
            groups.entry(r.1.kind()).or_default().push(r);
        }
        let mut groups: Vec<Vec<&(HostName, Cause)>> = groups.into_values().collect();
        groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
        let told: Vec<String> = groups
            .iter()
            .map(|g| format!("{} {}{}{}", g.len(), g[0].1.phrase(g.len() > 1), best(g), names(g)))
            .collect();
        let n = self.refused.len();
        let hosts = if n == 1 { "host" } else { "hosts" };
        format!("No valid host was found. {n} {hosts}: {}", told.join(", "))
    }
}

/// How near the nearest of them came.
fn best(group: &[&(HostName, Cause)]) -> String {
    let most = group.iter().filter_map(|(_, cause)| match cause {
        Cause::Lacks { free, total, .. } => Some((*free, *total)),
        _ => None,
    });
    match most.max() {
        Some((free, total)) => format!(" (best {free} of {total} free)"),
        None => String::new(),
    }
}

fn named(host: &HostName, cause: &Cause) -> String {
    match cause {
        Cause::Lacks { free, total, .. } => format!("{host} ({free} of {total} free)"),
        Cause::Disabled { reason: Some(reason) } => format!("{host} ({reason})"),
        _ => host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(free: u64, total: u64) -> Cause {
        Cause::Lacks { resource: "MEMORY_MB".into(), free, total }
    }

    #[test]
    fn tenants_see_counts_and_operators_names() {
        let mut r = Reasons::new();
        r.add("a".into(), lacks(512, 2048));
        r.add("b".into(), Cause::Disabled { reason: Some("new disks".into()) });
        r.add("c".into(), lacks(100, 4096));
        assert_eq!(
            r.for_tenants(),
            "No valid host was found. 3 hosts: 2 lack MEMORY_MB (best 512 of 2048 free), 1 is disabled"
        );
        assert_eq!(
            r.for_operators(),
            "No valid host was found. 3 hosts: 2 lack MEMORY_MB (best 512 of 2048 free): a (512 of 2048 free), \
             c (100 of 4096 free), 1 is disabled: b (new disks)"
        );
    }

    #[test]
    fn no_hosts_at_all_is_said_in_novas_words() {
        assert_eq!(Reasons::new().for_tenants(), "No valid host was found. There are not enough hosts available.");
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let mut r = Reasons::new();
        for n in 0..25 {
            r.add(format!("h{n}").into(), Cause::Down);
        }
        let told = r.for_operators();
        assert!(told.starts_with("No valid host was found. 25 hosts: 25 are down: h0, h1"), "{told}");
        assert!(told.ends_with("h19, and 5 more"), "{told}");
    }
}
