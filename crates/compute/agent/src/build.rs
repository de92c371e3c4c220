//! Making a guest: its images, disks, config drive, and the word to the driver.
//!
//! Everything of a guest lies in `<instances_dir>/<uuid>/`, beside the driver's own files:
//!
//! | file | what |
//! |---|---|
//! | `base` | hard link to the image in the cache; read-only ground of `disk` |
//! | `disk` | root disk: qcow2 over `base` |
//! | `disk.eph0`, `disk.swap` | raw, sparse |
//! | `disk.config` | config drive, ISO 9660 |
//! | `aki`, `ari` | hard links to kernel and ramdisk in the cache |
//! | `generation` | see `record` |

mod config_drive;
mod ephemeral;
mod error;
mod plan;
mod qcow2;
mod root;
mod swap;

pub(crate) use error::BuildError;

use crate::cache::{CachedImage, Expected, ImageCache, Wanted};
use crate::config::AgentConfig;
use crate::files;
use crate::report::Progress;
use crate::resume::Verified;
use base::InstanceId;
use compute_model::driver::{DirectKernel, DiskFormat, DiskRole, Driver, GuestDisk};
use compute_model::spec::InstanceSpec;
use compute_model::states::PowerState;
use plan::Plan;
use platform_faults::at;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) struct Builder {
    instances_dir: PathBuf,
    cache: ImageCache,
    turns: Semaphore,
    dhcp_domain: String,
}

/// The images of one guest.
struct Images {
    root: CachedImage,
    kernel: Option<CachedImage>,
    ramdisk: Option<CachedImage>,
}

impl Builder {
    pub(crate) fn new(cache: ImageCache, config: &AgentConfig) -> Self {
        Self {
            instances_dir: config.instances_dir.clone(),
            cache,
            turns: Semaphore::new(config.builds.max(1)),
            dhcp_domain: config.dhcp_domain.clone(),
        }
    }

    pub(crate) fn cache(&self) -> &ImageCache {
        &self.cache
    }

    /// Once, before anything is built. Without real disks nothing is touched.
    pub(crate) async fn prepare(&self, disks: bool) {
        if !disks {
            return;
        }
        let dir = self.instances_dir.clone();
        if let Err(error) = files::off_loop(move || files::create_dir(&dir)).await {
            tracing::error!(%error, dir = %self.instances_dir.display(), "the guests' directory cannot be made");
        }
        if let Err(error) = self.cache.prepare().await {
            tracing::error!(%error, "the image cache cannot be prepared");
        }
    }

    pub(crate) async fn tidy(&self, unused_image_age: Duration) {
        if let Err(error) = self.cache.drop_unused(unused_image_age).await
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "unused images cannot be dropped from the cache");
        }
    }

    fn dir(&self, id: InstanceId) -> PathBuf {
        self.instances_dir.join(id.to_string())
    }

    /// A disk that every guest built here has, and this one has not any more. What cannot be looked at counts as there.
    pub(crate) async fn missing_disk(&self, id: InstanceId) -> Option<PathBuf> {
        for name in ["disk", "base"] {
            let path = self.dir(id).join(name);
            if let Ok(false) = tokio::fs::try_exists(&path).await {
                return Some(path);
            }
        }
        None
    }

    /// `Some`: what is wrong with the image under the guest's root disk, as far as its server was made with a digest. Each
    /// file is read once.
    pub(crate) async fn verify(
        &self,
        spec: &InstanceSpec,
        verified: &mut Verified,
    ) -> Result<Option<String>, BuildError> {
        let root = Plan::of(spec)?.root;
        let Some((algorithm, digest)) = root.hash else { return Ok(None) };
        let expected = Expected::new(root.id, &algorithm, &digest)?;
        let path = self.dir(spec.id).join("base");
        let file = tokio::fs::metadata(&path).await.map_err(BuildError::io("look at", &path))?;
        let file = (file.dev(), file.ino());
        if let Some(known) = verified.get(&file) {
            return Ok(known.clone());
        }
        let differs = expected.differs(&path).await.map_err(BuildError::io("read", &path))?;
        let wrong = differs.map(|found| {
            format!("the copy of image {} under its disk has changed: its {algorithm} is {found}", root.id)
        });
        verified.insert(file, wrong.clone());
        Ok(wrong)
    }

    /// Nothing there is fine.
    pub(crate) async fn remove_files(&self, id: InstanceId) -> io::Result<()> {
        let (dir, parent) = (self.dir(id), self.instances_dir.clone());
        files::off_loop(move || {
            if dir.exists() {
                files::remove_dir(&dir)?;
                files::sync_dir(&parent)?;
            }
            Ok(())
        })
        .await
    }

    /// The guest runs when this returns. What a failure leaves behind, the caller clears away.
    pub(crate) async fn spawn(
        &self,
        driver: &dyn Driver,
        spec: &InstanceSpec,
        removal: &CancellationToken,
        progress: &Progress,
    ) -> Result<(), BuildError> {
        match driver.power(spec.id).await? {
            PowerState::Running | PowerState::Paused | PowerState::Suspended => return Ok(()),
            // it was started before a crash; all its files are in place
            PowerState::Shutdown | PowerState::Crashed if driver.start(spec.id).await.is_ok() => return Ok(()),
            PowerState::Shutdown | PowerState::Crashed => driver.destroy(spec.id).await?,
            PowerState::NoState => {}
        }
        let plan = Plan::of(spec)?.proving(self.cache.demand(&spec.trusted_certificates));
        let images = tokio::select! {
            images = self.images(&plan, progress) => images?,
            () = removal.cancelled() => return Err(BuildError::Superseded),
        };
        at("agent.spawn.image").await;
        let _turn = tokio::select! {
            turn = self.turns.acquire() => turn,
            () = removal.cancelled() => return Err(BuildError::Superseded),
        };
        progress.say("spawning", "making the disks".to_owned());
        let dir = self.fresh_dir(spec.id).await?;
        let mut guest = crate::act::bare_guest(spec);
        // each waits for the disk to have it: better all at once than one after the other
        let (disks, config_drive) =
            tokio::try_join!(self.disks(&dir, &plan, &images), self.config_drive(&dir, &plan, spec))?;
        guest.disks = disks;
        at("agent.spawn.disks").await;
        if let Some(drive) = config_drive {
            guest.disks.push(drive);
            at("agent.spawn.config_drive").await;
        }
        if let Some(kernel) = images.kernel {
            guest.direct_kernel = Some(direct_kernel(&dir, &plan, kernel, images.ramdisk).await?);
        }
        let synced = dir.clone();
        files::off_loop(move || files::sync_dir(&synced)).await.map_err(BuildError::io("make durable", &dir))?;
        driver.spawn(&guest).await?;
        at("agent.spawn.started").await;
        Ok(())
    }

    async fn images(&self, plan: &Plan, progress: &Progress) -> Result<Images, BuildError> {
        let get = async |wanted: &Wanted, what: &'static str| {
            let tell = |percent: Option<u64>| {
                let how_far = percent.map(|p| format!(", {p} %")).unwrap_or_default();
                progress.say("block_device_mapping", format!("fetching {what} {}{how_far}", wanted.id));
            };
            self.cache.get(wanted, tell).await
        };
        let maybe = async |wanted: &Option<Wanted>, what: &'static str| match wanted {
            Some(wanted) => get(wanted, what).await.map(Some),
            None => Ok(None),
        };
        let (root, kernel, ramdisk) = tokio::try_join!(
            get(&plan.root, "image"),
            maybe(&plan.kernel, "kernel image"),
            maybe(&plan.ramdisk, "ramdisk image"),
        )?;
        for (image, format) in [(&kernel, "aki"), (&ramdisk, "ari")] {
            if let Some(image) = image.as_ref().filter(|i| i.about.disk_format != format) {
                let id = image.id;
                return Err(BuildError::Unacceptable {
                    id,
                    why: format!("it is {}, not {format}", image.about.disk_format),
                });
            }
        }
        Ok(Images { root, kernel, ramdisk })
    }

    /// An empty directory for the guest: what an interrupted build has left goes.
    async fn fresh_dir(&self, id: InstanceId) -> Result<PathBuf, BuildError> {
        let (dir, parent) = (self.dir(id), self.instances_dir.clone());
        let made = dir.clone();
        files::off_loop(move || {
            files::remove_dir(&made)?;
            files::create_dir(&made)?;
            files::sync_dir(&parent)?;
            made.canonicalize()
        })
        .await
        .map_err(BuildError::io("make", &dir))
    }

    async fn disks(&self, dir: &Path, plan: &Plan, images: &Images) -> Result<Vec<GuestDisk>, BuildError> {
        let ephemeral = async {
            let Some(bytes) = plan.ephemeral_bytes else { return Ok(None) };
            let path = dir.join("disk.eph0");
            ephemeral::make(&path, bytes).await.map_err(BuildError::io("make the ephemeral disk", &path))?;
            Ok(Some(raw(path, DiskRole::Ephemeral)))
        };
        let swap = async {
            let Some(bytes) = plan.swap_bytes else { return Ok(None) };
            let path = dir.join("disk.swap");
            let to = path.clone();
            files::off_loop(move || swap::make(&to, bytes))
                .await
                .map_err(BuildError::io("make the swap disk", &path))?;
            Ok(Some(raw(path, DiskRole::Swap)))
        };
        let root = root::make(dir, &images.root, plan.root_disk);
        let (root, ephemeral, swap) = tokio::try_join!(root, ephemeral, swap)?;
        Ok([Some(root), ephemeral, swap].into_iter().flatten().collect())
    }

    async fn config_drive(
        &self,
        dir: &Path,
        plan: &Plan,
        spec: &InstanceSpec,
    ) -> Result<Option<GuestDisk>, BuildError> {
        if !plan.config_drive {
            return Ok(None);
        }
        let path = dir.join("disk.config");
        let (to, spec, domain) = (path.clone(), spec.clone(), self.dhcp_domain.clone());
        files::off_loop(move || config_drive::make(&to, &spec, &domain))
            .await
            .map_err(BuildError::io("write the config drive", &path))?;
        Ok(Some(raw(path, DiskRole::ConfigDrive)))
    }
}

fn raw(path: PathBuf, role: DiskRole) -> GuestDisk {
    GuestDisk { path, format: DiskFormat::Raw, role, backing: None }
}

async fn direct_kernel(
    dir: &Path,
    plan: &Plan,
    kernel: CachedImage,
    ramdisk: Option<CachedImage>,
) -> Result<DirectKernel, BuildError> {
    let place = async |image: CachedImage, name: &str| {
        let to = dir.join(name);
        root::link(image.path, to.clone()).await.map_err(BuildError::io("link", &to))?;
        Ok::<_, BuildError>(to)
    };
    let ramdisk = match ramdisk {
        Some(ramdisk) => Some(place(ramdisk, "ari").await?),
        None => None,
    };
    Ok(DirectKernel { kernel: place(kernel, "aki").await?, ramdisk, command_line: plan.command_line.clone() })
}
