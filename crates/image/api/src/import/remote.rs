//! `glance-download`: the image service of another region, found in the caller's catalog and asked with his token.

use super::source::{Opened, downloaded, refused};
use crate::Glance;
use crate::fetch::Target;
use base::{ImageId, Secret};
use image_model::{ContainerFormat, DiskFormat, Imported, is_reserved};
use platform_http::{Fault, HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use url::Url;

/// Largest catalog, and largest record of an image, that are read.
const JSON_LIMIT: usize = 4 << 20;

pub(super) async fn open(
    glance: &Glance,
    token: &Secret,
    region: &str,
    interface: &str,
    image: ImageId,
) -> Result<Opened, Fault> {
    let catalog = json(glance, &format!("{}/auth/catalog", glance.imports.settings.identity_url), token).await?;
    let endpoint = endpoint(&catalog, region, interface)
        .ok_or_else(|| Fault::not_found(format!("{interface} glance endpoint not found for region {region}")))?;
    let root = endpoint.trim_end_matches('/').trim_end_matches("/v2");
    let record_url = format!("{root}/v2/images/{image}");
    let file_url = format!("{record_url}/file");
    glance
        .imports
        .fetcher
        .check(&file_url)
        .map_err(|_| failed(format!("Processed URI for glance-download does not pass filtering: {file_url}")))?;
    let record = json(glance, &record_url, token).await?;
    let (size, imported) = described(glance, &record, image)?;
    let transfer = glance.imports.fetcher.open(target(&file_url, token)?).await.map_err(refused)?;
    let mut opened = downloaded(transfer);
    if let Some(sent) = opened.size.filter(|sent| *sent != size) {
        return Err(failed(format!("The downloaded data has {sent} bytes instead of the expected {size}.")));
    }
    opened.size = Some(size);
    opened.sha512 = record["os_hash_value"].as_str().filter(|_| record["os_hash_algo"] == "sha512").map(str::to_owned);
    opened.imported = imported;
    Ok(opened)
}

fn failed(why: String) -> Fault {
    Fault::new(StatusCode::BAD_GATEWAY, why)
}

/// The operator's catalog named the host; where it redirects to is checked.
fn target(url: &str, token: &Secret) -> Result<Target, Fault> {
    let parsed = Url::parse(url).map_err(|_| failed(format!("{url} is not a URL")))?;
    let mut headers = HeaderMap::new();
    let mut token =
        HeaderValue::from_str(token.expose()).map_err(|_| failed("The token cannot be sent.".to_owned()))?;
    token.set_sensitive(true);
    headers.insert("x-auth-token", token);
    Ok(Target { url: parsed, headers, trusted: true })
}

async fn json(glance: &Glance, url: &str, token: &Secret) -> Result<Value, Fault> {
    let mut transfer = glance.imports.fetcher.open(target(url, token)?).await.map_err(refused)?;
    let mut text = Vec::new();
    while let Some(chunk) = transfer.next().await.map_err(refused)? {
        text.extend_from_slice(&chunk);
        if text.len() > JSON_LIMIT {
            return Err(failed(format!("{url} answered more than {JSON_LIMIT} bytes.")));
        }
    }
    serde_json::from_slice(&text).map_err(|e| failed(format!("{url} answered what is not JSON: {e}")))
}

fn endpoint<'c>(catalog: &'c Value, region: &str, interface: &str) -> Option<&'c str> {
    let services = catalog["catalog"].as_array()?.iter().filter(|s| s["type"] == "image");
    let endpoints = services.filter_map(|s| s["endpoints"].as_array()).flatten();
    let is_there = |e: &&Value| {
        let named = |key: &str| e[key].as_str().is_some_and(|r| r.eq_ignore_ascii_case(region));
        (named("region") || named("region_id")) && e["interface"] == interface
    };
    endpoints.filter(is_there).find_map(|e| e["url"].as_str())
}

/// How many bytes it has, and what it brings along.
fn described(glance: &Glance, record: &Value, image: ImageId) -> Result<(u64, Imported), Fault> {
    let status = record["status"].as_str().unwrap_or_default();
    if status != "active" {
        return Err(failed(format!("Source image status should be active instead of {status}")));
    }
    let no_size = || failed(format!("Size attribute of remote image {image} could not be determined."));
    let size = record["size"].as_u64().ok_or_else(no_size)?;
    let word = |key: &str| record[key].as_str().unwrap_or_default();
    let unknown = |key: &str| failed(format!("The remote image has a {key} that is not known here: {}", word(key)));
    let disk: DiskFormat = word("disk_format").parse().map_err(|_| unknown("disk_format"))?;
    let container: ContainerFormat = word("container_format").parse().map_err(|_| unknown("container_format"))?;
    let wanted = |key: &str| {
        !is_reserved(key) && glance.imports.settings.remote_properties.iter().any(|p| key.starts_with(p.as_str()))
    };
    let all = record.as_object().into_iter().flatten();
    let properties = all.filter(|(key, _)| wanted(key)).filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())));
    let imported = Imported {
        properties: properties.collect(),
        disk_format: Some(disk),
        container_format: Some(container),
        failed_stores: Vec::new(),
    };
    Ok((size, imported))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_endpoint_of_a_region() {
        let endpoints = json!([
            {"region": "One", "region_id": "One", "interface": "internal", "url": "http://inside"},
            {"region": "One", "region_id": "One", "interface": "public", "url": "http://outside"}]);
        let catalog = json!({"catalog": [{"type": "compute", "endpoints": [
            {"region": "One", "interface": "public", "url": "http://nova"}]}, {"type": "image", "endpoints": endpoints}]});
        assert_eq!(endpoint(&catalog, "one", "public"), Some("http://outside"));
        assert_eq!(endpoint(&catalog, "One", "internal"), Some("http://inside"));
        assert_eq!(endpoint(&catalog, "Two", "public"), None);
        assert_eq!(endpoint(&catalog, "One", "nonsense"), None);
        assert_eq!(endpoint(&json!({}), "One", "public"), None);
    }
}
