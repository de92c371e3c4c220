//! The data folder: made at first start, private to its owner, with everything one needs to reach the cloud.

use anyhow::{Context, Result};
use base::Secret;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    pub path: PathBuf,
}

impl DataDir {
    /// `/var/lib/skyiron` for root, else `~/.local/share/skyiron`.
    pub(crate) fn default_path() -> PathBuf {
        if nix::unistd::geteuid().is_root() {
            return PathBuf::from("/var/lib/skyiron");
        }
        let home = std::env::var("HOME").unwrap_or_else(|_| ".".into());
        Path::new(&home).join(".local/share/skyiron")
    }

    /// Makes the folder if it is missing. Guests run as another user and must reach theirs: the folder itself may be
    /// passed through, what is in it is private file by file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(path)
            .with_context(|| format!("data folder {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("data folder {}", path.display()))?;
        Ok(Self { path })
    }

    /// Refuses to run twice on one folder: two schedulers of the same guests would fight over them. Held until dropped.
    pub(crate) fn lock(&self) -> Result<nix::fcntl::Flock<fs::File>> {
        let path = self.path.join("lock");
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("lock file {}", path.display()))?;
        nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock)
            .map_err(|(_, _)| anyhow::anyhow!("another skyiron runs on the data folder {}", self.path.display()))
    }

    /// As [`Self::lock`], and refuses a folder that has anything in it already.
    pub(crate) fn lock_empty(&self) -> Result<nix::fcntl::Flock<fs::File>> {
        let is_empty = || -> std::io::Result<bool> { Ok(fs::read_dir(&self.path)?.next().is_none()) };
        if !is_empty().with_context(|| self.path.display().to_string())? {
            anyhow::bail!("{} is not empty: a backup is restored to a place of its own", self.path.display());
        }
        self.lock()
    }

    /// Removes everything in the folder but its lock.
    pub(crate) fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            match entry.file_type()? {
                _ if entry.file_name() == "lock" => {}
                kind if kind.is_dir() => fs::remove_dir_all(entry.path())?,
                _ => fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    }

    /// A folder in it, unless the configuration names another.
    pub(crate) fn folder(&self, configured: &str, name: &str) -> PathBuf {
        if configured.is_empty() { self.sub(name) } else { PathBuf::from(configured) }
    }
    pub(crate) fn sub(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
    pub(crate) fn clouds_yaml(&self) -> PathBuf {
        self.sub("clouds.yaml")
    }
    pub(crate) fn openrc(&self) -> PathBuf {
        self.sub("openrc")
    }

    fn admin_password_file(&self) -> PathBuf {
        self.sub("admin-password")
    }

    /// The admin's password: the one in the folder, or (`true`) a new random one.
    pub(crate) fn admin_password(&self) -> Result<(Secret, bool)> {
        let path = self.admin_password_file();
        match fs::read_to_string(&path) {
            Ok(text) => Ok((Secret::new(text.trim()), false)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let password = Secret::new(random_password());
                write_private(&path, password.expose())?;
                Ok((password, true))
            }
            Err(e) => Err(e).with_context(|| path.display().to_string()),
        }
    }

    /// Takes a new password back: it did not become the admin's.
    pub(crate) fn forget_admin_password(&self) -> Result<()> {
        let path = self.admin_password_file();
        fs::remove_file(&path).with_context(|| path.display().to_string())
    }

    /// Writes `clouds.yaml` and `openrc`, which carry the password, readable by their owner only.
    pub(crate) fn write_credentials(&self, identity_url: &str, region: &str, password: &Secret) -> Result<()> {
        let password = password.expose();
        write_private(
            &self.clouds_yaml(),
            &format!(
                "clouds:\n  skyiron:\n    auth:\n      auth_url: {identity_url}\n      username: admin\n      \
                 password: {password}\n      project_name: admin\n      user_domain_name: Default\n      \
                 project_domain_name: Default\n    region_name: {region}\n    interface: public\n    \
                 identity_api_version: 3\n"
            ),
        )?;
        write_private(
            &self.openrc(),
            &format!(
                "export OS_CLOUD=\nunset OS_CLOUD\nexport OS_AUTH_URL={identity_url}\nexport OS_USERNAME=admin\n\
                 export OS_PASSWORD={password}\nexport OS_PROJECT_NAME=admin\nexport OS_USER_DOMAIN_NAME=Default\n\
                 export OS_PROJECT_DOMAIN_NAME=Default\nexport OS_REGION_NAME={region}\n\
                 export OS_IDENTITY_API_VERSION=3\n"
            ),
        )
    }
}

fn random_password() -> String {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    (0..24).map(|_| LETTERS[rand::random_range(0..LETTERS.len())] as char).collect()
}

/// Whole or not at all, mode 0600.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let partial = path.with_extension("partial");
    let write = || -> std::io::Result<()> {
        let mut f = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
        f.set_permissions(fs::Permissions::from_mode(0o600))?;
        f.write_all(text.as_bytes())?;
        f.sync_all()?;
        fs::rename(&partial, path)
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_private_and_the_password_stays() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(&dir.path().join("new/folder")).unwrap();
        let (password, is_new) = data.admin_password().unwrap();
        assert!(is_new);
        assert_eq!(data.admin_password().unwrap(), (password.clone(), false));
        data.write_credentials("http://127.0.0.1:1/identity/v3", "RegionOne", &password).unwrap();
        for file in [data.clouds_yaml(), data.openrc(), data.sub("admin-password")] {
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
            assert!(fs::read_to_string(&file).unwrap().contains(password.expose()));
        }
        data.forget_admin_password().unwrap();
        let (another, is_new) = data.admin_password().unwrap();
        assert!(is_new && another != password);
    }

    #[test]
    fn one_skyiron_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let held = data.lock().unwrap();
        assert!(data.lock().unwrap_err().to_string().contains("another skyiron"));
        drop(held);
        assert!(data.lock().is_ok());
    }
}
