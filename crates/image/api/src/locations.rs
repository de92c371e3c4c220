//! `/v2/images/{image_id}/locations`: for other services, which may read an image's store themselves, and for who has data
//! on a web server that the operator has made a store.

use crate::data::hashing::HashAlgo;
use crate::data::register::{Claimed, register};
use crate::{Glance, policy};
use image_model::Status;
use platform_http::{Call, Fault, Reply};
use serde_json::{Value, json};

/// `GET …/locations`
pub(crate) async fn list(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    glance.allow(&call.cx, policy::FETCH_LOCATION, &image)?;
    let one = |l: &image_model::Location| json!({"url": l.url, "metadata": {"store": glance.stores.name_of(l)}});
    let locations: Vec<Value> = image.locations.iter().map(one).collect();
    Ok(Reply::json(200, &locations))
}

/// `POST …/locations`. Only what a read-only store has may be named so: where other stores have data is theirs to say.
pub(crate) async fn add(glance: Glance, call: Call) -> Result<Reply, Fault> {
    let (url, claimed) = asked(call.json())?;
    let image = glance.image(&call.cx, call.param("image_id")).await?;
    if image.status != Status::Queued {
        let why = format!("It's not allowed to add locations if image status is {}.", image.status);
        return Err(Fault::conflict(why));
    }
    glance.allow(&call.cx, policy::ADD_LOCATION, &image)?;
    let has_read_only = glance.stores.all().iter().any(|s| s.backend.is_read_only());
    if !(call.cx.has_role("service") || url.starts_with("http") && has_read_only) {
        return Err(Fault::forbidden("http store must be enabled to use location API by normal user."));
    }
    let claimed = claimed.map(claim).transpose()?;
    let store = glance.stores.all().iter().find(|s| s.backend.is_read_only() && s.backend.holds(url));
    let Some(store) = store else {
        let scheme = url.split(':').next().unwrap_or_default();
        return Err(Fault::bad_request(format!("Invalid location: no store of this site has such {scheme} URLs.")));
    };
    register(&glance, &call.cx, &image, store, url, claimed).await?;
    Ok(Reply::empty(202))
}

/// An algorithm and a hash, as they were sent.
type Sent<'b> = (&'b str, &'b str);

/// The body, as far as the schema `location` goes.
fn asked(body: &Value) -> Result<(&str, Option<Sent<'_>>), Fault> {
    let bad = |why: &str| Fault::bad_request(format!("Provided object does not match schema 'location': {why}"));
    let url = match body.get("url") {
        None => return Err(bad("'url' is a required property")),
        Some(Value::String(url)) if url.chars().count() <= 255 => url,
        Some(Value::String(_)) => return Err(bad("the url is too long")),
        Some(_) => return Err(bad("the url is not of type 'string'")),
    };
    let data = match body.get("validation_data") {
        None => return Ok((url, None)),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(bad("validation_data is not of type 'object'")),
    };
    if let Some(key) = data.keys().find(|k| !["os_hash_algo", "os_hash_value"].contains(&k.as_str())) {
        return Err(bad(&format!("Additional properties are not allowed ('{key}' was unexpected)")));
    }
    match (data.get("os_hash_algo"), data.get("os_hash_value")) {
        (None, None) => Ok((url, None)),
        (Some(Value::String(algo)), Some(Value::String(hash))) => Ok((url, Some((algo, hash)))),
        (Some(_), None) => Err(bad("'os_hash_value' is a dependency of 'os_hash_algo'")),
        (None, Some(_)) => Err(bad("'os_hash_algo' is a dependency of 'os_hash_value'")),
        _ => Err(bad("the hash is not of type 'string'")),
    }
}

fn claim((algo, hash): Sent<'_>) -> Result<Claimed, Fault> {
    let Some(algo) = HashAlgo::of(algo) else {
        return Err(Fault::bad_request(format!(
            "Provided object does not match schema 'location': '{algo}' is not one of ['sha1', 'sha256', 'sha512', \
             'md5']"
        )));
    };
    if hash.len() % 2 == 1 || !hash.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Fault::bad_request(format!("os_hash_value ({hash}) is not a valid hexadecimal value")));
    }
    if hash.len() != algo.size() * 2 {
        return Err(Fault::bad_request(format!(
            "os_hash_value: ({hash}) is not the correct size for ({}) (should be ({}) bytes)",
            algo.as_str(),
            algo.size()
        )));
    }
    Ok(Claimed { algo, hash: hash.to_ascii_lowercase() })
}
