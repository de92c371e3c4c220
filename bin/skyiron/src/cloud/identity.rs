//! Identity's assembly: here, asked over the bus, or somebody else's Keystone.

use super::{Assembly, Ground, Role, read_policy};
use anyhow::{Context, Result};
use identity::keystone::{KeystoneAuth, KeystoneLimits};
use identity::{BusAuth, BusLimits, CatalogEntry, Identity, IdentityConfig, LocalLimits, LoginLimits};
use platform_http::{Authenticate, ProjectLimits};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What other services ask identity, wherever it is.
#[derive(Clone)]
pub(crate) struct Identities {
    /// About tokens.
    pub auth: Arc<dyn Authenticate>,
    /// About projects' limits.
    pub limits: Arc<dyn ProjectLimits>,
}

/// Starts it if this process is to run it. Gives what the other services ask.
pub(crate) async fn start(g: &Ground, a: &mut Assembly) -> Result<Identities> {
    let region = &g.config.cloud.region;
    if let Some(keystone) = g.config.identity.keystone() {
        let auth = Arc::new(KeystoneAuth::new(&keystone, g.clock.clone())?);
        return Ok(Identities { auth, limits: Arc::new(KeystoneLimits::new(&keystone, region)?) });
    }
    if !g.roles.has(Role::Identity) {
        let auth = Arc::new(BusAuth::on(g.bus.clone(), g.clock.clone()));
        return Ok(Identities { auth, limits: Arc::new(BusLimits::on(g.bus.clone(), region)) });
    }
    let identity = open(g).await?;
    let service = identity::service(&identity, &g.urls.identity_v3()).limited(&g.tenants);
    a.router = service.mount(std::mem::take(&mut a.router), "/identity");
    if g.is_one_of_many() {
        a.subscriptions.extend(identity::serve(&g.bus, &identity));
    }
    let limits = Arc::new(LocalLimits::of(identity.clone(), region));
    Ok(Identities { auth: Arc::new(identity), limits })
}

async fn open(g: &Ground) -> Result<Identity> {
    let (config, urls) = (&g.config, &g.urls);
    let (password, is_new) = g.data.admin_password()?;
    let mut settings = IdentityConfig::new(g.dir(&config.identity.keys_dir, "keys"), password.clone());
    settings.token_ttl = Duration::from_secs(config.identity.token_ttl_secs);
    settings.region = config.cloud.region.clone();
    settings.policy = read_policy(&config.identity.policy_file)?;
    settings.security = config.identity.security()?;
    settings.credential_key_file = config.identity.credential_key_file()?;
    settings.login = LoginLimits {
        failures_per_user: config.identity.login_failures_per_user,
        failures_per_address: config.identity.login_failures_per_address,
    };
    settings.audit_file = Some(PathBuf::from(&config.identity.audit_file)).filter(|p| !p.as_os_str().is_empty());
    settings.trusted_proxies = config.identity.proxies()?;
    settings.catalog = vec![CatalogEntry::everywhere("identity", "keystone", &urls.identity)];
    settings.catalog.extend(urls.services());
    let (identity, made_admin) =
        Identity::open(g.db()?.clone(), settings, g.clock.clone()).await.context("identity cannot start")?;
    if is_new && !made_admin {
        // another identity of this cloud was first, and its data folder has the right one
        g.data.forget_admin_password()?;
    } else {
        g.data.write_credentials(&urls.identity_v3(), &config.cloud.region, &password)?;
    }
    Ok(identity)
}
