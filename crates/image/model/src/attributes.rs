//! An image's attributes: what values the schema `image` allows for each, and how they are set.

use crate::{ContainerFormat, DiskFormat, Image, Refusal, Visibility};
use base::{Gib, Mib, ProjectId};
use serde_json::Value;

/// Never in a request to create.
pub const READ_ONLY_ON_CREATE: &[&str] = &[
    "created_at",
    "updated_at",
    "status",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "size",
    "virtual_size",
    "locations",
];
/// Never in any request, and refused before anything else is looked at.
pub(crate) const DISALLOWED: &[&str] = &["direct_url", "self", "file", "schema", "stores"];
/// Never in a PATCH.
pub(crate) const READ_ONLY: &[&str] = &[
    "created_at",
    "updated_at",
    "status",
    "checksum",
    "size",
    "virtual_size",
    "direct_url",
    "self",
    "file",
    "schema",
    "id",
    "os_hash_algo",
    "os_hash_value",
];
const RESERVED: &[&str] = &["location", "deleted", "deleted_at"];
/// Properties that begin so belong to the service itself.
const RESERVED_NAMESPACE: &str = "os_glance";
/// Longest key and longest short text.
const MAX_CHARS: usize = 255;
/// Largest `min_disk` and `min_ram`: Glance keeps them in 32 bits.
const MAX_INT: u64 = i32::MAX as u64;

/// Keys that no client may use for a property.
pub fn is_reserved(key: &str) -> bool {
    RESERVED.contains(&key) || key.starts_with(RESERVED_NAMESPACE)
}

pub(crate) fn reserved(key: &str) -> Refusal {
    Refusal::forbidden(format!("Attribute '{key}' is reserved."))
}

pub(crate) fn read_only(key: &str) -> Refusal {
    Refusal::forbidden(format!("Attribute '{key}' is read-only."))
}

/// What the schema says of a value.
#[derive(Clone, Copy)]
enum Kind {
    Text { max: usize, null: bool },
    Words(fn() -> Vec<&'static str>, bool),
    Uuid { null: bool },
    Integer { null: bool },
    Boolean,
    Tags,
    Array,
}

fn words<T: Copy>(all: &'static [T], text: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|w| text(*w)).collect()
}

/// The schema's `properties`, and the custom ones that Glance ships with it. Every other key is a text of any length.
const SCHEMA: &[(&str, Kind)] = &[
    ("checksum", Kind::Text { max: 32, null: true }),
    ("container_format", Kind::Words(|| words(ContainerFormat::ALL, ContainerFormat::as_str), true)),
    ("created_at", Kind::Text { max: MAX_CHARS, null: false }),
    ("disk_format", Kind::Words(|| words(DiskFormat::ALL, DiskFormat::as_str), true)),
    ("id", Kind::Uuid { null: false }),
    ("locations", Kind::Array),
    ("min_disk", Kind::Integer { null: false }),
    ("min_ram", Kind::Integer { null: false }),
    ("name", Kind::Text { max: MAX_CHARS, null: true }),
    ("os_hash_algo", Kind::Text { max: 64, null: true }),
    ("os_hash_value", Kind::Text { max: 128, null: true }),
    ("os_hidden", Kind::Boolean),
    ("owner", Kind::Text { max: MAX_CHARS, null: true }),
    ("protected", Kind::Boolean),
    ("size", Kind::Integer { null: true }),
    (
        "status",
        Kind::Words(
            || {
                vec![
                    "queued",
                    "saving",
                    "active",
                    "killed",
                    "deleted",
                    "uploading",
                    "importing",
                    "pending_delete",
                    "deactivated",
                ]
            },
            false,
        ),
    ),
    ("tags", Kind::Tags),
    ("updated_at", Kind::Text { max: MAX_CHARS, null: false }),
    ("virtual_size", Kind::Integer { null: true }),
    ("visibility", Kind::Words(|| words(Visibility::ALL, Visibility::as_str), false)),
    ("kernel_id", Kind::Uuid { null: true }),
    ("ramdisk_id", Kind::Uuid { null: true }),
    ("cinder_encryption_key_deletion_policy", Kind::Words(|| vec!["on_image_deletion", "do_not_delete"], false)),
];

/// Whether the schema `image` allows `value` for `key`.
pub(crate) fn check(key: &str, value: &Value) -> Result<(), Refusal> {
    let kind = SCHEMA.iter().find(|(k, _)| *k == key).map(|(_, kind)| *kind);
    let why = match kind.unwrap_or(Kind::Text { max: usize::MAX, null: false }) {
        Kind::Text { max, null } => text_fault(value, max, null),
        Kind::Words(_, true) if value.is_null() => None,
        Kind::Words(words, null) => words_fault(value, &words(), null),
        Kind::Uuid { null: true } if value.is_null() => None,
        Kind::Uuid { null } => text_fault(value, 36, null).or_else(|| uuid_fault(value)),
        Kind::Integer { null: true } if value.is_null() => None,
        Kind::Integer { .. } => (!is_integer(value)).then(|| not_of_type(value, "'integer'")),
        Kind::Boolean => (!value.is_boolean()).then(|| not_of_type(value, "'boolean'")),
        Kind::Tags => tags_fault(value),
        Kind::Array => (!value.is_array()).then(|| not_of_type(value, "'array'")),
    };
    why.map_or(Ok(()), |why| Err(schema_refusal(key, &why)))
}

fn schema_refusal(key: &str, why: &str) -> Refusal {
    Refusal::Invalid(format!(
        "Provided object does not match schema 'image': {why}\n\nFailed validating in schema['properties']['{key}']"
    ))
}

fn not_of_type(value: &Value, types: &str) -> String {
    format!("{} is not of type {types}", repr(value))
}

fn text_fault(value: &Value, max: usize, null: bool) -> Option<String> {
    match value {
        Value::Null if null => None,
        Value::String(s) if s.chars().count() > max => Some(format!("{} is too long", repr(value))),
        Value::String(s) if s.contains('\0') => Some(format!("{} contains a NUL character", repr(value))),
        Value::String(_) => None,
        _ if null => Some(not_of_type(value, "'null', 'string'")),
        _ => Some(not_of_type(value, "'string'")),
    }
}

fn words_fault(value: &Value, words: &[&str], null: bool) -> Option<String> {
    if value.as_str().is_some_and(|s| words.contains(&s)) {
        return None;
    }
    let mut all: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
    if null {
        all.insert(0, "None".into());
    }
    Some(format!("{} is not one of [{}]", repr(value), all.join(", ")))
}

fn uuid_fault(value: &Value) -> Option<String> {
    let text = value.as_str().unwrap_or_default();
    // the schema wants the dashes
    let good = text.len() == 36 && text.parse::<base::ImageId>().is_ok();
    (!good).then(|| {
        let hex = |n: usize| format!("([0-9a-fA-F]){{{n}}}");
        format!("{} does not match '^{}-{}-{}-{}-{}$'", repr(value), hex(8), hex(4), hex(4), hex(4), hex(12))
    })
}

/// As in JSON Schema: 3.0 is an integer.
fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
}

fn tags_fault(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().find_map(|v| text_fault(v, MAX_CHARS, false)),
        _ => Some(not_of_type(value, "'array'")),
    }
}

/// A value as Python prints it in such messages; long ones are cut.
fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(s) => {
            let shown: String = s.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
            format!("'{}'", shown.replace("\\\"", "\""))
        }
        other => other.to_string().chars().take(MAX_CHARS).collect(),
    }
}

/// A property's key, beside the schema's rules.
pub(crate) fn check_key(key: &str) -> Result<(), Refusal> {
    if key.chars().count() > MAX_CHARS {
        return Err(Refusal::invalid("Custom property should not be greater than 255 characters."));
    }
    if key.contains('\0') {
        return Err(Refusal::invalid("Custom property should not contain a NUL character."));
    }
    Ok(())
}

/// Sets a base attribute to a value that [`check`] has passed. `false`: there is none of that name.
pub(crate) fn set(image: &mut Image, key: &str, value: &Value) -> Result<bool, Refusal> {
    let text = || value.as_str().map(str::to_owned);
    match key {
        "name" => image.name = text(),
        "visibility" => image.visibility = word(key, value)?,
        "owner" => image.owner = text().map(ProjectId),
        "disk_format" => image.disk_format = if value.is_null() { None } else { Some(word(key, value)?) },
        "container_format" => image.container_format = if value.is_null() { None } else { Some(word(key, value)?) },
        "min_disk" => image.min_disk = Gib(amount(key, value)?),
        "min_ram" => image.min_ram = Mib(amount(key, value)?),
        "protected" => image.protected = value.as_bool().unwrap_or_default(),
        "os_hidden" => image.os_hidden = value.as_bool().unwrap_or_default(),
        "tags" => {
            let tags = value.as_array().map(Vec::as_slice).unwrap_or_default();
            image.tags = tags.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn word<T: std::str::FromStr>(key: &str, value: &Value) -> Result<T, Refusal> {
    value
        .as_str()
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| schema_refusal(key, &format!("{} is not a known value", repr(value))))
}

fn amount(key: &str, value: &Value) -> Result<u64, Refusal> {
    if value.as_f64().is_some_and(|f| f < 0.0) {
        return Err(Refusal::Invalid(format!(
            "Invalid value '{value}' for parameter '{key}': Cannot be a negative value"
        )));
    }
    // 3.0 counts as 3
    let whole = value.as_u64().or_else(|| value.as_f64().filter(|f| *f <= MAX_INT as f64).map(|f| f as u64));
    whole
        .filter(|n| *n <= MAX_INT)
        .ok_or_else(|| Refusal::Invalid(format!("'{key}' value out of range, must not exceed {MAX_INT}.")))
}
