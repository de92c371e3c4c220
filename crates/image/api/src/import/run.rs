//! One import, from its source to its end: one pass over the bytes, into all stores at once.

use super::convert::converted;
use super::source::{self, Progress};
use super::staging;
use super::unpack::unpacked;
use crate::Glance;
use crate::data::lease::{self, Lease};
use crate::data::{Copies, Failed, HashAlgo, key, pass, room};
use crate::janitor::remove_leftovers;
use crate::signature::Signed;
use crate::{fault, quota};
use image_model::{
    Claimed, Image, Imported, Location, Method, RegistryError, Resource, Store, StoredData, Viewer, mebibytes,
};
use platform_http::{Fault, StatusCode};
use std::time::Duration;

/// How often it is tried to write down how an import ended. Then its lease ends, and it is done again.
const ATTEMPTS: u32 = 5;
const BETWEEN: Duration = Duration::from_secs(2);

/// Stored, but not yet the image's.
struct Done {
    data: Option<StoredData>,
    at: Vec<Location>,
    imported: Imported,
}

/// Does the task, and writes down how it ended.
pub(super) async fn run(glance: &Glance, claimed: Claimed, holder: &str) {
    let task = &claimed.task.id;
    let progress = Progress::default();
    let mut lease = Lease::of_task(glance, task, holder, progress.clone());
    let left = claimed.deadline.since(glance.clock.now());
    let mut failed_stores = Vec::new();
    let outcome = tokio::select! {
        done = tokio::time::timeout(left, import(glance, &claimed, holder, &progress, &mut failed_stores)) => {
            let late = |_| Err(Fault::new(StatusCode::GATEWAY_TIMEOUT, "The import was not done in time.").into());
            done.unwrap_or_else(late)
        }
        () = lease.lost() => Err(Failed::Lost),
    };
    drop(lease);
    let ended = match outcome {
        Ok(done) => {
            platform_faults::at("image.import.stored").await;
            finish(glance, &claimed, holder, done).await
        }
        Err(Failed::Refused(fault)) => fail(glance, &claimed, holder, &fault, failed_stores).await,
        Err(Failed::Lost) => {
            tracing::info!(%task, "import task {task} was lost: its image is deleted, or others do it now");
            tidy(staging::sweep(glance).await);
            false
        }
    };
    if ended
        && let (Some(staged), Some(staging), Some(image)) =
            (&claimed.staged, &glance.imports.settings.staging, claimed.task.image)
    {
        staging.remove(image, &staged.upload).await;
    }
    // what this attempt, or one before it, stored in vain
    tidy(remove_leftovers(glance).await);
}

/// What could not be tidied up now the janitor tidies up.
fn tidy(done: Result<(), RegistryError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "an import's remains are removed later");
    }
}

async fn import(
    glance: &Glance,
    claimed: &Claimed,
    holder: &str,
    progress: &Progress,
    failed_stores: &mut Vec<String>,
) -> Result<Done, Failed> {
    let id = claimed.task.image.ok_or(Failed::Lost)?;
    let found = glance.registry.image_show(id, Viewer::cloud()).await.map_err(fault::of_registry)?;
    let mut image = found.ok_or(Failed::Lost)?;
    within_limits(glance, claimed, &image).await?;
    let stores = chosen(glance, claimed)?;
    let opened = source::open(glance, claimed, &image, progress).await?;
    image.disk_format = opened.imported.disk_format.or(image.disk_format);
    image.container_format = opened.imported.container_format.or(image.container_format);
    image.properties.extend(opened.imported.properties.clone());
    // a copy of what has its hash needs no other proof, and may be made when the certificate is no longer valid
    let signed = if opened.sha512.is_some() && matches!(claimed.plan.method, Method::CopyImage) {
        None
    } else {
        Signed::of(glance, &image).await?
    };
    let room = room(glance, &image).await?.for_copies(stores.len());
    room.check(opened.size.unwrap_or(0))?;
    let opened = unpacked(glance, claimed, &image, opened).await?;
    let mut opened = converted(glance, claimed, &image, opened, &room).await?;
    image.disk_format = opened.imported.disk_format.or(image.disk_format);

    let key = key(id, holder);
    for store in &stores {
        let location = Location { store: store.name.clone(), url: store.backend.location(&key) };
        let planned = glance.registry.location_plan(id, location, lease::until(glance)).await;
        planned.map_err(fault::of_registry)?;
    }
    let all = claimed.plan.all_stores_must_succeed;
    let mut copies = Copies::open(&stores, &key, opened.size, all).await.map_err(|failed| {
        failed_stores.extend(failed.stores);
        failed.fault
    })?;
    let passed = pass(&image, &mut *opened.source, &room, HashAlgo::Sha512, signed.as_ref(), Some(&mut copies)).await;
    let checked = passed.and_then(|found| {
        opened.check(found.size, Some(&found.hash))?;
        Ok(found)
    });
    let stored = match checked {
        Ok(found) => copies.commit().await.map(|at| (found, at)),
        Err(failed) => {
            failed_stores.extend(copies.failed().map(str::to_owned));
            copies.abort().await;
            return Err(failed);
        }
    };
    let (found, (at, failed)) = stored.map_err(|failed| {
        failed_stores.extend(failed.stores);
        failed.fault
    })?;
    opened.imported.failed_stores = failed;
    let first = at.first().cloned().ok_or(Failed::Lost)?;
    let data = (!matches!(claimed.plan.method, Method::CopyImage)).then(|| found.at(first));
    Ok(Done { data, at, imported: opened.imported })
}

/// Staged data is about to be stored. Other data would be staged first at Glance, and counts as if it were; an image that
/// is being copied does so already.
async fn within_limits(glance: &Glance, claimed: &Claimed, image: &Image) -> Result<(), Fault> {
    let project = claimed.task.owner.as_ref();
    if matches!(claimed.plan.method, Method::GlanceDirect) {
        return quota::enforce(glance, project, Resource::SizeTotal, mebibytes(image.size.unwrap_or(0))).await;
    }
    quota::enforce(glance, project, Resource::StageTotal, 0).await?;
    quota::enforce(glance, project, Resource::CountUploading, 0).await
}

fn chosen(glance: &Glance, claimed: &Claimed) -> Result<Vec<Store>, Fault> {
    let names = claimed.plan.stores.iter();
    names.map(|name| glance.stores.get(name).cloned().map_err(|e| Fault::conflict(e.to_string()))).collect()
}

/// Whether the task has ended.
async fn finish(glance: &Glance, claimed: &Claimed, holder: &str, done: Done) -> bool {
    let task = &claimed.task.id;
    let finished = persist(|| {
        let (data, at, imported) = (done.data.clone(), done.at.clone(), done.imported.clone());
        glance.registry.import_finish(task.clone(), holder.to_owned(), data, at, imported)
    })
    .await;
    match finished {
        Ok(Some(Image { id, .. })) => {
            tracing::info!(image.id = %id, %task, "image {id} is imported");
            true
        }
        // what was stored has become leftovers
        Ok(None) => false,
        Err(error) => {
            tracing::warn!(%error, %task, "the end of import task {task} was not written down; it will be done again");
            false
        }
    }
}

async fn fail(glance: &Glance, claimed: &Claimed, holder: &str, fault: &Fault, mut stores: Vec<String>) -> bool {
    let task = &claimed.task.id;
    let why = match fault.message.as_ref() {
        // what went wrong is in the log
        "" => "Task failed due to Internal Error",
        why => why,
    };
    tracing::info!(%task, why, "import task {task} failed");
    if stores.is_empty() {
        stores = claimed.plan.stores.clone();
    }
    stores.sort();
    stores.dedup();
    let failed =
        persist(|| glance.registry.import_fail(task.clone(), holder.to_owned(), why.to_owned(), stores.clone())).await;
    match failed {
        Ok(ended) => ended,
        Err(error) => {
            tracing::warn!(%error, %task, "the failure of import task {task} was not written down");
            false
        }
    }
}

/// Asks until the registry answers, a few times.
async fn persist<T, F>(ask: impl Fn() -> F) -> Result<T, RegistryError>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(RegistryError::Unavailable(_) | RegistryError::Full) if attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(BETWEEN).await;
            }
            other => return other,
        }
    }
}
