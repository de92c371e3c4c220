//! The body of `POST /servers`, from every microversion's shape to one.

use super::block_devices::{self, Mapping};
use crate::input::{integer, json_truth, text};
use base::ImageId;
use compute_model::spec::InjectedFile;
use platform_http::{Call, Fault};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Body {
    server: Server,
    #[serde(rename = "os:scheduler_hints")]
    hints: Option<Map<String, Value>>,
    #[serde(rename = "OS-SCH-HNT:scheduler_hints")]
    old_hints: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Server {
    name: String,
    description: Option<String>,
    #[serde(rename = "flavorRef")]
    flavor_ref: Value,
    #[serde(rename = "imageRef")]
    image_ref: Option<String>,
    networks: Option<Value>,
    min_count: Option<Value>,
    max_count: Option<Value>,
    return_reservation_id: Option<Value>,
    key_name: Option<String>,
    user_data: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    personality: Vec<InjectedFile>,
    config_drive: Option<Value>,
    availability_zone: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    hostname: Option<String>,
    trusted_image_certificates: Option<Vec<String>>,
    host: Option<String>,
    hypervisor_hostname: Option<String>,
    #[serde(default)]
    block_device_mapping: Vec<Map<String, Value>>,
    #[serde(default)]
    block_device_mapping_v2: Vec<Mapping>,
    #[serde(rename = "adminPass")]
    admin_pass: Option<String>,
    #[serde(rename = "accessIPv4")]
    access_ip_v4: Option<String>,
    #[serde(rename = "accessIPv6")]
    access_ip_v6: Option<String>,
    #[serde(rename = "OS-DCF:diskConfig")]
    disk_config: Option<String>,
    #[serde(default)]
    security_groups: Vec<SecurityGroup>,
}

#[derive(Deserialize)]
struct SecurityGroup {
    name: Option<String>,
}

/// What is asked for, in the newest shape.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) flavor_id: String,
    pub(super) image_id: ImageId,
    /// At least and at most so many servers; both at least 1.
    pub(super) count: (i64, i64),
    pub(super) return_reservation_id: bool,
    pub(super) key_name: Option<String>,
    pub(super) user_data: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) files: Vec<InjectedFile>,
    pub(super) config_drive: bool,
    /// `zone`, `zone:host`, `zone:host:node` or `zone::node`.
    pub(super) availability_zone: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) hostname: Option<String>,
    pub(super) trusted_certificates: Option<Vec<String>>,
    pub(super) host: Option<String>,
    pub(super) hypervisor_hostname: Option<String>,
    pub(super) hints: Map<String, Value>,
    /// Uuid of the server group of the hints.
    pub(super) group: Option<String>,
    pub(super) admin_pass: Option<String>,
    pub(super) access_ip_v4: Option<String>,
    pub(super) access_ip_v6: Option<String>,
    pub(super) disk_config: String,
    pub(super) security_groups: Vec<String>,
}

/// Hints that are lists, whatever was sent; the others are single values.
const LISTS: &[&str] = &["same_host", "different_host", "different_cell"];

pub(super) fn read(call: &Call, most: usize) -> Result<Wanted, Fault> {
    let Body { server: s, hints, old_hints } = call.parse()?;
    networks(s.networks.as_ref())?;
    let image_id = block_devices::image(
        s.image_ref.as_deref().filter(|r| !r.is_empty()),
        &s.block_device_mapping,
        &s.block_device_mapping_v2,
    )?;
    let name = s.name.trim().to_owned();
    let hints = hints.or(old_hints).map(normal).unwrap_or_default();
    let mut tags: Vec<String> = Vec::new();
    for tag in s.tags {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let groups: Vec<String> = s.security_groups.into_iter().filter_map(|g| g.name).collect();
    Ok(Wanted {
        // below 2.19 a server was described by its name
        description: if call.since(2, 19) { s.description } else { Some(name.clone()) },
        flavor_id: last_segment(&text(&s.flavor_ref).unwrap_or_default()),
        image_id,
        count: count(s.min_count.as_ref(), s.max_count.as_ref(), most)?,
        return_reservation_id: s.return_reservation_id.as_ref().and_then(json_truth).unwrap_or(false),
        key_name: s.key_name,
        user_data: s.user_data,
        metadata: s.metadata.unwrap_or_default(),
        files: s.personality,
        config_drive: s.config_drive.as_ref().and_then(json_truth).unwrap_or(false),
        availability_zone: s.availability_zone,
        tags,
        hostname: s.hostname,
        trusted_certificates: s.trusted_image_certificates,
        host: s.host,
        hypervisor_hostname: s.hypervisor_hostname,
        group: hints.get("group").and_then(Value::as_str).map(str::to_owned),
        hints,
        admin_pass: s.admin_pass,
        access_ip_v4: s.access_ip_v4,
        access_ip_v6: s.access_ip_v6.map(|ip| shortest(&ip)),
        disk_config: s.disk_config.unwrap_or_else(|| "MANUAL".into()),
        security_groups: if groups.is_empty() { vec!["default".into()] } else { groups },
        name,
    })
}

/// Without a network service a server can have no networks: not asking for any, and asking for none, is the same.
fn networks(asked: Option<&Value>) -> Result<(), Fault> {
    match asked {
        None => Ok(()),
        Some(Value::String(word)) if word == "none" => Ok(()),
        Some(Value::Array(list)) if list.is_empty() => Ok(()),
        Some(_) => Err(Fault::bad_request(
            "This cloud has no network service yet: servers can only be created with networks 'none'.",
        )),
    }
}

fn count(min: Option<&Value>, max: Option<&Value>, most: usize) -> Result<(i64, i64), Fault> {
    // a number too large to hold is only "very many" here
    let number = |v: Option<&Value>| v.filter(|v| !v.is_null()).map(|v| integer(v).unwrap_or(i64::MAX).max(1));
    let min = number(min).unwrap_or(1);
    let max = number(max).unwrap_or(min);
    if min > max {
        return Err(Fault::bad_request("min_count must be <= max_count"));
    }
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    if min > most {
        return Err(Fault::bad_request(format!("min_count must be <= {most}: no request may create more servers")));
    }
    Ok((min, max.min(most)))
}

/// An IPv6 address in its canonical form, in which it is stored and shown.
pub(in crate::servers) fn shortest(ip: &str) -> String {
    ip.parse::<std::net::Ipv6Addr>().map_or_else(|_| ip.to_owned(), |ip| ip.to_string())
}

/// A flavor may be given as a URL.
fn last_segment(reference: &str) -> String {
    reference.rsplit('/').next().unwrap_or(reference).to_owned()
}

fn normal(hints: Map<String, Value>) -> Map<String, Value> {
    let one = |key: &str, value: Value| match value {
        Value::Array(list) if !LISTS.contains(&key) => list.into_iter().next(),
        Value::Array(list) => Some(Value::Array(list)),
        single if LISTS.contains(&key) => Some(Value::Array(vec![single])),
        single => Some(single),
    };
    hints.into_iter().filter_map(|(key, value)| one(&key, value).map(|value| (key, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts() {
        let of = |min: Value, max: Value| count(Some(&min), Some(&max), 1000).map_err(|f| f.message.into_owned());
        assert_eq!(of(json!(null), json!(null)), Ok((1, 1)));
        assert_eq!(of(json!("2"), json!(null)), Ok((2, 2)));
        assert_eq!(of(json!(2), json!("3")), Ok((2, 3)));
        assert_eq!(of(json!(3), json!(2)), Err("min_count must be <= max_count".into()));
        assert_eq!(of(json!(1), json!(1_000_000)), Ok((1, 1000)));
        assert_eq!(of(json!(null), json!("99999999999999999999999999")), Ok((1, 1000)));
        assert!(of(json!(1001), json!(1001)).is_err());
    }

    #[test]
    fn hints_are_lists_or_single_values() {
        let given = json!({"same_host": "a", "different_host": ["b", "c"], "group": ["g"], "query": {"x": 1}});
        let Value::Object(given) = given else { unreachable!() };
        let wanted = json!({"same_host": ["a"], "different_host": ["b", "c"], "group": "g", "query": {"x": 1}});
        assert_eq!(Value::Object(normal(given)), wanted);
    }

    #[test]
    fn only_no_networks() {
        assert!(networks(None).is_ok() && networks(Some(&json!("none"))).is_ok() && networks(Some(&json!([]))).is_ok());
        for other in [json!("auto"), json!([{"uuid": "x"}]), json!([{}])] {
            assert_eq!(networks(Some(&other)).unwrap_err().status, 400);
        }
    }

    #[test]
    fn addresses_are_kept_in_their_shortest_form() {
        assert_eq!(shortest("0000:0000:0000:0000:0000:babe:220.12.22.2"), "::babe:dc0c:1602");
        assert_eq!(shortest("80fe::"), "80fe::");
    }

    #[test]
    fn references_may_be_urls() {
        assert_eq!(last_segment("http://openstack.example.com/flavors/1"), "1");
        assert_eq!(last_segment("m1.tiny"), "m1.tiny");
    }
}
