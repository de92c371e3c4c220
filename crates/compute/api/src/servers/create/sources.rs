//! What a server is made of: flavor, image, key pair, server group. Each must exist for the caller, and they must fit.

use super::ZERO_DISK;
use super::body::Wanted;
use crate::ComputeApi;
use crate::faults::db;
use crate::servers::metadata;
use base::ImageId;
use compute_model::image_fit::{self, ImageNeeds, Misfit};
use compute_model::spec::{FlavorSpec, ImageSpec, KeypairSpec};
use compute_store::flavors::Sight;
use compute_store::quota_limits::{Limits, LimitsOf};
use compute_store::server_groups::ServerGroup;
use image_model::{Image, SourceError, Status};
use platform_http::{Call, Fault};

pub(super) struct Sources {
    pub(super) flavor: FlavorSpec,
    pub(super) image: ImageSpec,
    pub(super) keypair: Option<KeypairSpec>,
    pub(super) group: Option<Group>,
}

/// A group, and how many servers of one user it may have.
pub(super) struct Group {
    pub(super) uuid: String,
    pub(super) most: i64,
}

pub(super) async fn find(api: &ComputeApi, call: &Call, wanted: &Wanted) -> Result<Sources, Fault> {
    let project = call.cx.project_id().map_or("", |p| p.as_str());
    let flavor = flavor(api, call, &wanted.flavor_id).await?;
    let image = image(api, call, wanted.image_id).await?;
    fits(api, call, &flavor, &image)?;
    if !wanted.metadata.is_empty() {
        metadata::within_quota(api, project, wanted.metadata.len()).await?;
    }
    if !wanted.files.is_empty() {
        let limits = api.limits(LimitsOf::Project(project)).await?;
        files(wanted, &limits)?;
    }
    Ok(Sources {
        keypair: keypair(api, call, wanted).await?,
        group: group(api, call, wanted, project).await?,
        flavor,
        image: spec(image),
    })
}

async fn flavor(api: &ComputeApi, call: &Call, id: &str) -> Result<FlavorSpec, Fault> {
    let sight = if call.cx.is_admin() { Sight::All } else { Sight::Project(call.cx.project_id().map(|p| p.as_str())) };
    let found = api.store.flavor_fetch(id, sight).await.map_err(db)?;
    let flavor = found.filter(|f| !f.disabled);
    Ok(flavor.ok_or_else(|| Fault::bad_request(format!("Flavor {id} could not be found.")))?.spec())
}

async fn image(api: &ComputeApi, call: &Call, id: ImageId) -> Result<Image, Fault> {
    let image = api.images.show(&call.cx, id).await.map_err(|error| match error {
        SourceError::NotFound(_) => Fault::bad_request("Can not find requested image"),
        SourceError::NotActive { .. } => Fault::bad_request(format!("Image {id} is not active.")),
        SourceError::Unavailable(why) => Fault::unavailable(format!("The image service cannot answer now: {why}")),
    })?;
    if image.status != Status::Active {
        return Err(Fault::bad_request(format!("Image {id} is not active.")));
    }
    Ok(image)
}

fn fits(api: &ComputeApi, call: &Call, flavor: &FlavorSpec, image: &Image) -> Result<(), Fault> {
    let needs = ImageNeeds {
        size_bytes: image.size.unwrap_or(0),
        virtual_size_bytes: image.virtual_size,
        min_disk: image.min_disk,
        min_ram: image.min_ram,
    };
    let zero_disk = flavor.root_disk.0 == 0 && api.allows(&call.cx, ZERO_DISK, &crate::policy::own(&call.cx));
    image_fit::check(flavor, needs, zero_disk).map_err(|misfit| match misfit {
        Misfit::ZeroDisk => Fault::forbidden(misfit.to_string()),
        _ => Fault::bad_request(misfit.to_string()),
    })
}

/// The image as the server keeps it.
fn spec(image: Image) -> ImageSpec {
    ImageSpec {
        id: image.id,
        name: image.name,
        disk_format: image.disk_format.map(|f| f.as_str().to_owned()).unwrap_or_default(),
        container_format: image.container_format.map(|f| f.as_str().to_owned()).unwrap_or_default(),
        size_bytes: image.size.unwrap_or(0),
        os_hash_algo: image.os_hash_algo,
        os_hash_value: image.os_hash_value,
        min_disk: image.min_disk,
        min_ram: image.min_ram,
        properties: image.properties,
    }
}

async fn keypair(api: &ComputeApi, call: &Call, wanted: &Wanted) -> Result<Option<KeypairSpec>, Fault> {
    let Some(name) = &wanted.key_name else { return Ok(None) };
    let user = call.cx.user_id().map_or("", |u| u.as_str());
    let found = api.store.keypair_fetch(user, name).await.map_err(db)?;
    found.map(|k| Some(k.spec())).ok_or_else(|| Fault::bad_request("Invalid key_name provided."))
}

async fn group(api: &ComputeApi, call: &Call, wanted: &Wanted, project: &str) -> Result<Option<Group>, Fault> {
    let Some(uuid) = &wanted.group else { return Ok(None) };
    let mine = |g: &ServerGroup| call.cx.is_admin() || g.project_id == project;
    let found = api.store.group_fetch(&uuid.to_lowercase()).await.map_err(db)?.filter(mine);
    let group = found.ok_or_else(|| Fault::bad_request(format!("Instance group {uuid} could not be found.")))?;
    let limits = api.limits(LimitsOf::Project(project)).await?;
    Ok(Some(Group { uuid: group.uuid, most: limits.get("server_group_members") }))
}

/// Files to inject, against the project's limits on them.
fn files(wanted: &Wanted, limits: &Limits) -> Result<(), Fault> {
    let over = |resource: &str, n: usize| !limits.allows(resource, i64::try_from(n).unwrap_or(i64::MAX));
    if over("injected_files", wanted.files.len()) {
        return Err(Fault::forbidden("Personality file limit exceeded"));
    }
    for file in &wanted.files {
        if over("injected_file_path_bytes", file.path.len()) {
            let most = limits.get("injected_file_path_bytes");
            return Err(Fault::forbidden(format!("Personality file path exceeds maximum {most}")));
        }
        // base64: four characters for three bytes
        if over("injected_file_content_bytes", file.contents.trim_end_matches('=').len() * 3 / 4) {
            let most = limits.get("injected_file_content_bytes");
            return Err(Fault::forbidden(format!("Personality file content exceeds maximum {most}")));
        }
    }
    Ok(())
}
