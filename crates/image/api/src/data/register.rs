//! Data that is somewhere already: it is read where it is, hashed and inspected, and becomes the image's.

use super::Stored;
use super::hashing::HashAlgo;
use super::held::Held;
use super::store::{Failed, Room, pass};
use super::upload::{check_ready, room};
use crate::signature::Signed;
use crate::{Glance, fault};
use base::RequestContext;
use image_model::{Image, Location, Store, StoredData};
use platform_http::Fault;
use uuid::Uuid;

/// What whoever registers data says about it.
pub(crate) struct Claimed {
    pub(crate) algo: HashAlgo,
    /// Hexadecimal.
    pub(crate) hash: String,
}

/// Begins; what follows goes on by itself and ends with the image `active`, or `queued` again and the reason in its
/// history.
pub(crate) async fn register(
    glance: &Glance,
    cx: &RequestContext,
    image: &Image,
    store: &Store,
    url: &str,
    claimed: Option<Claimed>,
) -> Result<(), Fault> {
    check_ready(image)?;
    let room = room(glance, image).await?;
    let location = Location { store: store.name.clone(), url: url.to_owned() };
    let upload = Uuid::new_v4().simple().to_string();
    let (held, image) = Held::begin(glance, cx, image.id, upload, location.clone()).await?;
    let (store, glance) = (store.clone(), glance.clone());
    tokio::spawn(async move {
        let read = read(&glance, &store, &image, location, &room, claimed).await;
        let ended = match read {
            Ok(data) => held.finish(data).await,
            Err(fault) => Err(held.give_back(Failed::Refused(fault)).await),
        };
        if let Err(fault) = ended {
            tracing::warn!(image.id = %image.id, %fault, "data of image {} was not registered", image.id);
        }
    });
    Ok(())
}

async fn read(
    glance: &Glance,
    store: &Store,
    image: &Image,
    location: Location,
    room: &Room,
    claimed: Option<Claimed>,
) -> Result<StoredData, Fault> {
    let size = store.backend.size(&location.url).await.map_err(fault::of_backend)?;
    room.check(size)?;
    let signed = Signed::of(glance, image).await?;
    if !glance.do_secure_hash && signed.is_none() {
        let (algo, hash) = claimed.map(|c| (c.algo.as_str().to_owned(), c.hash)).unzip();
        let unread =
            StoredData { location, size, virtual_size: None, checksum: None, os_hash_algo: algo, os_hash_value: hash };
        return Ok(unread);
    }
    let algo = claimed.as_ref().map_or(HashAlgo::Sha512, |c| c.algo);
    let stream = store.backend.open(&location.url, Some(0..size)).await.map_err(fault::of_backend)?;
    let found = match pass(image, &mut Stored(stream), room, algo, signed.as_ref(), None).await {
        Ok(found) => found,
        Err(Failed::Refused(fault)) => return Err(fault),
        Err(Failed::Lost) => return Err(Fault::conflict("The image is gone.")),
    };
    match claimed {
        Some(claimed) if !claimed.hash.eq_ignore_ascii_case(&found.hash) => Err(Fault::bad_request(format!(
            "os_hash_value: ({}) not matched with actual os_hash_value: ({})",
            claimed.hash, found.hash
        ))),
        _ => Ok(found.at(location)),
    }
}
