//! Identity's assembly: here, asked over the bus, or somebody else's Keystone.

use super::{Assembly, Ground, Role, read_policy};
use anyhow::{Context, Result};
use identity::keystone::KeystoneAuth;
use identity::{BusAuth, CatalogEntry, Identity, IdentityConfig};
use platform_http::Authenticate;
use std::sync::Arc;
use std::time::Duration;

/// Starts it if this process is to run it. Gives what the other services ask about tokens.
pub(crate) async fn start(g: &Ground, a: &mut Assembly) -> Result<Arc<dyn Authenticate>> {
    if let Some(keystone) = g.config.identity.keystone() {
        return Ok(Arc::new(KeystoneAuth::new(&keystone, g.clock.clone())?));
    }
    if !g.roles.has(Role::Identity) {
        return Ok(Arc::new(BusAuth::on(g.bus.clone(), g.clock.clone())));
    }
    let identity = open(g).await?;
    let service = identity::service(&identity, &g.urls.identity_v3()).limited(&g.tenants);
    a.router = service.mount(std::mem::take(&mut a.router), "/identity");
    if g.is_one_of_many() {
        a.subscriptions.extend(identity::serve(&g.bus, &identity));
    }
    Ok(Arc::new(identity))
}

async fn open(g: &Ground) -> Result<Identity> {
    let (config, urls) = (&g.config, &g.urls);
    let (password, is_new) = g.data.admin_password()?;
    let mut settings = IdentityConfig::new(g.dir(&config.identity.keys_dir, "keys"), password.clone());
    settings.token_ttl = Duration::from_secs(config.identity.token_ttl_secs);
    settings.region = config.cloud.region.clone();
    settings.policy = read_policy(&config.identity.policy_file)?;
    let security = &mut settings.security;
    security.lockout_failure_attempts = Some(config.identity.lockout_failure_attempts).filter(|n| *n > 0);
    security.lockout_duration = Some(Duration::from_secs(config.identity.lockout_duration_secs));
    security.unique_last_password_count = config.identity.unique_last_password_count;
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
