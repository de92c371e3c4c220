//! Which parts a process runs.

use crate::config::Config;
use anyhow::{Result, bail};
use clap::ValueEnum;

/// OpenStack's services by the names of their folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    Identity,
    Placement,
    ImageApi,
    ImageRegistry,
    ComputeApi,
    ComputeMetadata,
    ComputeScheduler,
    ComputeConductor,
    ComputeAgent,
}

const ALL: [Role; 9] = [
    Role::Identity,
    Role::Placement,
    Role::ImageApi,
    Role::ImageRegistry,
    Role::ComputeApi,
    Role::ComputeMetadata,
    Role::ComputeScheduler,
    Role::ComputeConductor,
    Role::ComputeAgent,
];

impl Role {
    /// Whether it keeps something in the database. The others never open it, whatever their configuration says.
    fn keeps_something(self) -> bool {
        !matches!(self, Self::ImageApi | Self::ComputeAgent)
    }

    /// Whether other roles ask it for something.
    fn is_needed(self, config: &Config) -> bool {
        match self {
            Self::ComputeMetadata => false,
            Self::Identity => config.identity.url.is_empty(),
            _ => true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Roles([bool; ALL.len()]);

impl Roles {
    pub(crate) fn all() -> Self {
        Self([true; ALL.len()])
    }

    /// Where the bus does not reach other processes, every role that others need must be here.
    pub(crate) fn chosen(some: &[Role], config: &Config) -> Result<Self> {
        let chosen = Self(ALL.map(|r| some.contains(&r)));
        if chosen.has(Role::Identity) && !config.identity.url.is_empty() {
            bail!("identity.url names another Keystone, so there is nothing to do for the role identity");
        }
        let missing: Vec<Role> = ALL.into_iter().filter(|r| r.is_needed(config) && !chosen.has(*r)).collect();
        if !missing.is_empty() && !config.bus.is_shared() {
            bail!("bus.url is not set, so nothing here can reach {missing:?} in other processes");
        }
        Ok(chosen)
    }

    pub(crate) fn has(self, role: Role) -> bool {
        ALL.iter().position(|r| *r == role).is_some_and(|n| self.0[n])
    }

    /// Whether the process is that role and nothing else.
    pub(crate) fn is_only(self, role: Role) -> bool {
        ALL.into_iter().all(|r| self.has(r) == (r == role))
    }

    /// Refuses an identity that would tell clients that all services are where it is, when they are not.
    pub(crate) fn check_catalog(self, config: &Config) -> Result<()> {
        let served = [
            (&config.endpoints.identity, Role::Identity),
            (&config.endpoints.compute, Role::ComputeApi),
            (&config.endpoints.image, Role::ImageApi),
            (&config.endpoints.placement, Role::Placement),
        ];
        let has_catalog = self.has(Role::Identity) && config.identity.url.is_empty();
        if !has_catalog || !config.cloud.public_url.is_empty() {
            return Ok(());
        }
        let unknown: Vec<Role> =
            served.into_iter().filter(|(url, role)| url.is_empty() && !self.has(*role)).map(|(_, role)| role).collect();
        if !unknown.is_empty() {
            bail!(
                "the catalog must say where clients reach {unknown:?}: set cloud.public_url, or [endpoints] one by one"
            );
        }
        Ok(())
    }

    pub(crate) fn keep_something(self) -> bool {
        ALL.into_iter().any(|r| self.has(r) && r.keeps_something())
    }
}

/// `compute-api,placement`; `all` if it is all of them.
impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if ALL.iter().all(|r| self.has(*r)) {
            return f.write_str("all");
        }
        let names: Vec<String> = ALL
            .iter()
            .filter(|r| self.has(**r))
            .filter_map(|r| r.to_possible_value())
            .map(|v| v.get_name().to_owned())
            .collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Secret;

    fn on_a_bus() -> Config {
        let mut config = Config::default();
        config.bus.url = Secret::new("nats://bus.example.org");
        config
    }

    #[test]
    fn without_a_bus_all_are_together() {
        let mut config = Config::default();
        assert!(Roles::chosen(&ALL, &config).is_ok());
        let refused = Roles::chosen(&ALL[1..], &config).unwrap_err().to_string();
        assert!(refused.contains("bus.url") && refused.contains("Identity"), "{refused}");
        assert!(ALL.iter().all(|r| Roles::chosen(&[*r], &on_a_bus()).is_ok()));
        let needed: Vec<Role> = ALL.into_iter().filter(|r| *r != Role::ComputeMetadata).collect();
        assert!(Roles::chosen(&needed, &config).is_ok());

        config.identity.url = "http://keystone.example.org:5000/v3".into();
        assert!(Roles::chosen(&ALL[1..], &config).is_ok());
        let refused = Roles::chosen(&ALL, &config).unwrap_err().to_string();
        assert!(refused.contains("identity.url"), "{refused}");
    }

    #[test]
    fn a_role_alone() {
        let alone = Roles::chosen(&[Role::ComputeMetadata], &on_a_bus()).unwrap();
        assert!(alone.is_only(Role::ComputeMetadata) && !alone.is_only(Role::ComputeApi));
        let two = Roles::chosen(&[Role::ComputeMetadata, Role::ComputeApi], &on_a_bus()).unwrap();
        assert!(!two.is_only(Role::ComputeMetadata) && !two.is_only(Role::ComputeApi));
    }

    #[test]
    fn an_identity_alone_must_know_where_the_others_are() {
        let mut config = Config::default();
        let identity = Roles::chosen(&[Role::Identity, Role::Placement], &on_a_bus()).unwrap();
        assert!(Roles::all().check_catalog(&config).is_ok());
        assert!(Roles::chosen(&[Role::ComputeApi], &on_a_bus()).unwrap().check_catalog(&config).is_ok());
        let refused = identity.check_catalog(&config).unwrap_err().to_string();
        assert!(refused.contains("ComputeApi") && !refused.contains("Placement"), "{refused}");
        config.endpoints.compute = "http://c:8774".into();
        assert!(identity.check_catalog(&config).unwrap_err().to_string().contains("ImageApi"));
        config.cloud.public_url = "http://cloud".into();
        assert!(identity.check_catalog(&config).is_ok());
    }

    #[test]
    fn compute_hosts_and_image_apis_have_no_database() {
        let chosen = |some: &[Role]| Roles::chosen(some, &on_a_bus()).unwrap();
        assert!(!chosen(&[Role::ComputeAgent, Role::ImageApi]).keep_something());
        assert!(chosen(&[Role::ComputeAgent, Role::ImageRegistry]).keep_something());
        assert!(Roles::all().keep_something());
        assert_eq!(chosen(&[Role::ComputeAgent, Role::ImageApi]).to_string(), "image-api,compute-agent");
        assert_eq!(Roles::all().to_string(), "all");
    }
}
