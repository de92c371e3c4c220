//! Who may know whom.

use super::{Problem, fits, fits_any};
use crate::repo::Repo;
use anyhow::Result;
use std::collections::{BTreeSet, VecDeque};

/// These crates may not reach those, neither themselves nor through other crates of ours.
struct Boundary {
    crates: &'static [&'static str],
    /// Crates of this kind that the boundary is not for.
    except: &'static [&'static str],
    never: &'static [&'static str],
    why: &'static str,
}

const BOUNDARIES: &[Boundary] = &[
    Boundary {
        crates: &["base", "*-model", "compute-scheduler", "image-formats"],
        except: &[],
        never: &["tokio", "tokio-util", "axum", "hyper", "reqwest", "sqlx", "platform-*"],
        why: "pure crates decide and never wait: no runtime, no HTTP, no SQL, so their tests take microseconds",
    },
    Boundary {
        crates: &["image-convert"],
        except: &[],
        never: &["tokio", "tokio-util", "axum", "hyper", "reqwest", "sqlx", "platform-*", "base"],
        why: "conversion reads hostile files: the fewer things stand around it, the less one can do with a mistake in it",
    },
    Boundary {
        crates: &["compute-agent", "compute-driver-*"],
        except: &[],
        never: &["*-store", "*-registry", "platform-db", "platform-engine", "identity", "placement", "sqlx"],
        why: "a compute host never sees the database: whoever breaks out of a guest must not find its password",
    },
    Boundary {
        crates: &["*-api", "compute-metadata"],
        except: &[],
        never: &["*-driver-*", "compute-agent"],
        why: "an API writes down what is wanted and answers; only the agent acts on a hypervisor",
    },
    Boundary {
        crates: &["compute-driver-*"],
        except: &[],
        never: &["compute-api", "compute-conductor", "compute-agent", "platform-http"],
        why: "a driver knows the model, base and its hypervisor's protocol, so that it can be read and replaced alone",
    },
    Boundary {
        crates: &["platform-*"],
        except: &[],
        never: &["compute-*", "image-*", "identity", "placement"],
        why: "the platform knows no OpenStack service",
    },
    Boundary {
        crates: &["compute-*"],
        except: &[],
        never: &["image-api", "image-registry", "image-backends", "identity"],
        why: "services meet through a trait in a model crate, so that each can run elsewhere or be somebody else's",
    },
    Boundary {
        crates: &["image-*", "identity", "placement"],
        except: &[],
        never: &["compute-*"],
        why: "services meet through a trait in a model crate, so that each can run elsewhere or be somebody else's",
    },
    Boundary {
        crates: &["*"],
        except: &["skyiron", "tests", "xtask"],
        never: &["doctor", "backup"],
        why: "the doctor sees every table: who asked it would have found a way around all other walls",
    },
    Boundary {
        crates: &["*"],
        except: &["tests", "xtask"],
        never: &["skyiron"],
        why: "the binary puts the roles together; nothing is built on it",
    },
];

/// Only these crates may name that package in their manifest.
struct Exclusive {
    package: &'static str,
    only: &'static [&'static str],
    why: &'static str,
}

const EXCLUSIVES: &[Exclusive] = &[
    Exclusive {
        package: "sqlx",
        only: &["platform-db", "platform-engine", "identity", "placement", "compute-store", "image-registry", "doctor"],
        why: "SQL stands in the stores, which run on both databases through platform-db; everyone else asks a store \
              (the doctor compares what the stores wrote, past all of them)",
    },
    Exclusive {
        package: "async-nats",
        only: &["platform-bus"],
        why: "messages are hints and the bus may be in-process: nobody may rely on what only NATS can do",
    },
];

pub(super) fn check(repo: &Repo) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for name in repo.crates.keys() {
        for boundary in BOUNDARIES.iter().filter(|b| fits_any(b.crates, name) && !fits_any(b.except, name)) {
            let paths = boundary.never.iter().filter_map(|never| path(repo, name, never));
            problems.extend(paths.map(|path| Problem::new(name, format!("depends on {path}"), boundary.why)));
        }
        problems.extend(exclusives(repo, name));
    }
    Ok(problems)
}

fn exclusives(repo: &Repo, name: &str) -> Vec<Problem> {
    let member = &repo.crates[name];
    let lists = |package: &str| member.dependencies.iter().chain(&member.dev_dependencies).any(|d| d == package);
    EXCLUSIVES
        .iter()
        .filter(|e| !e.only.contains(&name) && lists(e.package))
        .map(|e| {
            Problem::new(name, format!("depends on {}, which is for {} only", e.package, e.only.join(", ")), e.why)
        })
        .collect()
}

/// The shortest way from a crate to a package that fits `never`: `compute-store -> sqlx`, without the crate itself.
/// What only tests need does not count.
fn path(repo: &Repo, from: &str, never: &str) -> Option<String> {
    let mut seen = BTreeSet::from([from]);
    let mut queue = VecDeque::from([(from, String::new())]);
    while let Some((name, way)) = queue.pop_front() {
        let Some(member) = repo.crates.get(name) else { continue };
        for next in &member.dependencies {
            let way = if way.is_empty() { next.clone() } else { format!("{way} -> {next}") };
            if fits(never, next) && next != from {
                return Some(way);
            }
            if seen.insert(next) {
                queue.push_back((next, way));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture;

    fn whats(crates: &[(&str, &[&str])]) -> Vec<String> {
        check(&fixture::crates(crates)).unwrap().into_iter().map(|p| format!("{} {}", p.at, p.what)).collect()
    }

    #[test]
    fn a_healthy_tree_passes() {
        let healthy: &[(&str, &[&str])] = &[
            ("base", &["serde"]),
            ("compute-model", &["base"]),
            ("compute-store", &["compute-model", "platform-db", "sqlx"]),
            ("compute-api", &["compute-store", "platform-http"]),
            ("compute-agent", &["compute-model", "tokio", "platform-bus"]),
            ("compute-driver-qemu", &["compute-model", "tokio"]),
            ("platform-db", &["base", "sqlx"]),
            ("platform-bus", &["async-nats"]),
            ("platform-http", &["axum"]),
            ("skyiron", &["compute-api", "compute-agent", "compute-driver-qemu"]),
            ("tests", &["skyiron"]),
        ];
        assert_eq!(whats(healthy), [""; 0]);
    }

    #[test]
    fn each_way_across_a_boundary_is_shown() {
        for (crates, want) in [
            (&[("base", &["tokio"][..])][..], "base depends on tokio"),
            (
                &[("image-model", &["helper"]), ("helper", &["deeper"]), ("deeper", &["axum"])],
                "image-model depends on helper -> deeper -> axum",
            ),
            (
                &[("compute-agent", &["helper"]), ("helper", &["compute-store"])],
                "compute-agent depends on helper -> compute-store",
            ),
            (&[("compute-driver-x", &["platform-db"])], "compute-driver-x depends on platform-db"),
            (&[("compute-api", &["compute-driver-fake"])], "compute-api depends on compute-driver-fake"),
            (&[("platform-http", &["identity"])], "platform-http depends on identity"),
            (&[("compute-api", &["image-registry"])], "compute-api depends on image-registry"),
            (&[("placement", &["compute-model"])], "placement depends on compute-model"),
            (&[("guest", &["skyiron"])], "guest depends on skyiron"),
        ] {
            assert_eq!(whats(crates), [want]);
        }
    }

    #[test]
    fn a_circle_of_crates_ends() {
        assert_eq!(whats(&[("a", &["b"]), ("b", &["a"])]), [""; 0]);
    }

    #[test]
    fn exclusive_packages() {
        assert_eq!(whats(&[("compute-conductor", &["async-nats"])]).len(), 1);
        let mut repo = fixture::crates(&[("compute-conductor", &[])]);
        repo.crates.get_mut("compute-conductor").unwrap().dev_dependencies = vec!["sqlx".into()];
        let problems = check(&repo).unwrap();
        assert!(problems[0].what.contains("is for platform-db, "), "{problems:?}");
    }
}
