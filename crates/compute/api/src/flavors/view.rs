//! Flavors on the wire.

use super::SPECS_INDEX;
use crate::ComputeApi;
use crate::links::Links;
use compute_store::flavors::Flavor;
use platform_http::Call;
use serde_json::{Map, Value, json};

const COLLECTION: &str = "flavors";

/// How one request shows flavors.
pub(super) struct View<'a> {
    call: &'a Call,
    links: Links,
    extra_specs: bool,
}

impl<'a> View<'a> {
    pub(super) fn of(api: &ComputeApi, call: &'a Call) -> Self {
        let extra_specs = call.since(2, 61) && api.allows(&call.cx, SPECS_INDEX, &crate::policy::own(&call.cx));
        Self { call, links: Links::of(call), extra_specs }
    }

    fn described(&self, mut shown: Map<String, Value>, f: &Flavor) -> Value {
        if self.call.since(2, 55) {
            shown.insert("description".into(), json!(f.description));
        }
        Value::Object(shown)
    }

    pub(super) fn brief(&self, f: &Flavor) -> Value {
        let shown = Map::from_iter([
            ("id".into(), json!(f.flavor_id)),
            ("name".into(), json!(f.name)),
            ("links".into(), self.links.of_item(COLLECTION, &f.flavor_id)),
        ]);
        self.described(shown, f)
    }

    pub(super) fn full(&self, f: &Flavor) -> Value {
        // no swap was an empty text before 2.75
        let swap = if f.swap_mib == 0 && !self.call.since(2, 75) { json!("") } else { json!(f.swap_mib) };
        let mut shown = Map::from_iter([
            ("id".into(), json!(f.flavor_id)),
            ("name".into(), json!(f.name)),
            ("ram".into(), json!(f.ram_mib)),
            ("disk".into(), json!(f.root_gib)),
            ("swap".into(), swap),
            ("OS-FLV-EXT-DATA:ephemeral".into(), json!(f.ephemeral_gib)),
            ("vcpus".into(), json!(f.vcpus)),
            ("os-flavor-access:is_public".into(), json!(f.is_public)),
            ("links".into(), self.links.of_item(COLLECTION, &f.flavor_id)),
        ]);
        if !self.call.since(2, 102) {
            shown.insert("OS-FLV-DISABLED:disabled".into(), json!(f.disabled));
            shown.insert("rxtx_factor".into(), json!(f.rxtx_factor));
        }
        if self.extra_specs {
            shown.insert("extra_specs".into(), json!(f.extra_specs()));
        }
        self.described(shown, f)
    }

    /// The link to the page after `last`; `collection` as in the request's path.
    pub(super) fn next(&self, collection: &str, last: &Flavor) -> Value {
        self.links.next(self.call, collection, &last.flavor_id)
    }
}
