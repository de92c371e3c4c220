//! `[identity]`: what it says about who may log in and how, and where its keys are.

use anyhow::{Context, Result, bail};
use identity::keystone::KeystoneSettings;
use identity::{PasswordPattern, SecurityCompliance};
use platform_http::Network;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl super::Identity {
    pub(crate) fn proxies(&self) -> Result<Vec<Network>> {
        let one = |text: &String| text.parse::<Network>().context("identity.trusted_proxies");
        self.trusted_proxies.iter().map(one).collect()
    }

    /// Keystone's `[security_compliance]`.
    pub(crate) fn security(&self) -> Result<SecurityCompliance> {
        let days = |n: u32| Duration::from_secs(u64::from(n) * 86_400);
        let pattern = Some(self.password_regex.as_str()).filter(|p| !p.is_empty());
        let pattern = pattern.map(|p| PasswordPattern::new(p, self.password_regex_description.as_str())).transpose();
        Ok(SecurityCompliance {
            lockout_failure_attempts: Some(self.lockout_failure_attempts).filter(|n| *n > 0),
            lockout_duration: Some(Duration::from_secs(self.lockout_duration_secs)),
            password_expires: Some(days(self.password_expires_days)).filter(|d| !d.is_zero()),
            unique_last_password_count: self.unique_last_password_count,
            minimum_password_age: days(self.minimum_password_age_days),
            change_password_upon_first_use: self.change_password_upon_first_use,
            password_pattern: pattern.context("identity.password_regex")?,
        })
    }

    /// Where the keys of stored secrets are, if not in the folder of keys.
    pub(crate) fn credential_key_file(&self) -> Result<Option<PathBuf>> {
        const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
        let text = self.credential_key_file.as_str();
        let Some(name) = text.strip_prefix('$').and_then(|t| t.strip_prefix(CREDENTIALS)?.strip_prefix('/')) else {
            return Ok(Some(PathBuf::from(text)).filter(|_| !text.is_empty()));
        };
        let folder = std::env::var_os(CREDENTIALS).with_context(|| {
            format!("identity.credential_key_file: systemd has given no credentials ({CREDENTIALS} is not set)")
        })?;
        Ok(Some(Path::new(&folder).join(name)))
    }

    /// The Keystone that is asked instead of our own, if there is one.
    pub(crate) fn keystone(&self) -> Option<KeystoneSettings> {
        (!self.url.is_empty()).then(|| KeystoneSettings {
            url: self.url.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            user_domain: self.user_domain.clone(),
            project: self.project.clone(),
            project_domain: self.project_domain.clone(),
            ca_file: self.ca_file.clone(),
            cache: Duration::from_secs(self.cache_secs),
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        self.proxies()?;
        let security = self.security()?;
        if security.password_expires.is_some_and(|lasts| lasts <= security.minimum_password_age) {
            bail!(
                "identity.minimum_password_age_days: less than password_expires_days, or nobody can change a password \
                 in time"
            );
        }
        Ok(())
    }
}
