//! `PATCH /images/{id}`: a JSON patch, in two drafts, on one record.
//!
//! First the whole document is read ([`parse`]), then it is applied to a copy ([`apply`]); a change that is not allowed
//! leaves nothing of the others.

use crate::attributes::{self, READ_ONLY};
use crate::{Image, Limits, Refusal};
use serde_json::Value;

/// What the content type says about the form of the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draft {
    /// `application/openstack-images-v2.0-json-patch`: `{"replace": "/name", "value": …}`.
    V4,
    /// `application/openstack-images-v2.1-json-patch`: `{"op": "replace", "path": "/name", "value": …}`.
    V10,
}

impl Draft {
    /// In the order in which `Accept-Patch` names them.
    pub const CONTENT_TYPES: &'static [&'static str] =
        &["application/openstack-images-v2.0-json-patch", "application/openstack-images-v2.1-json-patch"];

    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let index = Self::CONTENT_TYPES.iter().position(|c| content_type.eq_ignore_ascii_case(c))?;
        Some([Self::V4, Self::V10][index])
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Remove,
    Replace,
}

const OPS: &[(&str, Op)] = &[("add", Op::Add), ("remove", Op::Remove), ("replace", Op::Replace)];

/// One operation. `path` has its escapes taken out and at least one part.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub op: Op,
    pub path: Vec<String>,
    /// Null for `remove`.
    pub value: Value,
    pub draft: Draft,
}

impl Change {
    /// The attribute or property it is about.
    pub fn root(&self) -> &str {
        &self.path[0]
    }
}

/// Reads a patch document and refuses what no image would allow.
pub fn parse(draft: Draft, body: &Value) -> Result<Vec<Change>, Refusal> {
    let Value::Array(operations) = body else {
        return Err(Refusal::invalid("Request body must be a JSON array of operation objects."));
    };
    operations.iter().map(|raw| change(draft, raw)).collect()
}

fn change(draft: Draft, raw: &Value) -> Result<Change, Refusal> {
    let Value::Object(raw) = raw else {
        return Err(Refusal::invalid("Operations must be JSON objects."));
    };
    let (op, pointer) = match draft {
        Draft::V10 => (operation_v10(raw.get("op"))?, raw.get("path")),
        Draft::V4 => operation_v4(raw)?,
    };
    let pointer = pointer
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::invalid("Unable to find 'path' in JSON Schema change"))?;
    let path = decode_pointer(pointer)?;
    if path.len() != depth(&path[0], op) {
        return Err(Refusal::Invalid(format!("Invalid JSON pointer for this resource: '/{}'", path.join("/"))));
    }
    let value = match (op, raw.get("value")) {
        (Op::Remove, _) => Value::Null,
        (_, Some(value)) => value.clone(),
        (_, None) => {
            let name = OPS.iter().find(|(_, o)| *o == op).map_or("", |(name, _)| name);
            return Err(Refusal::Invalid(format!("Operation \"{name}\" requires a member named \"value\".")));
        }
    };
    let change = Change { op, path, value, draft };
    check(&change)?;
    Ok(change)
}

fn operation_v10(op: Option<&Value>) -> Result<Op, Refusal> {
    const AVAILABLE: &str = "It must be one of the following: add, remove, replace.";
    let Some(op) = op.filter(|op| !op.is_null()) else {
        return Err(Refusal::Invalid(format!("Unable to find `op` in JSON Schema change. {AVAILABLE}")));
    };
    let known = OPS.iter().find(|(name, _)| op.as_str() == Some(name));
    known.map(|(_, op)| *op).ok_or_else(|| {
        let shown = op.as_str().map_or_else(|| op.to_string(), str::to_owned);
        Refusal::Invalid(format!("Invalid operation: `{shown}`. {AVAILABLE}"))
    })
}

fn operation_v4(raw: &serde_json::Map<String, Value>) -> Result<(Op, Option<&Value>), Refusal> {
    let mut there = OPS.iter().filter_map(|(name, op)| Some((*op, raw.get(*name)?)));
    match (there.next(), there.next()) {
        (Some((op, pointer)), None) => Ok((op, Some(pointer))),
        (None, _) => Err(Refusal::invalid(
            "Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\".",
        )),
        _ => Err(Refusal::invalid(
            "Operation objects must contain only one member named \"add\", \"remove\", or \"replace\".",
        )),
    }
}

/// Locations are a list whose items have paths of their own; everything else is changed as a whole.
fn depth(root: &str, op: Op) -> usize {
    if root == "locations" && op != Op::Replace { 2 } else { 1 }
}

fn decode_pointer(pointer: &str) -> Result<Vec<String>, Refusal> {
    let bad = |what: &str| Err(Refusal::Invalid(format!("Pointer `{pointer}` {what}")));
    let Some(rest) = pointer.strip_prefix('/') else {
        return bad("does not start with \"/\".");
    };
    let parts: Vec<&str> = rest.split('/').collect();
    if parts.len() > 2 && parts[1..parts.len() - 1].iter().any(|p| p.trim().is_empty()) {
        return bad("contains adjacent \"/\".");
    }
    if pointer.len() > 1 && pointer.ends_with('/') {
        return bad("end with \"/\".");
    }
    let mut escapes = pointer.split('~').skip(1);
    if escapes.any(|after| !after.starts_with(['0', '1'])) {
        return bad("contains \"~\" not part of a recognized escape sequence.");
    }
    if rest.trim().is_empty() {
        return bad("does not contains valid token.");
    }
    let decode = |part: &str| part.replace("~1", "/").replace("~0", "~").trim().to_owned();
    Ok(pointer.trim_start_matches('/').split('/').map(decode).collect())
}

/// Refuses what may never be changed, and values that the schema does not allow.
fn check(change: &Change) -> Result<(), Refusal> {
    let root = change.root();
    if READ_ONLY.contains(&root) {
        return Err(attributes::read_only(root));
    }
    if attributes::is_reserved(root) {
        return Err(attributes::reserved(root));
    }
    match change.op {
        Op::Remove => Ok(()),
        _ if change.path.len() > 1 => Ok(()),
        _ => attributes::check_key(root).and_then(|()| attributes::check(root, &change.value)),
    }
}

/// Applies the changes. `admin`: the caller may also give the image to another owner. The image is as before if one of
/// them is refused.
pub fn apply(image: &Image, changes: &[Change], admin: bool, limits: &Limits) -> Result<Image, Refusal> {
    let mut new = image.clone();
    for change in changes {
        if change.root() == "locations" {
            return Err(refuse_locations(change));
        }
        match change.op {
            Op::Replace => replace(&mut new, change, admin)?,
            Op::Add => add(&mut new, change)?,
            Op::Remove => remove(&mut new, change)?,
        }
    }
    limits.check(&new)?;
    Ok(new)
}

/// Locations are never shown, so they cannot be changed either.
fn refuse_locations(change: &Change) -> Refusal {
    let verb = match change.op {
        Op::Replace if change.value.as_array().is_some_and(Vec::is_empty) => {
            return Refusal::forbidden("Cannot set locations to empty list.");
        }
        Op::Replace => "update",
        Op::Add => "add",
        Op::Remove => "remove",
    };
    Refusal::Forbidden(format!("It's not allowed to {verb} locations if locations are invisible."))
}

fn replace(image: &mut Image, change: &Change, admin: bool) -> Result<(), Refusal> {
    if change.root() == "owner" && !admin {
        return Err(Refusal::forbidden("Owner can't be updated by non admin."));
    }
    if set_attribute(image, change)? {
        return Ok(());
    }
    if !image.properties.contains_key(change.root()) {
        return Err(does_not_exist(change.root()));
    }
    set_property(image, change);
    Ok(())
}

fn add(image: &mut Image, change: &Change) -> Result<(), Refusal> {
    let root = change.root();
    let mut probe = image.clone();
    let is_attribute = set_attribute(&mut probe, change)?;
    if change.draft == Draft::V4 && (is_attribute || image.properties.contains_key(root)) {
        return Err(Refusal::Conflict(format!("Property {root} already present.")));
    }
    if is_attribute {
        *image = probe;
    } else {
        set_property(image, change);
    }
    Ok(())
}

fn remove(image: &mut Image, change: &Change) -> Result<(), Refusal> {
    let root = change.root();
    if ATTRIBUTES.contains(&root) {
        return Err(Refusal::Forbidden(format!("Property {root} may not be removed.")));
    }
    image.properties.remove(root).map(drop).ok_or_else(|| does_not_exist(root))
}

fn does_not_exist(root: &str) -> Refusal {
    Refusal::Conflict(format!("Property {root} does not exist."))
}

/// What every image has and no patch takes away.
const ATTRIBUTES: &[&str] = &[
    "name",
    "visibility",
    "owner",
    "disk_format",
    "container_format",
    "min_disk",
    "min_ram",
    "protected",
    "os_hidden",
    "tags",
];

fn set_attribute(image: &mut Image, change: &Change) -> Result<bool, Refusal> {
    let root = change.root();
    if matches!(root, "disk_format" | "container_format") && !image.status.formats_may_change() {
        return Err(Refusal::Forbidden(format!("Attribute {root} can be only replaced for a queued image.")));
    }
    attributes::set(image, root, &change.value)
}

/// The few properties that may be null are then as good as not there.
fn set_property(image: &mut Image, change: &Change) {
    match change.value.as_str() {
        Some(text) => image.properties.insert(change.root().to_owned(), text.to_owned()),
        None => image.properties.remove(change.root()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::create::tests::image;
    use crate::{Status, Visibility};
    use serde_json::json;

    fn patch_by(admin: bool, draft: Draft, status: Status, body: Value) -> Result<Image, Refusal> {
        let mut old = image();
        old.status = status;
        old.properties.insert("os_distro".into(), "debian".into());
        apply(&old, &parse(draft, &body)?, admin, &Limits::default())
    }

    fn patch(body: Value) -> Result<Image, Refusal> {
        patch_by(false, Draft::V10, Status::Queued, body)
    }

    #[test]
    fn both_drafts_say_the_same() {
        let new = patch(json!([
            {"op": "replace", "path": "/name", "value": "new"},
            {"op": "replace", "path": "/visibility", "value": "private"},
            {"op": "add", "path": "/a~1b~0c", "value": "v"},
            {"op": "remove", "path": "/os_distro"},
            {"op": "replace", "path": "/tags", "value": ["x", "y"]},
        ]))
        .unwrap();
        let old_form = patch_by(
            false,
            Draft::V4,
            Status::Queued,
            json!([
                {"replace": "/name", "value": "new"}, {"replace": "/visibility", "value": "private"},
                {"add": "/a~1b~0c", "value": "v"}, {"remove": "/os_distro"}, {"replace": "/tags", "value": ["x", "y"]},
            ]),
        )
        .unwrap();
        assert_eq!(new.name.as_deref(), Some("new"));
        assert_eq!(new.visibility, Visibility::Private);
        assert_eq!(new.properties.into_iter().collect::<Vec<_>>(), [("a/b~c".to_owned(), "v".to_owned())]);
        assert_eq!((new.tags.len(), old_form.tags.len()), (2, 2));
        assert_eq!(old_form.properties["a/b~c"], "v");
    }

    #[test]
    fn an_empty_patch_changes_nothing() {
        assert_eq!(patch(json!([])).unwrap().name, image().name);
    }

    #[test]
    fn what_is_refused_and_how() {
        let op = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
        for (body, refusal) in [
            (json!({}), Refusal::invalid("Request body must be a JSON array of operation objects.")),
            (json!([1]), Refusal::invalid("Operations must be JSON objects.")),
            (
                json!([{"path": "/name"}]),
                Refusal::invalid(
                    "Unable to find `op` in JSON Schema change. It must be one of the following: add, remove, replace.",
                ),
            ),
            (
                op("move", "/name", json!("x")),
                Refusal::invalid("Invalid operation: `move`. It must be one of the following: add, remove, replace."),
            ),
            (json!([{"op": "add"}]), Refusal::invalid("Unable to find 'path' in JSON Schema change")),
            (op("add", "name", json!("x")), Refusal::invalid("Pointer `name` does not start with \"/\".")),
            (op("add", "/a/", json!("x")), Refusal::invalid("Pointer `/a/` end with \"/\".")),
            (op("add", "/a//b", json!("x")), Refusal::invalid("Pointer `/a//b` contains adjacent \"/\".")),
            (
                op("add", "/a~2", json!("x")),
                Refusal::invalid("Pointer `/a~2` contains \"~\" not part of a recognized escape sequence."),
            ),
            (op("add", "/tags/-", json!("x")), Refusal::invalid("Invalid JSON pointer for this resource: '/tags/-'")),
            (
                json!([{"op": "add", "path": "/name"}]),
                Refusal::invalid("Operation \"add\" requires a member named \"value\"."),
            ),
            (op("replace", "/status", json!("active")), Refusal::forbidden("Attribute 'status' is read-only.")),
            (op("replace", "/id", json!("x")), Refusal::forbidden("Attribute 'id' is read-only.")),
            (op("replace", "/deleted", json!("x")), Refusal::forbidden("Attribute 'deleted' is reserved.")),
            (op("remove", "/os_glance_x", json!(null)), Refusal::forbidden("Attribute 'os_glance_x' is reserved.")),
            (op("replace", "/owner", json!("p2")), Refusal::forbidden("Owner can't be updated by non admin.")),
            (op("remove", "/name", json!(null)), Refusal::forbidden("Property name may not be removed.")),
            (op("remove", "/nosuch", json!(null)), Refusal::conflict("Property nosuch does not exist.")),
            (op("replace", "/nosuch", json!("x")), Refusal::conflict("Property nosuch does not exist.")),
            (op("replace", "/locations", json!([])), Refusal::forbidden("Cannot set locations to empty list.")),
            (
                op("add", "/locations/-", json!({"url": "file:///etc/passwd", "metadata": {}})),
                Refusal::forbidden("It's not allowed to add locations if locations are invisible."),
            ),
        ] {
            assert_eq!(patch(body.clone()).expect_err("refused"), refusal, "{body}");
        }
        let invalid = patch(op("replace", "/min_disk", json!("1"))).unwrap_err();
        assert!(matches!(&invalid, Refusal::Invalid(m) if m.contains("'1' is not of type 'integer'")), "{invalid}");
        let present = patch_by(false, Draft::V4, Status::Queued, json!([{"add": "/name", "value": "x"}])).unwrap_err();
        assert_eq!(present, Refusal::conflict("Property name already present."));
    }

    #[test]
    fn formats_are_fixed_once_there_is_data() {
        let body = json!([{"op": "replace", "path": "/disk_format", "value": "raw"}]);
        assert!(patch_by(false, Draft::V10, Status::Queued, body.clone()).is_ok());
        for status in [Status::Saving, Status::Active, Status::Deactivated] {
            assert_eq!(
                patch_by(false, Draft::V10, status, body.clone()).unwrap_err(),
                Refusal::forbidden("Attribute disk_format can be only replaced for a queued image."),
                "{status}"
            );
        }
    }

    #[test]
    fn an_admin_gives_images_away() {
        let body = json!([{"op": "replace", "path": "/owner", "value": "p2"}]);
        let new = patch_by(true, Draft::V10, Status::Active, body).unwrap();
        assert_eq!(new.owner, Some("p2".into()));
    }

    #[test]
    fn quotas_count_what_comes_out() {
        let add: Vec<Value> = (0..128).map(|n| json!({"op": "add", "path": format!("/p{n}"), "value": "x"})).collect();
        let refusal = patch(json!(add)).unwrap_err();
        assert!(matches!(&refusal, Refusal::TooLarge(m) if m.contains("Attempted: 129, Maximum: 128")), "{refusal}");
    }
}
