//! A service on the wire.

use crate::ComputeApi;
use crate::availability_zones::Zones;
use compute_store::services::Service;
use platform_http::Call;
use serde_json::{Value, json};

pub(super) fn service(api: &ComputeApi, call: &Call, zones: &Zones, s: &Service) -> Value {
    let up = s.is_up(api.now(), api.service_down_time());
    let mut shown = json!({
        "binary": s.binary,
        "host": s.host,
        "id": if call.since(2, 53) { json!(s.uuid) } else { json!(s.id) },
        "zone": zones.of_service(s),
        "status": if s.disabled { "disabled" } else { "enabled" },
        "state": if up { "up" } else { "down" },
        "updated_at": s.seen_at().micros_naive(),
        "disabled_reason": s.disabled_reason,
    });
    if call.since(2, 11) {
        shown["forced_down"] = json!(s.forced_down);
    }
    shown
}
