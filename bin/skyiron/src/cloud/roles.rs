//! Which parts a process runs.

use anyhow::{Result, bail};

/// OpenStack's services by the names of their folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    Identity,
    Placement,
    ImageApi,
    ImageRegistry,
    ComputeApi,
    ComputeScheduler,
    ComputeConductor,
    ComputeAgent,
}

const ALL: [Role; 8] = [
    Role::Identity,
    Role::Placement,
    Role::ImageApi,
    Role::ImageRegistry,
    Role::ComputeApi,
    Role::ComputeScheduler,
    Role::ComputeConductor,
    Role::ComputeAgent,
];

/// Roles that speak to each other over the bus. The bus is in-process so far, so they start together.
const TOGETHER: &[&[Role]] = &[
    &[Role::ImageApi, Role::ImageRegistry],
    &[Role::ComputeApi, Role::ComputeScheduler, Role::ComputeConductor, Role::ComputeAgent],
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Roles([bool; ALL.len()]);

impl Roles {
    pub(crate) fn all() -> Self {
        Self([true; ALL.len()])
    }

    pub(crate) fn chosen(some: &[Role]) -> Result<Self> {
        let chosen = Self(ALL.map(|r| some.contains(&r)));
        for group in TOGETHER {
            let (here, missing): (Vec<&Role>, Vec<&Role>) = group.iter().partition(|r| chosen.has(**r));
            if !here.is_empty() && !missing.is_empty() {
                bail!("{here:?} needs {missing:?} in the same process: there is no bus between processes yet");
            }
        }
        if chosen.has(Role::ComputeApi) && !chosen.has(Role::ImageApi) {
            bail!("ComputeApi needs ImageApi in the same process: there is no image client between processes yet");
        }
        Ok(chosen)
    }

    pub(crate) fn has(self, role: Role) -> bool {
        ALL.iter().position(|r| *r == role).is_some_and(|n| self.0[n])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_meets_over_the_bus_starts_together() {
        assert!(Roles::chosen(&[Role::Identity]).is_ok());
        assert!(Roles::chosen(&[Role::ImageApi, Role::ImageRegistry, Role::Placement]).is_ok());
        assert!(Roles::chosen(&[Role::ImageApi]).is_err());
        assert!(Roles::chosen(&[Role::ComputeAgent]).is_err());
        assert!(Roles::chosen(&ALL).is_ok());
        assert!(ALL.iter().all(|r| Roles::all().has(*r)));
    }
}
