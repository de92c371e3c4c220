//! `/os-quota-sets` and `/os-quota-class-sets`: how much projects, and users in them, may have.

mod classes;
mod sets;

use crate::ComputeApi;
use compute_store::quota_limits::DEFAULTS;
use platform_http::{Call, Route};

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/os-quota-sets/{id}", sets::show).policy(&[sets::SHOW]).schema("quota_sets.show"),
        Route::get("/os-quota-sets/{id}/detail", sets::detail).policy(&[sets::DETAIL]).schema("quota_sets.detail"),
        Route::get("/os-quota-sets/{id}/defaults", sets::defaults)
            .policy(&[sets::DEFAULTS])
            .schema("quota_sets.defaults"),
        Route::put("/os-quota-sets/{id}", sets::update).policy(&[sets::UPDATE]).schema("quota_sets.update"),
        Route::delete("/os-quota-sets/{id}", sets::delete).policy(&[sets::DELETE]).schema("quota_sets.delete"),
        Route::get("/os-quota-class-sets/{id}", classes::show).policy(&[classes::SHOW]).schema("quota_classes.show"),
        Route::put("/os-quota-class-sets/{id}", classes::update)
            .policy(&[classes::UPDATE])
            .schema("quota_classes.update"),
    ]
}

const NETWORK: &[&str] = &["fixed_ips", "floating_ips", "security_group_rules", "security_groups"];
const FILES: &[&str] = &["injected_file_content_bytes", "injected_file_path_bytes", "injected_files"];

/// The resources an answer shows: networks' are gone from 2.`network_gone`, those of injected files from 2.57.
fn shown(call: &Call, network_gone: u16) -> impl Iterator<Item = &'static str> {
    let (network, files) = (!call.since(2, network_gone), !call.since(2, 57));
    DEFAULTS
        .iter()
        .map(|(resource, _)| *resource)
        .filter(move |r| (network || !NETWORK.contains(r)) && (files || !FILES.contains(r)))
}
